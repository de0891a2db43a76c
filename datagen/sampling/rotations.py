"""Unit quaternions (w, x, y, z) and axis-angle vectors, over leading dimensions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def about(axis: int, angle_rad: Array) -> Array:
    """The quaternion [..., 4] of a rotation about a world axis (0 x, 1 y, 2 z)."""
    quaternion = np.zeros((*np.shape(angle_rad), 4))
    quaternion[..., 0] = np.cos(np.asarray(angle_rad) / 2)
    quaternion[..., 1 + axis] = np.sin(np.asarray(angle_rad) / 2)
    return quaternion


def multiply(a: Array, b: Array) -> Array:
    """The product [..., 4]: first b, then a."""
    aw, ax, ay, az = np.moveaxis(a, -1, 0)
    bw, bx, by, bz = np.moveaxis(b, -1, 0)
    return np.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        axis=-1,
    )


def inverse(quaternion: Array) -> Array:
    return quaternion * np.array([1.0, -1.0, -1.0, -1.0])


def axis_angle(quaternion: Array) -> Array:
    """The rotation vector [..., 3] in radians, of length at most pi."""
    quaternion = np.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    sine = np.linalg.norm(quaternion[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, quaternion[..., :1])
    scale = np.where(sine > 1e-9, angle / np.maximum(sine, 1e-9), 2.0)
    return np.asarray(quaternion[..., 1:] * scale)


def turned(yaw_rad: Array, pitch_rad: Array, roll_rad: Array) -> Array:
    """Yaw about +Y (to the subject's left), then pitch about the turned +X (down), then roll about +Z."""
    return multiply(multiply(about(1, yaw_rad), about(0, pitch_rad)), about(2, roll_rad))
