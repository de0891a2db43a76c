"""A small convolutional network from a face to its code."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional


class FaceNetwork(nn.Module):
    """Faces [N, 3, size, size] in [-1, 1] to codes [N, code_size]; size is a multiple of 8.

    Residual blocks at 1/2, 1/4 and 1/8 of the size, then a layer that sees where in the face each feature is:
    crops are upright and centred, so place tells mouth from eye. GroupNorm: a code must not depend on its batch.
    """

    def __init__(self, code_size: int, size: int, width: int, depth: int = 1) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 5, stride=2, padding=2)
        stages: list[nn.Module] = []
        channels = width
        for level in range(3):
            for block in range(depth):
                stages.append(_Block(channels, width << level, stride=2 if level and block == 0 else 1))
                channels = width << level
        self.stages = nn.Sequential(*stages)
        self.norm = nn.GroupNorm(_groups(channels), channels)
        self.squeeze = nn.Conv2d(channels, channels // 2, 1)
        self.hidden = nn.Linear(channels // 2 * (size // 8) ** 2, 2 * channels)
        self.code = nn.Linear(2 * channels, code_size)

    def forward(self, faces: Tensor) -> Tensor:
        code: Tensor = self.code(self.features(faces))
        return code

    def features(self, faces: Tensor) -> Tensor:
        """[N, `code.in_features`]: what the code is made of."""
        x = self.stages(self.stem(faces))  # [N, 4 width, size / 8, size / 8]
        x = functional.silu(self.squeeze(functional.silu(self.norm(x))))
        return functional.silu(self.hidden(x.flatten(1)))


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
        skipped: Tensor = self.skip(functional.avg_pool2d(x, self.stride) if self.stride > 1 else x)
        return skipped + y


def _groups(channels: int) -> int:
    return math.gcd(8, channels)
