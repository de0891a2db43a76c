"""Readings that are what was told give the ideal matrix; readings that leak show it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from factorportrait import main
from manifests.errors import UserError
from tests.conftest import Generated
from training.animation.shot import AnimationSettings
from training.data.clips import Clips
from training.evaluation.independence import (
    Change,
    Told,
    independence_matrix,
    measure_independence,
    read_change,
    told_change,
)
from training.evaluation.readings import Reading
from training.landmarks.detector import Detection, LandmarkDetector
from training.portrait import load_portrait

FRAMES = 4


def told(code: float = 0.0, yaw: float = 0.0, camera: float = 0.0) -> Told:
    return Told(
        codes=torch.full((FRAMES, 3), code),
        displacements=np.full((FRAMES, 70, 3), code),
        head=Rotation.from_euler("y", [[yaw + t] for t in range(FRAMES)], degrees=True).as_matrix(),
        camera=np.diag([1.0, -1, -1]) @ Rotation.from_euler("x", [[camera]] * FRAMES, degrees=True).as_matrix(),
    )


def read(truth: Told, leak: float = 0.0) -> Reading:
    """What a judge sees of it; with a leak, expressions follow the head's yaw."""
    yaw = float(Rotation.from_matrix(truth.head[0]).as_euler("yxz", degrees=True)[0])
    return Reading(
        points=torch.zeros(FRAMES, 70, 2),
        codes=truth.codes + leak * yaw,
        head_in_camera=truth.camera @ truth.head,
        displacements=truth.displacements,
        found=np.ones(FRAMES, bool),
    )


def changes(leak: float = 0.0) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    base, varied = told(), (told(code=2.0), told(yaw=15.0), told(camera=25.0))
    return (
        tuple(told_change(base, other) for other in varied),
        tuple(
            change for other in varied if (change := read_change((base, read(base, leak)), (other, read(other, leak))))
        ),
    )


def test_true_readings_are_ideal() -> None:
    found = independence_matrix([changes(), changes()])
    np.testing.assert_allclose(found.matrix, [[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], atol=1e-4)
    assert found.videos == 2
    assert "| head pose | 0.00 | 0.00 | 1.00 | 0.00 |" in found.to_markdown()


def test_rendered_videos_are_a_row_of_their_own() -> None:
    _, (_, _, camera) = changes(leak=0.05)
    found = independence_matrix([changes()], [camera, camera])
    np.testing.assert_allclose(found.rendered, [0, 0, 0, 1], atol=1e-3)
    assert "| camera, of rendered videos | 0.00 | 0.00 | 0.00 | 1.00 |" in found.to_markdown()
    assert "rendered videos" not in independence_matrix([changes()]).to_markdown()


def test_a_leak_shows_where_it_is() -> None:
    matrix = np.array(independence_matrix([changes(leak=0.05)]).matrix)
    assert matrix[1, 0] == pytest.approx(0.05 * 15 / 2, rel=1e-3)
    assert matrix[2, 0] == pytest.approx(0, abs=1e-3)


def test_angles_and_distances() -> None:
    (expression, pose, camera), _ = changes()
    assert expression.codes == pytest.approx(2 * 3**0.5)
    assert pose.head_pose == pytest.approx(15)
    assert camera.camera == pytest.approx(25)
    assert (pose.camera, camera.head_pose) == pytest.approx((0, 0), abs=1e-4)


def test_nothing_to_compare() -> None:
    same, own = changes()
    with pytest.raises(UserError, match="head pose is not changed by any"):
        independence_matrix([((same[0], Change(0, 0, 0, 0), same[2]), own)])
    base = told()
    nothing = dataclasses.replace(read(base), found=np.zeros(FRAMES, bool))
    assert read_change((base, nothing), (base, read(base))) is None


class Anywhere(LandmarkDetector):
    """A face in every picture, always at one place."""

    licence = "of the tests"

    def __init__(self, points: Tensor) -> None:
        super().__init__()
        self.points = points

    def _detect(self, pictures: Tensor, near: Tensor | None) -> Detection:
        return Detection(self.points, torch.ones(1, 70), torch.ones(1))


def test_a_model_is_measured_and_a_clip_that_tells_nothing_is_left_out(
    animated: Path, corpus: Generated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = Clips(str(corpus.out), split="test")
    (window,) = clips.windows(0, [(0, range(1))], members=())
    detector = Anywhere(torch.from_numpy(window.landmarks).float())
    monkeypatch.setattr("training.landmarks.load.load_detector", lambda _: detector)
    words = ["independence", "--checkpoint", str(animated), "--corpus", str(corpus.out), "--landmarks", "any"]
    assert main([*words, "--out", str(tmp_path / "two"), "--clips", "2"]) == 0
    found = json.loads((tmp_path / "two" / "independence.json").read_text())
    assert found["videos"] == 2
    assert np.shape(found["matrix"]) == (3, 4)
    matrix = np.array(found["matrix"])
    # Points that stay where they are follow no expression, no head pose and no camera.
    assert [*matrix[0, 1:], *matrix[:, 1], matrix[1, 2], matrix[2, 3]] == pytest.approx([0] * 8, abs=0.05)
    read = iter([None])
    monkeypatch.setattr(
        "training.evaluation.independence.read_change", lambda first, second: next(read, Change(1, 1, 1, 1))
    )
    portrait = load_portrait(animated)
    left = measure_independence(portrait, str(corpus.out), detector, clips=2, animation=AnimationSettings(steps=1))
    assert left.videos == 1
    (tmp_path / "file").write_text("")
    assert main([*words, "--out", str(tmp_path / "file")]) == 2
