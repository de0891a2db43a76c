"""PSNR of known values, in known regions, and intervals that hold what they should."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.training.test_regions import face
from training.measures import MOST_DB, REGIONS, mean_interval, psnr, region_weights
from training.regions import region_masks


@pytest.mark.parametrize(("error", "decibels"), [(2.0, 0.0), (0.2, 20.0), (0.02, 40.0), (2 / 255, 48.1308)])
def test_psnr_of_a_constant_error(error: float, decibels: float) -> None:
    truth = torch.full((2, 3, 4, 8, 8), -1.0)
    assert psnr(truth + error, truth).tolist() == pytest.approx([decibels] * 2, abs=1e-3)


def test_psnr_is_that_of_pictures_of_eight_bits() -> None:
    drawn = np.random.default_rng(0).integers(0, 256, (2, 1, 3, 5, 16, 16))
    a, b = (torch.from_numpy(x / 127.5 - 1) for x in drawn)
    error = ((drawn[0].astype(float) - drawn[1]) ** 2).mean()
    assert psnr(a, b).item() == pytest.approx(10 * math.log10(255**2 / error), abs=1e-4)


def test_each_video_of_a_batch_is_measured_alone_and_equal_ones_are_finite() -> None:
    truth = torch.zeros(3, 3, 2, 4, 4)
    other = truth.clone()
    other[1] += 0.2
    other[2, 0] += 0.2
    assert psnr(other, truth).tolist() == pytest.approx([MOST_DB, 20, 20 + 10 * math.log10(3)], abs=1e-4)


def test_a_mask_weighs_pixels() -> None:
    truth, other = torch.zeros(1, 3, 1, 4, 4), torch.zeros(1, 3, 1, 4, 4)
    other[..., :2] = 0.2
    other[..., 2:] = 0.02
    left = torch.zeros(1, 1, 1, 4, 4)
    left[..., :2] = 1
    assert psnr(other, truth, left).item() == pytest.approx(20, abs=1e-4)
    assert psnr(other, truth, left.bool()).item() == pytest.approx(20, abs=1e-4)
    assert psnr(other, truth, 1 - left).item() == pytest.approx(40, abs=1e-4)
    mixed = 10 * math.log10(4 / (0.25 * 0.2**2 + 0.75 * 0.02**2))
    assert psnr(other, truth, 0.25 * left + 0.75 * (1 - left)).item() == pytest.approx(mixed, abs=1e-4)
    assert psnr(other, truth, 0 * left).isnan().all()


def test_regions_are_where_the_person_is() -> None:
    landmarks = face(40)
    alpha = torch.rand(2, 1, 5, 64, 64)
    weights, masks = region_weights(alpha, landmarks), region_masks(landmarks, 64, 64)
    assert tuple(weights) == REGIONS
    assert (weights["picture"] == 1).all()
    assert torch.equal(weights["foreground"], alpha)
    assert torch.equal(weights["mouth"], alpha * masks["mouth"])
    assert torch.equal(weights["mouth_eyes"], weights["mouth"] + weights["eyes"])
    truth = torch.zeros(2, 3, 5, 64, 64)
    other = torch.where(masks["mouth"], 0.2, 0.02)
    assert psnr(other, truth, weights["mouth"]).tolist() == pytest.approx([20, 20], abs=1e-3)
    assert psnr(other, truth, weights["eyes"]).tolist() == pytest.approx([40, 40], abs=1e-3)


def test_intervals_hold_the_mean_they_estimate() -> None:
    drawn = np.random.default_rng(3).normal(5, 2, (200, 40))
    found = [mean_interval(values, resamples=500) for values in drawn]
    held = np.mean([interval.low <= 5 <= interval.high for interval in found])
    assert 0.90 <= held <= 0.98
    width = np.mean([interval.high - interval.low for interval in found])
    assert width == pytest.approx(2 * 1.96 * 2 / math.sqrt(40), rel=0.06)


def test_intervals_follow_from_values_and_seed() -> None:
    many = np.random.default_rng(0).normal(size=50)
    assert mean_interval(many, 1) == mean_interval(many, 1)
    assert mean_interval(many, 1) != mean_interval(many, 2)
    found = mean_interval([1.0, 2.0, 4.0, math.nan])
    assert found.count == 3
    assert found.mean == pytest.approx(7 / 3)
    assert 1 <= found.low < found.mean < found.high <= 4
    assert str(mean_interval([2.0, 2.0])) == "2.00 [2.00, 2.00]"
    assert math.isnan(mean_interval([math.nan]).mean)
    assert mean_interval([]).count == 0
