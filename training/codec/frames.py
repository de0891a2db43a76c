"""Windows of a corpus as a codec sees them, spread evenly over its clips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.data.clips import Clips, Window
from training.pose_normals import camera_space


@dataclass(frozen=True)
class Frames:
    """T frames of one view: pictures [3, T, H, W] in [-1, 1] over black, alpha [1, T, H, W] in [0, 1], and pose normals
    [3, T, H, W] in camera space; float32."""

    pictures: Tensor
    alpha: Tensor
    normals: Tensor


def as_frames(window: Window) -> Frames:
    """A window with all its pictures as tensors."""
    assert window.rgb is not None
    assert window.alpha is not None
    assert window.pose_normals is not None
    alpha = torch.from_numpy(window.alpha.astype(np.float32) / 255)[None]
    colour = torch.from_numpy(np.moveaxis(window.rgb, -1, 0).astype(np.float32) / 255)
    normals = torch.from_numpy(camera_space(window.pose_normals, window.world_to_camera))
    return Frames(colour * alpha * 2 - 1, alpha, normals)


def spread(count: int, most: int) -> list[int]:
    """Up to ``most`` of ``count`` numbers, evenly spread, ascending."""
    return [i * count // most for i in range(most)] if most < count else list(range(count))


def read_frames(clips: Clips, chosen: Sequence[int], frames: int) -> Iterator[Frames]:
    """The first ``frames`` frames of every view of the clips chosen."""
    for i in chosen:
        for window in clips.windows(i, [(view, range(frames)) for view in range(clips.info(i).views)]):
            yield as_frames(window)
