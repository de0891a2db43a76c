"""Where mouth and eyes are in a picture, and how much each place of it counts in a loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from manifests.errors import UserError

MOUTH: Final = tuple(range(48, 68))
RIGHT_EYE: Final = tuple(range(36, 42))
LEFT_EYE: Final = tuple(range(42, 48))
RIGHT_BROW: Final = tuple(range(17, 22))
LEFT_BROW: Final = tuple(range(22, 27))
"""Landmarks in the iBUG order; left and right are the subject's own."""

MARGIN: Final = 1.2
"""How much larger a region is than the smallest ellipse of its form that holds its landmarks."""


def region_masks(landmarks: Tensor, height: int, width: int, brows: bool = True) -> dict[str, Tensor]:
    """``mouth`` and ``eyes``, each bool [B, 1, T, H, W], from landmarks [B, T, 70, 2] in pixels.

    Each mouth and each eye (with its brow, unless told otherwise) is an ellipse about its landmarks that turns and
    shrinks with them; it holds every pixel that one of them is in. Landmarks that are not finite give no region.
    """
    if landmarks.ndim != 4 or landmarks.shape[2] < 68 or landmarks.shape[3] != 2:
        raise UserError(f"landmarks: shape {list(landmarks.shape)} given; must be [B, T, 70, 2]")
    right, left = (RIGHT_EYE + RIGHT_BROW, LEFT_EYE + LEFT_BROW) if brows else (RIGHT_EYE, LEFT_EYE)
    mouth, right_eye, left_eye = (
        _ellipse(landmarks[:, :, list(points)].float(), height, width) for points in (MOUTH, right, left)
    )
    return {"mouth": mouth[:, None], "eyes": (right_eye | left_eye)[:, None]}


@dataclass(frozen=True)
class LossWeights:
    """What a loss counts more than the background, whose weight is 1. Factors multiply: the mouth of a person weighs
    foreground x mouth."""

    foreground: float = 1.0
    mouth: float = 1.0
    eyes: float = 1.0

    def __post_init__(self) -> None:
        for name, factor in vars(self).items():
            if not 0 < factor < float("inf"):
                raise UserError(f"loss_weights.{name}: {factor} given; must be above 0 and finite (1 changes nothing)")

    def weight_map(self, alpha: Tensor, landmarks: Tensor, spatial_stride: int, temporal_stride: int) -> Tensor:
        """Weights float32 [B, 1, S, H / spatial_stride, W / spatial_stride] of latents, from alpha [B, 1, T, H, W]
        in [0, 1] and landmarks [B, T, 70, 2] in pixels: the mean over the pixels and frames of each place."""
        weights = 1 + (self.foreground - 1) * alpha.float()
        if (self.mouth, self.eyes) != (1, 1):
            masks = region_masks(landmarks, *alpha.shape[-2:])
            weights = torch.where(masks["mouth"], weights * self.mouth, weights)
            weights = torch.where(masks["eyes"], weights * self.eyes, weights)
        return pool_to_slots(weights, spatial_stride, temporal_stride)


def pool_to_slots(values: Tensor, spatial_stride: int, temporal_stride: int) -> Tensor:
    """Means [B, C, S, H / spatial_stride, W / spatial_stride] of values [B, C, T, H, W] over a codec's places: the
    first frame has a slot of its own, each further slot holds ``temporal_stride`` frames.

    Raises UserError where the strides do not divide the sizes.
    """
    frames, height, width = values.shape[2:]
    if (frames - 1) % temporal_stride or height % spatial_stride or width % spatial_stride:
        raise UserError(
            f"video: {frames} frames of {height} x {width} do not fit the codec, which takes {temporal_stride}k + 1 "
            f"frames and multiples of {spatial_stride} pixels; choose others"
        )
    first = functional.avg_pool3d(values[:, :, :1], (1, spatial_stride, spatial_stride))
    if frames == 1:
        return first
    rest = functional.avg_pool3d(values[:, :, 1:], (temporal_stride, spatial_stride, spatial_stride))
    return torch.cat([first, rest], dim=2)


def _ellipse(points: Tensor, height: int, width: int) -> Tensor:
    """bool [B, T, H, W]: inside the ellipse about points [B, T, N, 2].

    Its form is that of the points' covariance, made rounder: a closed mouth is no line. Lengths are measured in
    that form (Mahalanobis distance), and a pixel's half diagonal is added to the farthest point's.
    """
    centre = points.mean(dim=2, keepdim=True)
    apart = points - centre  # [B, T, N, 2]
    covariance = apart.mT @ apart / points.shape[2]
    x2, y2, xy = covariance[..., 0, 0], covariance[..., 1, 1], covariance[..., 0, 1]
    floor = _ROUNDER * (x2 + y2) + _HALF_DIAGONAL**2
    x2, y2 = x2 + floor, y2 + floor
    determinant = x2 * y2 - xy**2
    smallest = (x2 + y2) / 2 - ((x2 - y2) ** 2 / 4 + xy**2).sqrt()

    def length(x: Tensor, y: Tensor) -> Tensor:
        """Of vectors [B, T, ...] in the ellipse's form."""
        a, b, c, d = (value.view(*value.shape, *(1,) * (x.ndim - 2)) for value in (x2, y2, xy, determinant))
        return ((b * x**2 - 2 * c * x * y + a * y**2) / d).clamp(min=0).sqrt()

    radius = MARGIN * length(*apart.unbind(-1)).amax(dim=2) + _HALF_DIAGONAL / smallest.sqrt()
    rows = torch.arange(height, device=points.device) + 0.5
    columns = torch.arange(width, device=points.device) + 0.5
    x = (columns - centre[..., 0]).unsqueeze(2)  # [B, T, 1, W]
    y = (rows - centre[..., 1]).unsqueeze(3)  # [B, T, H, 1]
    return length(x, y) <= radius[..., None, None]


_ROUNDER: Final = 0.1
_HALF_DIAGONAL: Final = 0.5**0.5
