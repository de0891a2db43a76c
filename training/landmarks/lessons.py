"""Batches that a detector learns from: faces large and small, turned, cut off, before anything; and no faces."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from training.expression.augment import OTHER_SIDE, mirror
from training.landmarks.network import Told
from training.landmarks.portraits import MARGIN, SIZE, Portraits, cut_out

_TURN_DEG: Final = 35.0
_LEAST_SHARE, _MOST_SHARE = 0.22, 0.95
"""Of the picture's edge, that of the face."""
_FACELESS: Final = 0.2
"""Share of the pictures that show no face."""
_BEFORE_ANOTHER: Final = 0.6
"""Share of the faces that are put before another background."""
_HIDDEN: Final = 0.3
"""What a hidden point counts."""


@dataclass(frozen=True)
class Batch:
    """N pictures and what is true of them."""

    pictures: Tensor
    """[N, 3, size, size] in [-1, 1]."""
    points: Tensor
    """[N, 70, 2]: -1 to 1 from edge to edge."""
    visible: Tensor
    """bool [N, 70]: seen, and within the picture."""
    face: Tensor
    """bool [N]."""


def draw_batch(portraits: Portraits, count: int, size: int, generator: torch.Generator) -> Batch:
    """All is drawn by ``generator``, on the CPU."""

    def draw(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator)

    rows = torch.randint(len(portraits), (count,), generator=generator)
    pictures = portraits.pictures[rows].float() / 127.5 - 1
    alpha = portraits.alpha[rows].float() / 255
    points, visible = portraits.points[rows], portraits.visible[rows]
    ground = _backgrounds(count, SIZE, generator)
    another = (draw() < _BEFORE_ANOTHER)[:, None, None, None]
    pictures = torch.where(another, pictures + (ground + 1) * (1 - alpha), pictures)  # over black: premultiplied
    chosen = draw() < 0.5
    pictures, points = mirror(pictures.clamp(-1, 1), points, chosen)
    visible = torch.where(chosen[:, None], visible[:, OTHER_SIDE], visible)

    share = torch.exp(math.log(_LEAST_SHARE) + draw() * math.log(_MOST_SHARE / _LEAST_SHARE))
    edge = SIZE / MARGIN / share
    turn = (draw() * 2 - 1) * math.radians(_TURN_DEG)
    room = (1 - share).clamp_min(0.1)[:, None] * edge[:, None] / 2
    centre = SIZE / 2 + (draw(2) * 2 - 1) * room
    away = draw() < _FACELESS
    direction = 2 * math.pi * draw()
    aside = SIZE / 2 + torch.stack([direction.cos(), direction.sin()], dim=1) * (edge / 2 + SIZE / MARGIN / 2)[:, None]
    centre = torch.where(away[:, None], aside, centre)

    cut = cut_out(torch.cat([pictures + 1, torch.ones(count, 1, SIZE, SIZE)], dim=1), centre, edge, turn, size)
    ground = _backgrounds(count, size, generator)
    empty = (draw() < 0.5)[:, None, None, None]
    around = torch.where(empty, ground, -torch.ones_like(ground))
    pictures = cut[:, :3] - 1 + (around + 1) * (1 - cut[:, 3:])
    where = (points + 1) * SIZE / 2 - centre[:, None]
    cosine, sine = torch.cos(turn)[:, None], torch.sin(turn)[:, None]
    x, y = where.unbind(dim=-1)
    points = torch.stack([cosine * x + sine * y, cosine * y - sine * x], dim=-1) * (2 / edge)[:, None, None]
    within = (points.abs() <= 1).all(dim=-1)
    return Batch(_lit(pictures, generator), points, visible & within, ~away)


@dataclass(frozen=True)
class Loss:
    total: Tensor
    error: Tensor
    """Mean distance of the seen points, in shares of the picture's edge."""


def measure(told: Told, batch: Batch) -> Loss:
    """Points by their distance, heat by its width (Nibali et al., "Numerical coordinate regression", 2018, keep it
    narrow too), seen and found by cross entropy. Pictures without a face teach of nothing but that."""
    within = (batch.points.abs() <= 1).all(dim=-1)
    weight = torch.where(batch.visible, 1.0, _HIDDEN) * within * batch.face[:, None]
    weight = weight / weight.sum().clamp_min(1)
    distance = (told.points - batch.points).norm(dim=-1)
    missed = functional.smooth_l1_loss(told.points, batch.points, beta=0.05, reduction="none").sum(dim=-1)
    spread = ((told.spread - _HEAT**2).abs() * weight).sum()
    seen = functional.binary_cross_entropy_with_logits(told.visible, batch.visible.float(), reduction="none")
    seen = (seen * batch.face[:, None]).mean()
    found = functional.binary_cross_entropy_with_logits(told.found, batch.face.float())
    looked = batch.visible & batch.face[:, None]
    error = (distance * looked).sum() / looked.sum().clamp_min(1) / 2
    return Loss(10 * (missed * weight).sum() + spread + 0.2 * seen + 0.2 * found, error.detach())


_HEAT: Final = 0.08
"""Deviation of a point's heat, on the scale of the points."""


def _backgrounds(count: int, size: int, generator: torch.Generator) -> Tensor:
    """[N, 3, size, size] in [-1, 1]: noise of any coarseness between two colours."""
    coarse = torch.randn(count, 3, 4, 4, generator=generator)
    fine = torch.randn(count, 3, 16, 16, generator=generator)
    share = torch.rand(count, 1, 1, 1, generator=generator)
    mixed = (1 - share) * functional.interpolate(
        coarse, (size, size), mode="bilinear"
    ) + share * functional.interpolate(fine, (size, size), mode="bilinear")
    strength, colour = torch.rand(count, 1, 1, 1, generator=generator), torch.rand(count, 3, 1, 1, generator=generator)
    return (colour * 2 - 1 + strength * mixed).clamp(-1, 1)


def _lit(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Under other light, less sharp, with noise, part of it covered."""
    count, size = len(pictures), pictures.shape[-1]

    def draw(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator) * 2 - 1

    light = ((pictures + 1) / 2).clamp(1e-3, 1) ** torch.exp(draw(1, 1, 1) * 0.5)
    light = light * torch.exp(draw(1, 1, 1) * 0.3 + draw(3, 1, 1) * 0.15)
    grey = light.mean(dim=1, keepdim=True).expand_as(light)
    light = torch.lerp(light, grey, draw(1, 1, 1).clamp(0, 1))
    soft = functional.avg_pool2d(functional.pad(light, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    light = torch.lerp(light, soft, draw(1, 1, 1).clamp(0, 1))
    light = light + torch.randn(light.shape, generator=generator) * draw(1, 1, 1).clamp(0, 1) * 0.05
    grid = (torch.arange(size) + 0.5) / size * 2 - 1
    middle, half = draw(2, 1, 1), (draw(2, 1, 1).clamp(0, 1) * 0.25)
    covered = ((grid.view(1, 1, -1) - middle[:, 0]).abs() < half[:, 0]) & (
        (grid.view(1, -1, 1) - middle[:, 1]).abs() < half[:, 1]
    )
    light = torch.where(covered[:, None], (draw(3, 1, 1) + 1) / 2, light)
    return (light * 2 - 1).clamp(-1, 1)
