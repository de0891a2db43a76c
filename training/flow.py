"""Rectified flow: the straight path from data to noise, and what a model of it is asked for.

x_t = (1 - t) x + t n for t in [0, 1]; its velocity is n - x. Source: Liu et al., "Flow Straight and Fast", 2022.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from manifests.errors import require

TIMESTEPS = 1000
"""What t = 1 is called to the model, as Wan was trained."""


@dataclass(frozen=True)
class FlowSettings:
    """Which times are trained on, and what is predicted.

    Raises UserError for values out of range.
    """

    prediction: Literal["velocity", "sample"] = "velocity"
    """``velocity`` is Wan's own; ``sample`` (the clean latents) is learnt faster from nothing."""
    shift: float = 5.0
    """Moves times towards noise: t = s u / (1 + (s - 1) u), as in Esser et al., "Scaling Rectified Flow
    Transformers", 2024; more for more pixels."""
    high_noise_share: float = 0.0
    """Share of the samples whose t is drawn evenly from ``high_noise`` to 1: where conditions decide, not the noisy
    picture."""
    high_noise: float = 0.98

    def __post_init__(self) -> None:
        require(0 < self.shift < math.inf, "flow.shift", self.shift, "a number above 0 (1 shifts nothing)")
        require(0 <= self.high_noise_share <= 1, "flow.high_noise_share", self.high_noise_share, "a share from 0 to 1")
        require(0 <= self.high_noise < 1, "flow.high_noise", self.high_noise, "a time from 0 to below 1")


def shift_time(u: Tensor, shift: float) -> Tensor:
    return shift * u / (1 + (shift - 1) * u)


def draw_times(settings: FlowSettings, count: int, generator: torch.Generator) -> Tensor:
    """Times [count] in (0, 1]."""
    u, pick, high = 1 - torch.rand(3, count, generator=generator)
    return torch.where(
        pick <= settings.high_noise_share,
        settings.high_noise + (1 - settings.high_noise) * high,
        shift_time(u, settings.shift),
    )


def noisy(clean: Tensor, noise: Tensor, times: Tensor) -> Tensor:
    """x_t of a batch [B, ...] at times [B]."""
    t = _like(times, clean)
    return (1 - t) * clean + t * noise


def target(settings: FlowSettings, clean: Tensor, noise: Tensor) -> Tensor:
    return clean if settings.prediction == "sample" else noise - clean


def velocity(settings: FlowSettings, prediction: Tensor, x_t: Tensor, times: Tensor) -> Tensor:
    """The velocity that a prediction [B, ...] at times [B] means."""
    return (x_t - prediction) / _like(times, x_t) if settings.prediction == "sample" else prediction


def flow_loss(prediction: Tensor, wanted: Tensor, weight: Tensor | None = None) -> Tensor:
    """Squared error of a batch [B, C, S, h, w], each sample's by itself: [B]. ``weight`` [B, 1, S, h, w] is brought
    to mean 1 in each sample."""
    error = (prediction.float() - wanted.float()).square()
    if weight is not None:
        error = error * (weight / weight.mean(dim=(1, 2, 3, 4), keepdim=True))
    return error.mean(dim=(1, 2, 3, 4))


def _like(times: Tensor, values: Tensor) -> Tensor:
    return times.view(-1, *[1] * (values.ndim - 1)).to(values)
