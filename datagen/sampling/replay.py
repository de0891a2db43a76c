"""Recorded motion played by a clip: where it starts, and how it is resampled and filled to the clip's length."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datagen.sampling.rotations import axis_angle, multiply
from datagen.sampling.streams import unit
from manifests.clip import Motion
from manifests.recording import CURVES, TURNS, Recording

Array = NDArray[np.float64]


def recording_of(files: dict[str, str], share: float, seed: int, index: int) -> str:
    """The name of the recording that drives a clip; empty if its motion is sampled."""
    if not files or unit(seed, "motion.recorded", index) >= share:
        return ""
    names = sorted(files)
    return names[int(unit(seed, "motion.recording", index) * len(names))]


def replay(recording: Recording, shape: NDArray[np.float32], seed: int, index: int, times: Array) -> Motion:
    """The recording at ``times`` [T] seconds from a drawn start, to and fro where it is shorter than the clip."""
    length = (len(recording.expression) - 1) / recording.fps
    spare = max(0.0, length - float(times[-1]))
    clock = spare * unit(seed, "motion.recording.start", index) + times
    clock = length - np.abs(length - np.mod(clock, 2 * length))
    at = np.clip(clock * recording.fps, 0, len(recording.expression) - 1)
    before = np.minimum(at.astype(int), len(recording.expression) - 2)
    share = at - before
    arrays = {"expression": _linear(recording.expression, before, share)}
    for name in CURVES:
        curve = recording.curves[name]
        arrays[name] = _slerp(curve, before, share) if name in TURNS else _linear(curve, before, share)
    return Motion(shape=shape.astype(np.float32), **{name: array.astype(np.float32) for name, array in arrays.items()})


def head_angles(motion: Motion) -> Array:
    """Yaw, pitch and roll [T, 3] in degrees of root and neck together, the inverse of ``rotations.turned``."""
    w, x, y, z = multiply(quaternion(motion.root), quaternion(motion.neck)).T
    yaw = np.arctan2(2 * (x * z + w * y), 1 - 2 * (x * x + y * y))
    pitch = np.arcsin(np.clip(2 * (w * x - y * z), -1, 1))
    roll = np.arctan2(2 * (x * y + w * z), 1 - 2 * (x * x + z * z))
    return np.asarray(np.degrees(np.stack([yaw, pitch, roll], axis=1)))


def quaternion(rotation: NDArray[np.generic]) -> Array:
    """Unit quaternions [T, 4] of axis-angle vectors [T, 3]."""
    vector = np.asarray(rotation, np.float64)
    angle = np.linalg.norm(vector, axis=-1, keepdims=True)
    return np.concatenate([np.cos(angle / 2), vector * 0.5 * np.sinc(angle / (2 * np.pi))], axis=-1)


def _linear(values: Array, before: NDArray[np.intp], share: Array) -> Array:
    return np.asarray(values[before] + share[:, None] * (values[before + 1] - values[before]))


def _slerp(rotations: Array, before: NDArray[np.intp], share: Array) -> Array:
    """Along the shorter arc at even speed (Shoemake 1985, "Animating rotation with quaternion curves")."""
    first, second = quaternion(rotations[before]), quaternion(rotations[before + 1])
    inverse = first * np.array([1.0, -1.0, -1.0, -1.0])
    step = axis_angle(multiply(inverse, second))
    return axis_angle(multiply(first, quaternion(share[:, None] * step)))
