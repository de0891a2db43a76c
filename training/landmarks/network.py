"""A small network from a square picture to points, whether each is seen, and whether there is a face."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from manifests.conventions import LANDMARK_COUNT
from training.residual import ResidualBlock, groups


@dataclass(frozen=True)
class Told:
    """What the network says of N pictures."""

    points: Tensor
    """[N, 70, 2]: -1 to 1 from edge to edge of the picture."""
    spread: Tensor
    """[N, 70]: variance of each point's heat, on the same scale."""
    visible: Tensor
    """[N, 70] logits."""
    found: Tensor
    """[N] logits."""


class LandmarkNetwork(nn.Module):
    """Pictures [N, 3, size, size] in [-1, 1]; size is a multiple of 8.

    Residual blocks down to an eighth of the size, where the whole face is seen at once, and up again to a quarter; a
    point is the mean of its heat map there (Sun et al., "Integral human pose regression", 2018), so that it falls
    between the cells.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 5, stride=2, padding=2)
        self.fine = ResidualBlock(width, width)
        self.quarter = nn.Sequential(ResidualBlock(width, 2 * width, stride=2), ResidualBlock(2 * width, 2 * width))
        self.eighth = nn.Sequential(ResidualBlock(2 * width, 4 * width, stride=2), ResidualBlock(4 * width, 4 * width))
        self.mixed = _Mixed(4 * width)
        self.up = nn.Conv2d(4 * width, 2 * width, 1)
        self.joined = ResidualBlock(2 * width, 2 * width)
        self.heat = nn.Conv2d(2 * width, LANDMARK_COUNT, 1)
        self.said = nn.Linear(4 * width, LANDMARK_COUNT + 1)

    def forward(self, pictures: Tensor) -> Told:
        quarter = self.quarter(self.fine(self.stem(pictures)))
        eighth = self.mixed(self.eighth(quarter))
        fine = functional.interpolate(self.up(eighth), scale_factor=2.0, mode="bilinear", align_corners=False)
        heat = self.heat(functional.silu(self.joined(quarter + fine)))
        points, spread = _mean_and_spread(heat)
        said = self.said(functional.silu(eighth).mean(dim=(2, 3)))
        return Told(points, spread, said[:, :-1], said[:, -1])


def _mean_and_spread(heat: Tensor) -> tuple[Tensor, Tensor]:
    """Means [N, P, 2] and variances [N, P] of heat maps [N, P, h, w], softmaxed."""
    count, points, rows, columns = heat.shape
    share = heat.flatten(2).float().softmax(dim=2).view(count, points, rows, columns)
    x = (torch.arange(columns, device=heat.device) + 0.5) * (2 / columns) - 1
    y = (torch.arange(rows, device=heat.device) + 0.5) * (2 / rows) - 1
    of_x, of_y = share.sum(dim=2), share.sum(dim=3)
    mean = torch.stack([of_x @ x, of_y @ y], dim=-1)
    square = torch.stack([of_x @ x.square(), of_y @ y.square()], dim=-1)
    return mean, (square - mean.square()).sum(dim=-1)


class _Mixed(nn.Module):
    """Lets every place know of all others: convolutions of an eighth of the size far apart."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups(channels), channels)
        self.far = nn.Conv2d(channels, channels, 3, padding=2, dilation=2)
        self.whole = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.silu(self.norm(x))
        return x + self.far(y) + self.whole(y.mean(dim=(2, 3)))[:, :, None, None]
