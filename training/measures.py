"""How near a video is to another, and how sure a mean over clips is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from training.regions import region_masks
from training.streams import rng

MOST_DB: Final = 100.0
"""PSNR of equal videos, so that means over clips stay finite."""

REGIONS: Final = ("picture", "foreground", "mouth", "eyes", "mouth_eyes")


def psnr(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio float64 [B] in dB of videos [B, C, T, H, W] in [-1, 1], over all frames at once.

    10 log10(range^2 / mean squared error) with a range of 2. ``mask`` [B, 1, T, H, W], bool or weights from 0,
    weighs the pixels; where it is zero everywhere the result is NaN. At most `MOST_DB`.
    """
    error = (a.float() - b.float()).square().mean(dim=1, keepdim=True)
    weight = torch.ones_like(error) if mask is None else mask.to(error).expand_as(error)
    mean = _total(error * weight) / _total(weight)
    return (10 * torch.log10(4 / mean)).clamp(max=MOST_DB)


def region_weights(alpha: Tensor, landmarks: Tensor) -> dict[str, Tensor]:
    """What `psnr` takes as ``mask`` for each of `REGIONS`, float32 [B, 1, T, H, W], from alpha [B, 1, T, H, W] and
    landmarks [B, T, 70, 2]. Mouth and eyes count as far as the person covers them."""
    alpha = alpha.float()
    masks = region_masks(landmarks, *alpha.shape[-2:])
    return {
        "picture": torch.ones_like(alpha),
        "foreground": alpha,
        "mouth": alpha * masks["mouth"],
        "eyes": alpha * masks["eyes"],
        "mouth_eyes": alpha * (masks["mouth"] | masks["eyes"]),
    }


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval over ``count`` clips; NaN where there was none."""

    mean: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


def mean_interval(values: ArrayLike, seed: int = 0, confidence: float = 0.95, resamples: int = 4000) -> Interval:
    """Mean of values [N] that are not NaN, and its percentile bootstrap interval.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13. Equal values and seeds give
    equal intervals.
    """
    given = np.asarray(values, np.float64)
    given = given[~np.isnan(given)]
    if not len(given):
        return Interval(math.nan, math.nan, math.nan, 0)
    chosen = rng(seed, "bootstrap").integers(0, len(given), (resamples, len(given)))
    tail = (1 - confidence) / 2
    low, high = np.quantile(given[chosen].mean(axis=1), [tail, 1 - tail])
    return Interval(float(given.mean()), float(low), float(high), len(given))


def _total(values: Tensor) -> Tensor:
    """Sums [B], in double precision."""
    return values.flatten(1).sum(dim=1, dtype=torch.float64)
