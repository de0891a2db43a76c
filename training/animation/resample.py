"""Curves at other times than they were sampled at; where they were sampled, to the last bit what they are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation, Slerp

Array = NDArray[Any]

_SAME_FRAME = 1e-6


def frame_times(frames: int, fps: float, wanted_fps: float) -> Array:
    """Seconds [T] at which a video of ``wanted_fps`` shows what ``frames`` at ``fps`` do; at least one."""
    return np.arange(max(1, round(frames * wanted_fps / fps))) / wanted_fps


def at_times(values: ArrayLike, fps: float, times: Array) -> Array:
    """Values [F, ...] sampled at ``fps``, at times [T] in seconds, by straight lines; held where they end."""
    curve = np.asarray(values)
    before, share = _place(len(curve), fps, times)
    weight = share.reshape(-1, *[1] * (curve.ndim - 1))
    mixed: Array = curve[before] * (1 - weight) + curve[np.minimum(before + 1, len(curve) - 1)] * weight
    return mixed.astype(curve.dtype)


def rotations_at_times(axis_angle: ArrayLike, fps: float, times: Array) -> Array:
    """Rotations [F, 3], axis-angle in radians, the same way, each along the shortest arc (Shoemake, "Animating
    rotation with quaternion curves", 1985)."""
    curve = np.asarray(axis_angle)
    before, share = _place(len(curve), fps, times)
    out: Array = curve[before]
    between = share > 0
    if between.any():
        slerp = Slerp(np.arange(len(curve)), Rotation.from_rotvec(curve))
        out[between] = slerp((before + share)[between]).as_rotvec()
    return out


def cameras_at_times(world_to_camera: Array, fps: float, times: Array) -> Array:
    """Cameras [F, 4, 4] the same way: where they stand by straight lines, how they are turned along arcs."""
    rotation = world_to_camera[:, :3, :3]
    centre = at_times(-np.einsum("tji,tj->ti", rotation, world_to_camera[:, :3, 3]), fps, times)
    turned = rotations_at_times(Rotation.from_matrix(rotation).as_rotvec(), fps, times)
    before, share = _place(len(world_to_camera), fps, times)
    out, between = world_to_camera[before], share > 0
    out[between, :3, :3] = Rotation.from_rotvec(turned[between]).as_matrix()
    out[between, :3, 3] = -np.einsum("tij,tj->ti", out[between, :3, :3], centre[between])
    return out


def _place(frames: int, fps: float, times: Array) -> tuple[Array, Array]:
    """The frame at or before each time, and how far on the way to the next one it is, from 0 to below 1."""
    place = np.clip(times * fps, 0, frames - 1)
    nearest = place.round()
    place = np.where(np.abs(place - nearest) < _SAME_FRAME, nearest, place)
    before = np.floor(place).astype(int)
    return before, place - before
