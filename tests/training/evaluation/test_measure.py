"""Readings that are off by what is known give metrics of known value."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from datagen.geometry.surface import make_surface
from tests.conftest import Generated
from tests.training.tracking.test_track import Knowing
from training.animation.shot import model_head
from training.data.clips import Clips
from training.evaluation.instruments import Instruments
from training.evaluation.measure import Measure, scene_of
from training.evaluation.readings import Judge, Reading, displacements
from training.evaluation.takes import Take, TakeSettings, make_takes, told_rotation
from training.identity.encoder import IdentityEncoder
from training.portrait import Portrait, load_portrait


class Brightness(IdentityEncoder):
    """Tells people by how bright they are: an angle in the plane."""

    licence = "of the tests"

    def _embed(self, pictures: Tensor, landmarks: Tensor) -> Tensor:
        angle = pictures.mean(dim=(1, 2, 3))
        return torch.stack([angle.cos(), angle.sin()], dim=1)


@pytest.fixture(scope="module")
def portrait(animated: Path) -> Portrait:
    return load_portrait(animated)


@pytest.fixture(scope="module")
def take(portrait: Portrait, corpus: Generated) -> Take:
    clips = Clips(str(corpus.out), split=None)
    return make_takes(clips, portrait, model_head(portrait), TakeSettings("self", 1))[0]


def perfect(portrait: Portrait, take: Take, other: bool = False) -> Reading:
    """What a judge without fault reads."""
    camera = take.other_camera if other else take.shot.camera
    assert camera is not None
    frames = len(take.shot.times)
    return Reading(
        points=torch.zeros(frames, 70, 2),
        codes=take.shot.codes(),
        head_in_camera=told_rotation(take.shot, camera),
        displacements=displacements(model_head(portrait), take.driver),
        found=np.ones(frames, bool),
    )


def turned(rotations: np.ndarray, axis: str, degrees: float) -> np.ndarray:
    return np.asarray(Rotation.from_euler(axis, degrees, degrees=True).as_matrix() @ rotations)


def measured(
    portrait: Portrait, take: Take, monkeypatch: pytest.MonkeyPatch, first: Reading, second: Reading | None,
    video: Tensor | None = None,
) -> dict[str, float]:  # fmt: skip
    assert take.truth is not None
    readings = iter([first, second])
    monkeypatch.setattr(Judge, "read", lambda *_: next(readings))
    head = model_head(portrait)
    instruments = Instruments(Knowing(torch.zeros(1, 70, 2)), Brightness())
    measure = Measure(head, portrait.encode, instruments, 5.0, apart=4.0, moved_m=0.008)
    shown = take.truth.video if video is None else video
    return measure(scene_of(take, make_surface(head, 0), head), shown, shown)


def test_what_is_read_as_it_was_told_has_no_error(
    portrait: Portrait, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = measured(portrait, take, monkeypatch, perfect(portrait, take), perfect(portrait, take, other=True))
    for name in ("expression", "expression_landmarks", "head_pose_deg", "camera_deg"):
        assert values[name] == pytest.approx(0, abs=2e-2), name  # an arc cosine near 1


def test_errors_are_as_large_as_they_are(portrait: Portrait, take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = perfect(portrait, take)
    size = reading.codes.shape[1]
    off = dataclasses.replace(
        reading,
        codes=reading.codes + 3 / math.sqrt(size),
        displacements=reading.displacements + np.float32([0, 0.002, 0]),
        head_in_camera=turned(reading.head_in_camera, "y", 10),
    )
    second = perfect(portrait, take, other=True)
    aside = dataclasses.replace(second, head_in_camera=turned(second.head_in_camera, "x", 7))
    values = measured(portrait, take, monkeypatch, off, aside)
    assert values["expression"] == pytest.approx(3 / 4, rel=1e-4)
    assert values["expression_landmarks"] == pytest.approx(2 / 8, rel=1e-4)
    assert values["head_pose_deg"] == pytest.approx(10, abs=1e-3)
    values = measured(portrait, take, monkeypatch, reading, aside)
    assert values["camera_deg"] == pytest.approx(7, abs=1e-3)


def test_frames_without_a_face_count_nothing(portrait: Portrait, take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = perfect(portrait, take)
    found = np.arange(len(reading.found)) > 0
    lost = dataclasses.replace(
        reading,
        codes=reading.codes * torch.from_numpy(found)[:, None] + 1e3 * torch.from_numpy(~found)[:, None],
        head_in_camera=np.where(found[:, None, None], reading.head_in_camera, np.eye(3)),
        found=found,
    )
    values = measured(portrait, take, monkeypatch, lost, perfect(portrait, take, other=True))
    assert values["expression"] == pytest.approx(0, abs=1e-6)
    assert values["head_pose_deg"] == pytest.approx(0, abs=2e-2)
    nobody = dataclasses.replace(reading, found=~np.ones_like(found))
    assert math.isnan(measured(portrait, take, monkeypatch, lost, nobody)["camera_deg"])
    assert "head_pose_deg" not in measured(portrait, take, monkeypatch, None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_identity_is_the_cosine_to_the_portrait(
    portrait: Portrait, take: Take, monkeypatch: pytest.MonkeyPatch, angle: float
) -> None:
    own: Any = take.shot.face.picture
    video = torch.full_like(own[:, None].expand(-1, len(take.shot.times), -1, -1), float(own.mean()) + angle)
    reading = perfect(portrait, take)
    values = measured(portrait, take, monkeypatch, reading, None, video)  # type: ignore[arg-type]
    assert values["identity"] == pytest.approx(math.cos(angle), abs=1e-5)
