"""A small convolutional network from a face to its code."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from training.residual import ResidualBlock, groups


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
                stages.append(ResidualBlock(channels, width << level, stride=2 if level and block == 0 else 1))
                channels = width << level
        self.stages = nn.Sequential(*stages)
        self.norm = nn.GroupNorm(groups(channels), channels)
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
