"""Where what one picture shows is in another: by the mesh itself, at other times and before other cameras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from datagen.geometry.cameras import project
from datagen.geometry.raster import View

Array = NDArray[Any]

_HIDDEN_M: Final = 0.004
"""A point is hidden by what is further before it than this."""


@dataclass(frozen=True)
class Sight:
    """A mesh before a camera: vertices [V, 3] in metres, intrinsics [3, 3] in pixels, world_to_camera [4, 4]."""

    vertices: Array
    intrinsics: Array
    world_to_camera: Array


def places_of(source: Sight, target: Sight, faces: Array, size: tuple[int, int]) -> tuple[Array, Array]:
    """For each pixel of the target's picture, of ``size`` (H, W): where the source's picture shows the same point of
    the surface, float32 [H, W, 2] in pixels, and whether it does, bool [H, W]."""
    hits = View(target.vertices, faces, target.intrinsics, target.world_to_camera).hits(*size)
    points = hits.interpolate(faces, np.asarray(source.vertices, np.float64))
    pixels, depth = project(points, source.intrinsics, source.world_to_camera)
    inside = (depth > 0) & (pixels > 0).all(axis=1) & (pixels < [size[1], size[0]]).all(axis=1) & ~hits.back
    before = np.full(len(depth), -np.inf)
    view = View(source.vertices, faces, source.intrinsics, source.world_to_camera)
    before[inside] = view.depth_at(pixels[inside])
    seen = inside & (depth <= before + _HIDDEN_M)
    return hits.picture(pixels.astype(np.float32)), hits.picture(seen)


def brought_over(picture: Tensor, places: Array) -> Tensor:
    """A picture [3, H, W] as the target would show it, [3, h, w], by places [h, w, 2]."""
    height, width = picture.shape[-2:]
    grid = torch.from_numpy(places).to(picture) * picture.new_tensor([2 / width, 2 / height]) - 1
    return functional.grid_sample(picture[None], grid[None], padding_mode="border", align_corners=False)[0]
