"""Crops show the same square of the head whatever its pose and whatever the face does."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from datagen.heads.model import rotation_matrices
from training.expression.crop import _MEAN_FACE_M, _STABLE, CENTRE_M, EDGE_M, boxes, crop_faces, in_crop


def seen(rotation: tuple[float, float, float] = (0, 0, 0), scale: float = 300.0) -> torch.Tensor:
    """Landmarks [1, 1, 70, 2] of the mean face, turned by an axis-angle, at so many pixels a metre; those that
    expression moves are anywhere."""
    turned = np.array([*_MEAN_FACE_M, CENTRE_M]) @ rotation_matrices(np.array([rotation]))[0].T
    pixels = turned[:, :2] * [scale, -scale] + [40, 60]
    landmarks = np.random.default_rng(0).uniform(0, 64, (70, 2))
    landmarks[list(_STABLE)] = pixels[:-1]
    landmarks[57] = pixels[-1]
    return torch.from_numpy(landmarks).float()[None, None]


POSES = [(0, 0, 0), (0, 0.9, 0), (0, -1.2, 0), (0.5, 0, 0), (0, 0, 0.6), (-0.4, 0.5, -0.3)]


@pytest.mark.parametrize("rotation", POSES)
def test_a_crop_keeps_its_size_and_centre_at_any_pose(rotation: tuple[float, float, float]) -> None:
    centre, axes = boxes(seen(rotation))
    assert torch.allclose(axes.norm(dim=-1), torch.tensor(EDGE_M * 300.0), rtol=1e-3)
    assert torch.allclose(centre, seen(rotation)[..., 57, :], atol=0.02)
    assert abs(float(axes[0, 0, 0] @ axes[0, 0, 1])) < 1e-2


def test_a_rolled_head_stands_upright_in_its_crop() -> None:
    _, axes = boxes(seen((0, 0, 0.6)))
    down = axes[0, 0, 1] / axes[0, 0, 1].norm()
    # Counterclockwise as we see it: the chin goes to the picture's right.
    assert math.atan2(float(down[0]), float(down[1])) == pytest.approx(0.6, abs=0.06)


def test_what_the_face_does_moves_no_crop() -> None:
    still, moving = seen(), seen()
    moved = [i for i in range(70) if i not in _STABLE]
    moving[..., moved, :] += 7
    for one, other in zip(boxes(still), boxes(moving), strict=True):
        assert torch.equal(one, other)


def test_a_landmark_lands_where_in_crop_says() -> None:
    landmarks = seen((0.1, 0.3, 0.4), scale=250.0)
    x, y = 45, 52
    video = torch.zeros(1, 3, 1, 96, 80)
    video[..., y, x] = 1
    size = 96
    crop = crop_faces(video, landmarks, size)
    assert crop.shape == (1, 1, 3, size, size)
    weights = crop[0, 0, 0] / crop[0, 0, 0].sum()
    middles = (torch.arange(size) + 0.5) / size * 2 - 1
    found = torch.stack([(weights.sum(0) * middles).sum(), (weights.sum(1) * middles).sum()])
    expected = in_crop(torch.tensor([[[[x + 0.5, y + 0.5]]]]), landmarks)[0, 0, 0]
    assert torch.allclose(found, expected, atol=1 / size)


def test_large_pictures_are_averaged() -> None:
    """Stripes of one pixel, far below what the crop resolves, come out grey."""
    video = torch.ones(1, 3, 1, 256, 256)
    video[..., ::2] = -1
    crop = crop_faces(video, seen(scale=800.0) + 90, 16)
    assert float(crop.abs().max()) < 0.2


def test_a_crop_is_the_same_in_any_batch() -> None:
    """Neither a face of another size beside it nor one that was not found makes a difference."""
    video = torch.rand(3, 3, 1, 128, 160, generator=torch.Generator().manual_seed(1))
    landmarks = torch.cat([seen(scale=150.0), seen(scale=700.0), torch.full((1, 1, 70, 2), torch.nan)])
    together = crop_faces(video, landmarks, 16)
    for i in range(2):
        alone = crop_faces(video[i : i + 1], landmarks[i : i + 1], 16)
        torch.testing.assert_close(together[i : i + 1], alone, rtol=0, atol=1e-6)


def test_gradients_reach_the_video_and_the_landmarks() -> None:
    generator = torch.Generator().manual_seed(0)
    video = torch.rand(1, 3, 1, 64, 64, generator=generator, requires_grad=True)
    landmarks = seen().requires_grad_()
    crop_faces(video, landmarks, 16).square().sum().backward()
    assert video.grad is not None
    assert landmarks.grad is not None
    assert video.grad.abs().sum() > 0
    assert landmarks.grad[..., list(_STABLE), :].abs().sum() > 0
