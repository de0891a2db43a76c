"""The block that the small convolutional networks are made of."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional


class ResidualBlock(nn.Module):
    """Pre-activation residual block (He et al., "Identity mappings in deep residual networks", 2016)."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups(before), before)
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1)
        self.norm2 = nn.GroupNorm(groups(after), after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.skip = nn.Conv2d(before, after, 1) if (before, stride) != (after, 1) else nn.Identity()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(functional.silu(self.norm1(x)))
        y = self.conv2(functional.silu(self.norm2(y)))
        skipped: Tensor = self.skip(functional.avg_pool2d(x, self.stride) if self.stride > 1 else x)
        return skipped + y


def groups(channels: int) -> int:
    return math.gcd(8, channels)
