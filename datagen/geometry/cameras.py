"""Pinhole cameras: where they stand, what they see, and the rays that leave them.

Conventions are those of ``manifests.conventions``: OpenCV axes, pixel centres at +0.5, world +Y up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]

_UP = np.array([0.0, 1.0, 0.0])


def look_at(eye: ArrayLike, target: ArrayLike, roll_rad: ArrayLike = 0.0) -> Array:
    """world_to_camera [..., 4, 4] of cameras at ``eye`` [..., 3] that look at ``target`` [..., 3], metres.

    At ``roll_rad`` [...] = 0 the world's +Y is up in the picture; a positive roll turns the camera clockwise
    as seen from behind it, so the picture turns anticlockwise. A camera that looks straight up or down has
    world +X to its right. Raises ValueError when eye and target coincide.
    """
    eye, target, roll = (np.asarray(a, np.float64) for a in (eye, target, roll_rad))
    forward = target - eye
    distance = np.linalg.norm(forward, axis=-1, keepdims=True)
    if np.any(distance == 0):
        raise ValueError("a camera cannot look at the point it stands on")
    forward = forward / distance
    right = np.cross(forward, _UP)
    length = np.linalg.norm(right, axis=-1, keepdims=True)
    right = np.where(length > 1e-9, right / np.maximum(length, 1e-9), [1.0, 0.0, 0.0])
    down = np.cross(forward, right)
    cos, sin = np.cos(roll)[..., None], np.sin(roll)[..., None]
    right, down = cos * right + sin * down, cos * down - sin * right
    rotation = np.stack(np.broadcast_arrays(right, down, forward), axis=-2)
    out = np.zeros((*rotation.shape[:-2], 4, 4))
    out[..., :3, :3] = rotation
    out[..., :3, 3] = -np.einsum("...ij,...j->...i", rotation, np.broadcast_to(eye, rotation.shape[:-1]))
    out[..., 3, 3] = 1.0
    return out


SENSOR_WIDTH_MM = 36.0
"""Of the camera that focal lengths in millimetres are those of: 35 mm film."""


def intrinsics_from_focal(
    focal_length_mm: ArrayLike, width: int, height: int, sensor_width_mm: float = SENSOR_WIDTH_MM
) -> Array:
    """K [..., 3, 3] in pixels: square pixels, centred principal point, the sensor's width over ``width``."""
    focal = np.asarray(focal_length_mm, np.float64) * (width / sensor_width_mm)
    out = np.zeros((*focal.shape, 3, 3))
    out[..., 0, 0] = out[..., 1, 1] = focal
    out[..., 0, 2], out[..., 1, 2], out[..., 2, 2] = width / 2, height / 2, 1.0
    return out


def focal_from_intrinsics(intrinsics: Array, width: int) -> float:
    """Focal length in millimetres of K [3, 3] for pictures of ``width`` pixels."""
    return float(intrinsics[0, 0]) * SENSOR_WIDTH_MM / width


def project(points: ArrayLike, intrinsics: ArrayLike, world_to_camera: ArrayLike) -> tuple[Array, Array]:
    """World points [..., N, 3] -> (pixels [..., N, 2], z-depth [..., N] in metres).

    Leading axes of points, ``intrinsics`` [..., 3, 3] and ``world_to_camera`` [..., 4, 4] broadcast. Points
    behind the camera have depth <= 0 and meaningless pixels.
    """
    w2c = np.asarray(world_to_camera, np.float64)
    rotation = np.swapaxes(w2c[..., :3, :3], -1, -2)
    local = np.asarray(points, np.float64) @ rotation + w2c[..., None, :3, 3]
    homogeneous = local @ np.swapaxes(np.asarray(intrinsics, np.float64), -1, -2)
    depth = local[..., 2]
    safe = np.where(np.abs(depth) > 1e-12, depth, 1e-12)
    return homogeneous[..., :2] / safe[..., None], depth


def unproject(pixels: ArrayLike, depth: ArrayLike, intrinsics: ArrayLike, world_to_camera: ArrayLike) -> Array:
    """Pixels [..., N, 2] at z-depth [..., N] metres -> world points [..., N, 3]; the inverse of `project`."""
    w2c = np.asarray(world_to_camera, np.float64)
    rays = _camera_rays(np.asarray(pixels, np.float64), intrinsics)
    local = rays * np.asarray(depth, np.float64)[..., None]
    return (local - w2c[..., None, :3, 3]) @ w2c[..., :3, :3]


def camera_centre(world_to_camera: ArrayLike) -> Array:
    """Where cameras stand in the world [..., 3], metres."""
    w2c = np.asarray(world_to_camera, np.float64)
    return -np.einsum("...ji,...j->...i", w2c[..., :3, :3], w2c[..., :3, 3])


def pixel_rays(intrinsics: ArrayLike, world_to_camera: ArrayLike, height: int, width: int) -> Array:
    """World directions [..., H, W, 3] through pixel centres, of length 1 along the optical axis.

    Not unit vectors: ``centre + depth * direction`` is the point at that z-depth.
    """
    pixels = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), -1).reshape(-1, 2)
    local = _camera_rays(pixels, intrinsics)
    world = local @ np.asarray(world_to_camera, np.float64)[..., :3, :3]
    return world.reshape((*world.shape[:-2], height, width, 3))


def plucker_rays(intrinsics: ArrayLike, world_to_camera: ArrayLike, height: int, width: int) -> Array:
    """Plücker coordinates [..., 6, H, W] float32 of the rays through pixel centres, in world space.

    Channels 0-2 are the unit direction d, 3-5 the moment o x d (metres), o being the camera's centre. For a
    lower resolution scale K with `scale_intrinsics` first. Source: Plücker line coordinates as used for
    camera conditioning by Sitzmann et al., "Light Field Networks", 2021.
    """
    direction = pixel_rays(intrinsics, world_to_camera, height, width)
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    moment = np.cross(camera_centre(world_to_camera)[..., None, None, :], direction)
    return np.moveaxis(np.concatenate([direction, moment], axis=-1), -1, -3).astype(np.float32)


def scale_intrinsics(intrinsics: ArrayLike, scale_x: float, scale_y: float | None = None) -> Array:
    """K of the same camera when its picture is resized by the factors given (0.5 halves the width)."""
    scale = np.diag([scale_x, scale_x if scale_y is None else scale_y, 1.0])
    return scale @ np.asarray(intrinsics, np.float64)


def world_normals_to_camera(normals: ArrayLike, world_to_camera: ArrayLike) -> Array:
    """World-space vectors [..., H, W, 3] turned to camera space, by ``world_to_camera`` [..., 4, 4]."""
    rotation = np.asarray(world_to_camera)[..., None, :3, :3]
    return np.asarray(normals) @ np.swapaxes(rotation, -1, -2).astype(np.asarray(normals).dtype)


def _camera_rays(pixels: Array, intrinsics: ArrayLike) -> Array:
    """Camera-space directions [..., N, 3] with z = 1 through pixels [..., N, 2]."""
    homogeneous = np.concatenate([pixels, np.ones_like(pixels[..., :1])], axis=-1)
    return homogeneous @ np.swapaxes(np.linalg.inv(np.asarray(intrinsics, np.float64)), -1, -2)
