"""From the world's axes (+Y up, OpenCV cameras) to Blender's (+Z up, cameras along -Z). The only place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

WORLD_TO_BLENDER = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
"""x stays, world up (+Y) becomes +Z, the face (+Z) looks along -Y."""

_SENSOR_MM = 36.0
_FLIP = np.diag([1.0, -1.0, -1.0, 1.0])


def points_to_blender(points: Array) -> Array:
    """World points or directions [..., 3] -> Blender's axes, float32 and contiguous."""
    return np.ascontiguousarray(np.asarray(points) @ WORLD_TO_BLENDER[:3, :3].T, np.float32)


def transform_to_blender(transform: Array) -> Array:
    """A rigid world transform [4, 4] as one between points in Blender's axes."""
    return WORLD_TO_BLENDER @ transform @ WORLD_TO_BLENDER.T


def camera_to_blender(world_to_camera: Array) -> Array:
    """``matrix_world`` [4, 4] of the Blender camera that stands and looks as ``world_to_camera`` does."""
    return WORLD_TO_BLENDER @ np.linalg.inv(world_to_camera) @ _FLIP


def place_camera(camera: Any, intrinsics: Array, world_to_camera: Array, width: int, height: int) -> None:
    """Move a Blender camera object and set its lens.

    Pixel (i, j) covers [j, j+1) x [i, i+1) in both conventions, so the principal point carries over as a
    shift, which Blender measures in widths of the picture. Raises ValueError when fx and fy differ or there
    is skew: Blender's pixels are set square.
    """
    fx, fy, skew = intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 1]
    if abs(fx - fy) > 1e-6 * fx or skew != 0:
        raise ValueError(f"a camera needs square pixels without skew, but fx={fx}, fy={fy}, skew={skew}")
    lens = camera.data
    lens.type = "PERSP"
    lens.sensor_fit = "HORIZONTAL"
    lens.sensor_width = _SENSOR_MM
    lens.lens = fx * _SENSOR_MM / width
    lens.shift_x = (width / 2 - intrinsics[0, 2]) / width
    lens.shift_y = (intrinsics[1, 2] - height / 2) / width
    lens.clip_start, lens.clip_end = 0.01, 1000.0
    _assign(camera, camera_to_blender(world_to_camera))


def set_transform(thing: Any, transform: Array) -> None:
    """Give a Blender object a rigid world transform [4, 4] in the world's axes."""
    _assign(thing, transform_to_blender(transform))


def look_along(thing: Any, position: Array, target: Array) -> None:
    """Stand a light at ``position`` [3] and point its axis (-Z) at ``target`` [3], world metres."""
    from mathutils import Vector

    where, aim = (Vector(points_to_blender(point)) for point in (position, target))
    thing.location = where
    thing.rotation_euler = (aim - where).to_track_quat("-Z", "Y").to_euler()


def _assign(thing: Any, matrix: Array) -> None:
    from mathutils import Matrix  # comes with bpy and only works after it

    thing.matrix_world = Matrix(matrix.tolist())
