"""Faces cut out of video: an upright square that follows the head and not what the face does."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

_STABLE: Final = (27, 28, 29, 30, 31, 33, 35, 36, 39, 42, 45)
"""iBUG points that expression moves least: bridge, tip and base of the nose, and the corners of the eyes."""

_MEAN_FACE_M: Final = (
    (0.0, 0.0872, 0.1185),
    (0.0, 0.0766, 0.1232),
    (0.0, 0.0634, 0.1315),
    (0.0, 0.0522, 0.1375),
    (-0.0162, 0.0437, 0.1177),
    (0.0, 0.0425, 0.1264),
    (0.0162, 0.0437, 0.1177),
    (-0.0456, 0.0891, 0.1034),
    (-0.0179, 0.0873, 0.1072),
    (0.0179, 0.0873, 0.1072),
    (0.0456, 0.0891, 0.1034),
)
"""Those points on the open head's neutral mean, metres in head space (x to the subject's left, y up, z ahead)."""

CENTRE_M: Final = (0.0, 0.054, 0.108)
"""What a crop's centre shows: a point behind the tip of the nose, midway between brows and an open jaw's chin."""

EDGE_M: Final = 0.15
"""What a crop's edge shows: from above the brows to below the chin of a wide open mouth."""

_MOST_SAMPLES: Final = 8
"""A picture's pixels that are averaged into one of the crop, along an axis, at most."""


def crop_faces(video: Tensor, landmarks: Tensor, size: int) -> Tensor:
    """Square crops [B, T, 3, size, size] of video [B, 3, T, H, W] by its landmarks [B, T, 70, 2] in pixels.

    A mean face under scaled orthography is fitted to the landmarks that expression hardly moves (see `boxes`),
    so size and upright of the crop hold still while mouth, lids and brows move, and while the head turns: its
    edge always shows `EDGE_M`. Beyond the picture's border its outermost pixels go on. A face's crop is the same in
    any batch. Differentiable.
    """
    batch, channels, frames, height, width = video.shape
    centre, axes = boxes(landmarks)
    # A small crop of a large picture would alias. Not by the faces' own sizes: one must not change another's crop.
    samples = min(max(round(min(height, width) / size), 1), _MOST_SAMPLES)
    fine = size * samples
    steps = (torch.arange(fine, device=video.device, dtype=axes.dtype) + 0.5) / fine - 0.5
    centre, axes = centre.flatten(0, 1), axes.flatten(0, 1)  # [BT, 2], [BT, 2, 2]
    points = (
        centre[:, None, None]
        + steps[None, None, :, None] * axes[:, None, None, 0]
        + steps[None, :, None, None] * axes[:, None, None, 1]
    )  # [BT, fine, fine, 2] pixels
    grid = points * points.new_tensor([2 / width, 2 / height]) - 1  # pixel centres at +0.5: align_corners=False
    pictures = video.transpose(1, 2).reshape(batch * frames, channels, height, width)
    crops = functional.grid_sample(pictures, grid.to(video.dtype), padding_mode="border", align_corners=False)
    crops = functional.avg_pool2d(crops, samples) if samples > 1 else crops
    return crops.view(batch, frames, channels, size, size)


def in_crop(points: Tensor, landmarks: Tensor) -> Tensor:
    """Where points [..., N, 2] of a picture, in pixels, are in its crop: -1 to 1 from edge to edge."""
    centre, axes = boxes(landmarks)
    return (
        2
        * torch.linalg.solve(axes.transpose(-1, -2)[..., None, :, :], (points - centre[..., None, :])[..., None])[
            ..., 0
        ]
    )


def boxes(landmarks: Tensor) -> tuple[Tensor, Tensor]:
    """Centre [..., 2] and edges [..., 2, 2] (along the crop's rows, then down its columns) in pixels, of landmarks
    [..., 70, 2].

    Least squares gives the affine camera M [2, 3] that takes the mean face to the landmarks. Under scaled
    orthography M = s R[:2], so the scale is its Frobenius norm over sqrt(2) at any pose, and the head's up axis
    falls on M's second column. Tipped so far that this axis is short, the crop turns towards the picture's own up.
    """
    landmarks = landmarks.float()
    model = landmarks.new_tensor(_MEAN_FACE_M)
    middle = model.mean(dim=0)
    inverse = torch.linalg.pinv(model - middle)  # [3, N]
    seen = landmarks[..., list(_STABLE), :]
    seen_middle = seen.mean(dim=-2)
    camera = (inverse @ (seen - seen_middle[..., None, :])).transpose(-1, -2)  # [..., 2, 3]
    scale = camera.square().sum(dim=(-1, -2)).clamp_min(1e-6).sqrt() / math.sqrt(2)  # pixels a metre
    centre = seen_middle + camera @ (landmarks.new_tensor(CENTRE_M) - middle)
    down = -camera[..., 1] / scale[..., None] + landmarks.new_tensor([0.0, 0.1])
    down = down / down.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    right = torch.stack([down[..., 1], -down[..., 0]], dim=-1)
    edge = (EDGE_M * scale)[..., None, None]
    return centre, torch.stack([right, down], dim=-2) * edge
