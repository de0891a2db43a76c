"""Smooth curves in continuous time. A frame rate only decides where they are looked at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PEAK_SPEED = 1.875
"""Greatest slope of ``minimum_jerk``: a move over distance a in time d peaks at 1.875 a / d."""


def minimum_jerk(x: Array) -> Array:
    """0 to 1 over x in [0, 1] with zero speed and acceleration at both ends; constant outside.

    Flash and Hogan 1985, "The coordination of arm movements".
    """
    x = np.clip(x, 0.0, 1.0)
    return x * x * x * (10.0 + x * (6.0 * x - 15.0))


def follow(starts: Array, durations: Array, values: Array, times: Array) -> Array:
    """A curve [T, D]: holds values[0], then moves to values[i + 1] from starts[i] on, over durations[i].

    starts (ascending), durations [N]; values [N + 1, D]; times [T]. Moves do not overlap: each ends before
    the next starts.
    """
    begun = np.searchsorted(starts, times, side="right")
    move = np.maximum(begun - 1, 0)
    progress = minimum_jerk((times - starts[move]) / durations[move])
    before, after = values[move], values[move + 1]
    return np.asarray(before + (after - before) * progress[:, None])


def wander(units: Array, times: Array, slowest_hz: float, fastest_hz: float) -> Array:
    """Band-limited noise [T] within [-1, 1] from unit variates [K, 2]: the mean of K cosines.

    Its slope never exceeds 2 pi fastest_hz.
    """
    frequencies = slowest_hz * (fastest_hz / slowest_hz) ** units[:, 0]
    angles = 2 * np.pi * (times[:, None] * frequencies + units[:, 1])
    return np.asarray(np.cos(angles).mean(axis=1))


def gaussian_process(units: Array, times: Array, slowest_hz: float, fastest_hz: float) -> Array:
    """Band-limited noise [T, D] of unit variance from unit variates [D, K, 2], near Gaussian for K >= 6.

    A sum of K cosines of equal power; never beyond sqrt(2 K).
    """
    frequencies = slowest_hz * (fastest_hz / slowest_hz) ** units[..., 0]
    angles = 2 * np.pi * (times[:, None, None] * frequencies + units[..., 1])
    return np.asarray(np.cos(angles).sum(axis=-1) * np.sqrt(2.0 / units.shape[-2]))
