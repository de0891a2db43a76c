"""Faces and the points on them move together."""

from __future__ import annotations

import torch

from training.expression.augment import augment, mirror

SIZE = 32


def spots() -> tuple[torch.Tensor, torch.Tensor]:
    """Faces [8, 3, 32, 32] with one bright spot each, and where it is, -1 to 1, as [8, 70, 2]."""
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(8, 1, 2, generator=generator) - 0.5
    middles = (torch.arange(SIZE) + 0.5) / SIZE * 2 - 1
    x, y = middles[None, None, :] - points[..., :1], middles[None, :, None] - points[..., 1:]
    spot = torch.exp(-(x.square() + y.square()) / 0.02)
    return (spot * 1.8 - 0.9)[:, None].repeat(1, 3, 1, 1), points.repeat(1, 70, 1)


def centres(faces: torch.Tensor) -> torch.Tensor:
    """[N, 2]: the middle of what stands out of each face."""
    light = faces.mean(dim=1)
    light = (light - light.amin(dim=(1, 2), keepdim=True)) ** 3
    middles = (torch.arange(SIZE) + 0.5) / SIZE * 2 - 1
    weights = light / light.sum(dim=(1, 2), keepdim=True)
    return torch.stack([(weights.sum(1) * middles).sum(1), (weights.sum(2) * middles).sum(1)], dim=1)


def test_points_follow_the_faces() -> None:
    faces, points = spots()
    changed, moved = augment(faces, points, torch.Generator().manual_seed(1))
    assert changed.shape == faces.shape
    assert float(changed.abs().max()) <= 1
    assert float((moved[:, 0] - points[:, 0]).abs().max()) > 0.05
    assert torch.allclose(centres(changed), moved[:, 0], atol=0.02)


def test_strength_0_leaves_faces_alone() -> None:
    faces, points = spots()
    changed, moved = augment(faces, points, torch.Generator().manual_seed(1), strength=0)
    assert torch.allclose(changed, faces, atol=1e-4)
    assert torch.allclose(moved, points, atol=1e-6)


def test_mirrored_landmarks_take_the_place_of_their_counterparts() -> None:
    faces, points = spots()
    points = points + torch.arange(70)[None, :, None] / 1000  # every landmark is elsewhere
    chosen = torch.tensor([True] + [False] * 7)
    flipped, other = mirror(faces, points, chosen)
    assert torch.equal(flipped[0], faces[0].flip(-1))
    assert torch.equal(flipped[1:], faces[1:])
    assert torch.equal(other[1:], points[1:])
    # The right corner of the mouth is where the left one was, seen in a mirror; the chin stays the chin.
    assert torch.equal(other[0, 48], points[0, 54] * torch.tensor([-1, 1]))
    assert torch.equal(other[0, 8], points[0, 8] * torch.tensor([-1, 1]))
    assert torch.equal(mirror(*mirror(faces, points, chosen), chosen)[1], points)
