"""The one detector of others' making that can be installed: found by its kind, and on rendered heads where it is."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from manifests.errors import UserError
from tests.conftest import Generated
from training.data.clips import Clips
from training.data.samples import colours
from training.landmarks.face_mesh import BROWS, EYES, JAW, LIPS, NOSE, POINTS, PUPILS
from training.landmarks.load import load_detector

INSTALLED = importlib.util.find_spec("mediapipe") is not None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text('{"kind": "mediapipe"}')
    return tmp_path


def test_a_vertex_for_each_point() -> None:
    assert [len(each) for each in (JAW, BROWS, NOSE, EYES, LIPS, PUPILS)] == [17, 10, 9, 12, 20, 2]
    assert len(set(POINTS)) == 70
    assert max(POINTS) < 478


@pytest.mark.skipif(INSTALLED, reason="says what to install where it is not")
def test_it_is_said_where_it_is_not_installed(folder: Path) -> None:
    with pytest.raises(UserError, match=r"pip install 'factorportrait\[mediapipe\]'"):
        load_detector(folder)


@pytest.mark.skipif(not INSTALLED, reason="needs the extra mediapipe, which goes with no newer protobuf than 4")
def test_rendered_heads_are_faces_to_it(folder: Path, corpus: Generated) -> None:
    detector, clips = load_detector(folder), Clips(str(corpus.out), split=None)
    assert detector.licence.startswith("Apache-2.0")
    blank = detector.detect(torch.zeros(1, 3, 256, 256))
    assert (float(blank.found), float(blank.visible.sum())) == (0, 0)
    errors = []
    for i in range(len(clips)):
        for window in clips.windows(i, [(view, range(1)) for view in range(2)], members=("rgb",)):
            assert window.rgb is not None
            large = torch.nn.functional.interpolate(colours(window.rgb)[:, 0][None], scale_factor=4, mode="bicubic")
            found = detector.detect(large)
            if float(found.found):
                truth = window.landmarks[0]
                off = np.linalg.norm(found.points[0].numpy() / 4 - truth, axis=1).mean()
                errors.append(off / np.ptp(truth, axis=0).max())
    assert len(errors) >= len(clips)
    assert np.median(errors) < 0.1  # some are in profile, which it was not made for
