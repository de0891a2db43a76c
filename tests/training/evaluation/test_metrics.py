"""Each metric on inputs whose value is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from datagen.geometry.cameras import intrinsics_from_focal, look_at, unproject
from training.evaluation.metrics import (
    METRICS,
    agreement,
    rotation_error_deg,
    ssim,
    temporal_stability,
    view_consistency,
)
from training.evaluation.reproject import Sight, brought_over, places_of

SIZE = (48, 64)
FACES = np.array([[0, 2, 1], [0, 3, 2]], np.int32)
SQUARE = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float64)
"""Faces +Z when its corners run counterclockwise there."""


def sight(x: float, shift: float = 0.0) -> Sight:
    """A square wall, moved by ``shift``, before a camera at ``x``."""
    eye = np.array([x, 0.1, 1.5])
    vertices = SQUARE[:, [0, 1, 2]] + [shift, 0, 0]
    return Sight(vertices, intrinsics_from_focal(40.0, SIZE[1], SIZE[0]), look_at(eye, [0.0, 0.0, 0.0]))


def painted(seen: Sight, shift: float = 0.0, phase: float = 0.0) -> Tensor:
    """[3, H, W]: waves painted on that wall, as the camera sees them."""
    x, y = np.meshgrid(np.arange(SIZE[1]) + 0.5, np.arange(SIZE[0]) + 0.5)
    pixels = np.stack([x, y], axis=-1).reshape(-1, 2)
    near, far = (unproject(pixels, np.full(len(pixels), d), seen.intrinsics, seen.world_to_camera) for d in (1.0, 2.0))
    share = near[:, 2] / (near[:, 2] - far[:, 2])
    wall = near + share[:, None] * (far - near) - [shift, 0, 0]
    waves = 0.5 * np.sin(9 * wall[:, 0] + 5 * wall[:, 1] + phase)
    return torch.from_numpy(waves.reshape(SIZE)).float().expand(3, -1, -1)


def faces() -> np.ndarray:
    """Wound so that the wall's front is what the cameras see."""
    for wound in (FACES, FACES[:, ::-1]):
        if places_of(sight(0), sight(0), np.ascontiguousarray(wound), SIZE)[1].any():
            return np.ascontiguousarray(wound)
    raise AssertionError


def test_a_picture_is_where_it_is() -> None:
    places, seen = places_of(sight(0.2), sight(0.2), faces(), SIZE)
    assert seen.any()
    x, y = np.meshgrid(np.arange(SIZE[1]) + 0.5, np.arange(SIZE[0]) + 0.5)
    np.testing.assert_allclose(places[seen], np.stack([x, y], axis=-1)[seen], atol=1e-3)
    picture = painted(sight(0.2))
    torch.testing.assert_close(brought_over(picture, places)[:, seen], picture[:, seen], atol=1e-3, rtol=0)


def test_what_is_hidden_is_not_compared() -> None:
    """A second wall stands before the right half of the first, for the source's camera alone."""
    both = np.concatenate([SQUARE, SQUARE * [0.5, 1, 0] + [0.5, 0, 0.5]])
    walls = np.concatenate([faces(), faces() + 4]).astype(np.int32)
    source, target = sight(0), sight(0)
    hidden = Sight(both, source.intrinsics, source.world_to_camera)
    apart = both.copy()
    apart[4:] += [50, 0, 0]
    _, seen = places_of(hidden, Sight(apart, target.intrinsics, target.world_to_camera), walls, SIZE)
    assert seen[:, : SIZE[1] // 2 - 4].any()
    assert not seen[:, SIZE[1] // 2 + 4 :].any()


def test_two_views_of_one_wall_agree_and_of_two_do_not() -> None:
    first, second = [sight(-0.2)] * 2, [sight(0.3)] * 2
    here, there = (torch.stack([painted(s) for s in sights], dim=1) for sights in (first, second))
    other = torch.stack([painted(s, phase=1.5) for s in second], dim=1)
    assert view_consistency(here, there, first, second, faces()) > 35
    assert view_consistency(here, other, first, second, faces()) < 20


def test_a_wall_that_moves_is_steady_and_paint_that_moves_is_not() -> None:
    shifts = [0.0, 0.05, 0.1]
    sights = [sight(0, shift) for shift in shifts]
    steady = torch.stack([painted(s, shift) for s, shift in zip(sights, shifts, strict=True)], dim=1)
    boiling = torch.stack([painted(s, shift, phase=10 * shift) for s, shift in zip(sights, shifts, strict=True)], dim=1)
    assert temporal_stability(steady, sights, faces()) > 35
    assert temporal_stability(boiling, sights, faces()) < 25
    still = torch.rand(3, 1, *SIZE).expand(-1, 3, -1, -1)
    assert temporal_stability(still, [sight(0)] * 3, faces()) > 60


def test_agreement_is_psnr_where_it_looks() -> None:
    first, mask = torch.zeros(3, 4, 4), np.zeros((4, 4), bool)
    assert math.isnan(agreement([(first, first, mask)]))
    mask[0] = True
    assert agreement([(first, first, mask)]) == 100
    second = first.clone()
    second[:, 0] = 0.2
    second[:, 1:] = 1
    assert agreement([(first, second, mask)]) == pytest.approx(20)  # 10 log10(4 / 0.04)
    assert agreement([(first, second, mask), (first, first, mask)]) == pytest.approx(20 + 10 * math.log10(2))


def test_ssim_of_known_videos() -> None:
    video = torch.rand(3, 4, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert ssim(video, video) == pytest.approx(1, abs=1e-5)
    assert ssim(-video, video) < 0
    # Of two constants a and b only the luminance term is left: (2 a b + c) / (a^2 + b^2 + c), c = (0.01 range)^2.
    a, b, c = 0.2, 0.6, 0.01**2
    flat = torch.full((3, 2, 32, 32), 2 * a - 1), torch.full((3, 2, 32, 32), 2 * b - 1)
    assert ssim(*flat) == pytest.approx((2 * a * b + c) / (a * a + b * b + c), rel=1e-3)


def test_angles() -> None:
    one = Rotation.from_euler("y", [[0], [30]], degrees=True).as_matrix()
    assert rotation_error_deg(one, one) == pytest.approx(0, abs=1e-5)
    turned = Rotation.from_rotvec(np.radians([[0, 0, 10], [20, 0, 0]])).as_matrix() @ one
    assert rotation_error_deg(turned, one) == pytest.approx(15)


def test_every_metric_says_what_it_is() -> None:
    for metric in METRICS.values():
        assert metric.words
        assert len(metric.definition) > 20
