"""A small convolutional network from a face to its code, and what is done to faces while it learns."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class FaceNetwork(nn.Module):
    """Faces [N, 3, size, size] in [-1, 1] to codes [N, code_size]; size is a multiple of 8.

    Residual blocks at 1/2, 1/4 and 1/8 of the size, then a layer that sees where in the face each feature is:
    crops are upright and centred, so place tells mouth from eye. GroupNorm: a code must not depend on its batch.
    """

    def __init__(self, code_size: int, size: int, width: int, depth: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width)
        self.stem = nn.Conv2d(3, width, 5, stride=2, padding=2)
        stages: list[nn.Module] = []
        before = width
        for level, channels in enumerate(widths):
            for block in range(depth):
                stages.append(_Block(before, channels, stride=2 if level and block == 0 else 1))
                before = channels
        self.stages = nn.Sequential(*stages)
        self.norm = nn.GroupNorm(_groups(before), before)
        self.squeeze = nn.Conv2d(before, before // 2, 1)
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(before // 2 * (size // 8) ** 2, 2 * before)
        self.code = nn.Linear(2 * before, code_size)

    def forward(self, faces: Tensor) -> Tensor:
        x = self.stages(self.stem(faces))  # [N, 4 width, size / 8, size / 8]
        x = functional.silu(self.squeeze(functional.silu(self.norm(x))))
        x = self.dropout(x.flatten(1))
        return self.code(functional.silu(self.hidden(x)))


class _Block(nn.Module):
    """Pre-activation residual block (He et al., "Identity mappings in deep residual networks", 2016)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(_groups(before), before)
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1)
        self.norm2 = nn.GroupNorm(_groups(after), after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.skip = nn.Conv2d(before, after, 1) if (before, stride) != (after, 1) else nn.Identity()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(functional.silu(self.norm1(x)))
        y = self.conv2(functional.silu(self.norm2(y)))
        return self.skip(functional.avg_pool2d(x, self.stride) if self.stride > 1 else x) + y


def _groups(channels: int) -> int:
    return math.gcd(8, channels)


def augment(faces: Tensor, generator: torch.Generator, strength: float = 1.0) -> Tensor:
    """Faces [N, 3, size, size] in [-1, 1] as another camera, light or detector might have shown them.

    Each is moved, scaled and turned a little, its contrast, brightness, tint and gamma change, and some are blurred
    or noisy. None is mirrored: that changes what is to be told.
    """
    count, device = len(faces), faces.device

    def draw(*shape: int) -> Tensor:
        return (torch.rand(count, *shape, generator=generator) * 2 - 1).to(device) * strength

    angle = draw() * math.radians(8)
    scale = torch.exp(draw() * 0.1)
    stretch = torch.exp(draw() * 0.04)
    shift = draw(2) * 0.08
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    turn = torch.stack(
        [torch.stack([cosine * stretch, -sine, shift[:, 0]], 1), torch.stack([sine, cosine / stretch, shift[:, 1]], 1)],
        1,
    )
    grid = functional.affine_grid(turn, list(faces.shape), align_corners=False)
    x = functional.grid_sample(faces, grid, padding_mode="border", align_corners=False)
    blurred = functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    x = torch.lerp(x, blurred, draw(1, 1, 1).clamp_min(0))
    light = ((x + 1) / 2).clamp(1e-3, 1) ** torch.exp(draw(1, 1, 1) * 0.4)
    light = light * torch.exp(draw(1, 1, 1) * 0.25 + draw(3, 1, 1) * 0.12)
    middle = light.mean(dim=(1, 2, 3), keepdim=True)
    light = middle + (light - middle) * torch.exp(draw(1, 1, 1) * 0.3)
    grey = light.mean(dim=1, keepdim=True)
    light = torch.lerp(light, grey.expand_as(light), draw(1, 1, 1).clamp_min(0))
    noise = torch.randn(light.shape, generator=generator).to(device) * draw(1, 1, 1).clamp_min(0) * 0.03
    return ((light + noise) * 2 - 1).clamp(-1, 1)
