"""Fits to landmarks whose head, pose and camera are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from datagen.geometry.cameras import intrinsics_from_focal, look_at, project
from datagen.heads.landmark_model import LandmarkModel
from datagen.heads.model import HeadModel, load_head
from manifests.clip import Motion
from manifests.errors import UserError
from training.tracking.fit import Fit, FitSettings, fit_head

SIZE = (120, 160)


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return load_head("open")


def moving(head: HeadModel, frames: int = 12) -> Motion:
    """Somebody who shakes the head and opens the mouth."""
    time = np.linspace(0, 2 * np.pi, frames)
    still = np.zeros((frames, 3), np.float32)
    root, translation, jaw = still.copy(), still.copy(), still.copy()
    root[:, 1], root[:, 0] = 0.5 * np.sin(time), 0.15 * np.cos(time)
    translation[:, 0] = 0.03 * np.sin(time)
    jaw[:, 0] = 0.1 - 0.1 * np.cos(time)
    shape = np.zeros(10, np.float32)
    shape[:4] = [1.0, -0.8, 0.5, 1.2]
    expression = np.zeros((frames, head.info.expression_size), np.float32)
    return Motion(shape, expression, root, still, jaw, still, still, translation)


def seen(head: HeadModel, motion: Motion, focal_mm: float = 50.0) -> tuple[torch.Tensor, np.ndarray]:
    """Points [T, 70, 2], and where the head's landmarks are in the camera's space [T, 70, 3]."""
    world = LandmarkModel(head)(**{name: torch.from_numpy(track) for name, track in vars(motion).items()}).numpy()
    centre = np.asarray(head.info.head_centre)
    camera = look_at(centre + [0, 0, 0.7 * focal_mm / 50], centre)
    pixels, _ = project(world, intrinsics_from_focal(focal_mm, SIZE[1], SIZE[0]), camera)
    return torch.from_numpy(pixels).float(), world @ camera[:3, :3].T + camera[:3, 3]


def fitted(head: HeadModel, points: torch.Tensor, found: list[bool] | None = None, **settings: Any) -> Fit:
    shown = torch.tensor(found or [True] * len(points))
    return fit_head(head, points, torch.ones(points.shape[:2]), shown, SIZE, FitSettings(**settings))


def rotation_errors(motion: Motion, truth: Motion) -> np.ndarray:
    """Degrees [T]."""
    turned = Rotation.from_rotvec(motion.root) * Rotation.from_rotvec(truth.root).inv()
    return np.degrees(turned.magnitude())


def test_a_head_is_found_again_from_its_landmarks(head: HeadModel) -> None:
    truth = moving(head)
    points, _ = seen(head, truth)
    fit = fitted(head, points, focal_spread=0)
    assert fit.error_px.max() < 0.7
    assert rotation_errors(fit.motion, truth).mean() < 3
    moved = fit.motion.translation[:, 0] - fit.motion.translation[:, 0].mean()
    assert np.corrcoef(moved, truth.translation[:, 0])[0, 1] > 0.95
    mouth = (points[:, 57, 1] - points[:, 51, 1]).numpy()
    told = fit.points[:, 57, 1] - fit.points[:, 51, 1]
    assert np.corrcoef(mouth, told)[0, 1] > 0.98


def test_frames_without_a_face_are_carried_over(head: HeadModel) -> None:
    truth = moving(head)
    points, _ = seen(head, truth)
    damaged = points.clone()
    damaged[5:7] = torch.tensor([1.0, 2.0])
    found = [k not in (5, 6) for k in range(12)]
    fit = fitted(head, damaged, found, focal_spread=0)
    assert np.isnan(fit.error_px[5:7]).all()
    assert np.isfinite(fit.error_px[[4, 7]]).all()
    assert rotation_errors(fit.motion, truth)[5:7].max() < 8
    assert np.abs(fit.points[5:7] - points[5:7].numpy()).mean() < 3


def test_jitter_of_the_points_is_smoothed(head: HeadModel) -> None:
    still = Motion(**{**vars(moving(head)), "root": np.zeros((12, 3), np.float32)})
    points, _ = seen(head, still)
    noise = torch.randn(points.shape, generator=torch.Generator().manual_seed(0))
    shaken = [
        fitted(head, points + noise, focal_spread=0, smooth=weight).motion for weight in (0.0, FitSettings.smooth)
    ]
    free, smooth = (np.abs(np.diff(motion.root, axis=0)).mean() for motion in shaken)
    assert smooth < 0.6 * free


def test_outliers_pull_little(head: HeadModel) -> None:
    truth = moving(head)
    points, _ = seen(head, truth)
    generator = torch.Generator().manual_seed(0)
    wrong = torch.rand(points.shape[:2], generator=generator) < 0.08
    points = torch.where(wrong[..., None], points + 40, points)
    assert rotation_errors(fitted(head, points, focal_spread=0).motion, truth).mean() < 4


def test_one_picture_is_enough(head: HeadModel) -> None:
    truth = moving(head)
    points, _ = seen(head, truth)
    fit = fitted(head, points[3:4], focal_spread=0)
    assert fit.motion.frames == 1
    assert fit.error_px[0] < 1
    assert rotation_errors(fit.motion, Motion(**{**vars(truth), "root": truth.root[3:4]})).max() < 6


def test_who_it_is_may_be_known(head: HeadModel) -> None:
    truth = moving(head)
    points, _ = seen(head, truth)
    shown = torch.ones(len(points), dtype=torch.bool)
    settings = FitSettings(focal_spread=0)
    known = fit_head(head, points, torch.ones(points.shape[:2]), shown, SIZE, settings, shape=truth.shape)
    np.testing.assert_array_equal(known.motion.shape, truth.shape)
    free = fit_head(head, points, torch.ones(points.shape[:2]), shown, SIZE, settings)
    errors = [np.abs(each.motion.jaw - truth.jaw).mean() for each in (known, free)]
    assert errors[0] <= errors[1] + 1e-3
    assert rotation_errors(known.motion, truth).mean() < 2


def test_the_camera_stands_level_before_the_head(head: HeadModel) -> None:
    points, _ = seen(head, moving(head))
    fit = fitted(head, points, focal_length_mm=80.0, focal_spread=0)
    assert fit.focal_length_mm == pytest.approx(80)
    np.testing.assert_allclose(fit.world_to_camera[:3, :3], np.diag([1, -1, -1]), atol=1e-9)
    aside = fitted(head, points + torch.tensor([30.0, -20.0]), focal_length_mm=80.0, focal_spread=0)
    centre = np.asarray(head.info.head_centre)
    for each in (fit, aside):
        turned = Rotation.from_rotvec(each.motion.root).apply(centre) + each.motion.translation - centre
        np.testing.assert_allclose(np.median(turned, axis=0), 0, atol=1e-3)  # wherever the picture has it
        world = LandmarkModel(head)(**{name: torch.from_numpy(track) for name, track in vars(each.motion).items()})
        pixels, _ = project(world.numpy(), each.intrinsics, each.world_to_camera)
        np.testing.assert_allclose(pixels, each.points, atol=0.05)


def test_a_video_without_a_face_is_said(head: HeadModel) -> None:
    points, _ = seen(head, moving(head))
    with pytest.raises(UserError, match="no frame shows a face"):
        fitted(head, points, [False] * 12)


@pytest.mark.parametrize(
    "wrong", [{"focal_length_mm": 1}, {"focal_spread": -1}, {"smooth": float("nan")}, {"steps": 0}]
)
def test_settings_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError, match=f"track.{next(iter(wrong))}: "):
        FitSettings(**wrong)  # type: ignore[arg-type]
