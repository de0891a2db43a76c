"""Pose normals rendered anew: the template mesh in any pose, before any camera, as the corpus would hold it."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.geometry.cameras import world_normals_to_camera
from datagen.geometry.normals import shading_normals, vertex_normals
from datagen.geometry.raster import View
from datagen.geometry.surface import Surface, make_surface
from datagen.heads.model import HeadModel
from manifests.clip import Motion
from manifests.errors import UserError

Array = NDArray[Any]

MOST_SUBDIVISION = 2
"""As in a corpus's configuration; each level has four times the faces of the one below."""


def render_pose_normals(
    head: HeadModel,
    motion: Motion,
    intrinsics: Array,
    world_to_camera: Array,
    height: int,
    width: int,
    subdivision: int,
) -> Array:
    """Unit normals float32 [T, H, W, 3] in world space, zero where there is no surface.

    The head is posed as in ``motion`` (T frames) with a neutral face and a closed jaw, and seen in frame t by the
    camera ``intrinsics`` [T, 3, 3] (pixels), ``world_to_camera`` [T, 4, 4] (metres). ``subdivision`` is that of the
    clip's pictures, ``render.subdivision`` of its spec.json. What a corpus stores of a clip is this, in bytes.
    Raises UserError where cameras and motion differ in length, or a size does not fit.
    """
    _check(motion, np.shape(intrinsics), np.shape(world_to_camera), height, width, subdivision)
    surface = _surface(head, subdivision)
    vertices = surface.refine(head.pose(motion.without_expression()))
    out = np.empty((motion.frames, height, width, 3), np.float32)
    normals = vertex_normals(vertices[0], surface.faces)
    for t, posed in enumerate(vertices):
        if t and not np.array_equal(posed, vertices[t - 1]):
            normals = vertex_normals(posed, surface.faces)
        hits = View(posed, surface.faces, intrinsics[t], world_to_camera[t]).hits(height, width)
        out[t] = hits.picture(shading_normals(hits, surface.faces, normals))
    return out


def camera_space(normals: Array, world_to_camera: Array) -> Array:
    """World-space normals [T, H, W, 3] as a `training.data.batch.Sample` holds them: float32 [3, T, H, W], in the
    space of their frame's camera ``world_to_camera`` [T, 4, 4]."""
    turned = world_normals_to_camera(normals, world_to_camera)
    return np.ascontiguousarray(np.moveaxis(turned, -1, 0), np.float32)


@functools.lru_cache(maxsize=4)
def _surface(head: HeadModel, subdivision: int) -> Surface:
    return make_surface(head, subdivision)


def _check(
    motion: Motion,
    intrinsics: tuple[int, ...],
    world_to_camera: tuple[int, ...],
    height: int,
    width: int,
    subdivision: int,
) -> None:
    frames = motion.frames
    if frames < 1 or intrinsics != (frames, 3, 3) or world_to_camera != (frames, 4, 4):
        raise UserError(
            f"cameras: intrinsics {intrinsics} and world_to_camera {world_to_camera} do not fit {frames} frames "
            "of motion; give one camera a frame"
        )
    if height < 1 or width < 1:
        raise UserError(f"resolution: {width} x {height} holds no pixel; give at least 1 x 1")
    if not 0 <= subdivision <= MOST_SUBDIVISION:
        raise UserError(f"subdivision: {subdivision} given; must be 0 to {MOST_SUBDIVISION}")
