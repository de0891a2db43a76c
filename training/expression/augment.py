"""What is done to faces while an encoder learns, to them and to the points on them."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from training.expression.targets import MIRRORED

_TURN_DEG: Final = 8.0
_SCALE: Final = 0.10
_STRETCH: Final = 0.04
_SHIFT: Final = 0.08
"""Share of half the edge."""
_GAMMA: Final = 0.4
_BRIGHTNESS: Final = 0.25
_TINT: Final = 0.12
_CONTRAST: Final = 0.3
_NOISE: Final = 0.03

OTHER_SIDE: Final = [dict(MIRRORED)[i] for i in range(len(MIRRORED))]


def augment(faces: Tensor, points: Tensor, generator: torch.Generator, strength: float = 1.0) -> tuple[Tensor, Tensor]:
    """Faces [N, 3, size, size] in [-1, 1], and points [N, P, 2] on them (-1 to 1 from edge to edge), as another
    camera, light or detector might have shown them.

    Each is moved, scaled and turned a little; its gamma, brightness, tint and contrast change, it loses some colour
    and sharpness, and gains noise. ``generator`` is on the CPU, so that every device sees the same.
    """
    count, device = len(faces), faces.device

    def draw(*shape: int) -> Tensor:
        return (torch.rand(count, *shape, generator=generator) * 2 - 1).to(device) * strength

    def sometimes(*shape: int) -> Tensor:
        return draw(*shape).clamp(0, 1)

    angle, scale, stretch = draw() * math.radians(_TURN_DEG), torch.exp(draw() * _SCALE), torch.exp(draw() * _STRETCH)
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = [torch.stack([cosine * stretch, -sine], dim=1), torch.stack([sine, cosine / stretch], dim=1)]
    turn, shift = torch.stack(rows, dim=1), draw(2) * _SHIFT  # from where in the new crop to where in the old
    grid = functional.affine_grid(torch.cat([turn, shift[:, :, None]], dim=2), list(faces.shape), align_corners=False)
    seen = functional.grid_sample(faces, grid, padding_mode="border", align_corners=False)
    points = (points - shift[:, None]) @ torch.linalg.inv(turn).transpose(1, 2)

    blurred = functional.avg_pool2d(functional.pad(seen, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    seen = torch.lerp(seen, blurred, sometimes(1, 1, 1))
    light = ((seen + 1) / 2).clamp(1e-3, 1) ** torch.exp(draw(1, 1, 1) * _GAMMA)
    light = light * torch.exp(draw(1, 1, 1) * _BRIGHTNESS + draw(3, 1, 1) * _TINT)
    middle = light.mean(dim=(1, 2, 3), keepdim=True)
    light = middle + (light - middle) * torch.exp(draw(1, 1, 1) * _CONTRAST)
    light = torch.lerp(light, light.mean(dim=1, keepdim=True).expand_as(light), sometimes(1, 1, 1))
    noise = torch.randn(light.shape, generator=generator).to(device) * sometimes(1, 1, 1) * _NOISE
    return ((light + noise) * 2 - 1).clamp(-1, 1), points


def mirror(faces: Tensor, points: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """The chosen [N, bool] of faces and of their landmarks [N, 70, 2], each landmark taking its counterpart's place."""
    faces = torch.where(chosen[:, None, None, None], faces.flip(-1), faces)
    other = points[:, OTHER_SIDE] * points.new_tensor([-1, 1])
    return faces, torch.where(chosen[:, None, None], other, points)
