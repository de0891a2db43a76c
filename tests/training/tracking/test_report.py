"""Tracking errors are small where the detector knows the truth, and grow with what is put in its way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from factorportrait import main
from manifests.errors import UserError
from tests.conftest import Generated
from training.data.clips import Clips
from training.landmarks.cnn import CnnDetector, save_cnn
from training.landmarks.detector import Detection, LandmarkDetector
from training.landmarks.network import LandmarkNetwork
from training.tracking.report import report_tracking


class Remembering(LandmarkDetector):
    """Knows the landmarks of every picture of a corpus, to so many pixels."""

    licence = "of the tests"

    def __init__(self, corpus: str, split: str, noise_px: float = 0.0, found: float = 1.0) -> None:
        super().__init__()
        self.known: dict[bytes, Tensor] = {}
        self.found = found
        draw = np.random.default_rng(0)
        clips = Clips(corpus, split=split)
        for i in range(len(clips)):
            info = clips.info(i)
            for window in clips.windows(
                i, [(view, range(info.frames)) for view in range(info.views)], members=("rgb",)
            ):
                assert window.rgb is not None
                for picture, points in zip(window.rgb, window.landmarks, strict=True):
                    off = draw.normal(0, noise_px, points.shape) if noise_px else 0
                    self.known[picture.tobytes()] = torch.from_numpy((points + off).astype(np.float32))

    def _detect(self, pictures: Tensor, near: Tensor | None) -> Detection:
        rgb = ((pictures[0] + 1) * 127.5).round().byte().permute(1, 2, 0).contiguous().numpy()
        return Detection(self.known[rgb.tobytes()][None], torch.ones(1, 70), torch.tensor([self.found]))


def test_the_truth_is_found_again(corpus: Generated) -> None:
    exact = report_tracking(Remembering(str(corpus.out), "test"), str(corpus.out), focal_known=True)
    clips = Clips(str(corpus.out), split="test")
    assert exact.views == int(clips.views.sum())
    assert exact.found == 1
    errors = {name: interval.mean for name, interval in exact.errors.items()}
    assert errors["detected_percent"] == pytest.approx(0, abs=1e-4)
    assert errors["fitted_percent"] < 3
    assert errors["rotation_deg"] < 8
    assert errors["turn_deg"] < errors["rotation_deg"] + 1
    assert errors["distance_percent"] < 12
    assert "focal_percent" not in errors
    noisy = report_tracking(Remembering(str(corpus.out), "test", noise_px=3), str(corpus.out))
    assert noisy.errors["fitted_percent"].mean > errors["fitted_percent"]
    assert noisy.errors["focal_percent"].mean > 0
    assert "fitted as well" in noisy.to_markdown()
    assert json.loads(noisy.to_json())["views"] == exact.views


def test_no_face_at_all_is_said(corpus: Generated, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="no face is found in"):
        report_tracking(Remembering(str(corpus.out), "test", found=0.0), str(corpus.out), clips=1)
    save_cnn(CnnDetector(LandmarkNetwork(4), 4, 32), tmp_path / "d")
    words = ["track-report", str(corpus.out), "--landmarks", str(tmp_path / "d"), "--out", str(tmp_path / "r")]
    assert main([*words, "--split", "validation"]) == 2
    assert "validation" in capsys.readouterr().err
