"""Where the eyes look: fixations joined by saccades, held in the world while the head turns under them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datagen.sampling.curves import follow
from datagen.sampling.streams import rng, unit
from datagen.sections import MotionSettings

Array = NDArray[np.float64]

FIXATION_S = (0.25, 1.6)
HEAD_LEAD_S = 0.25
"""Eyes arrive before the head does: a fixation aims at where the head will point this much later."""
AHEAD_SHARE = 0.45
"""Share of the fixations that look straight ahead in the world, as at a lens or a listener."""
SACCADE_LATENCY_S, SACCADE_S_PER_DEG = 0.021, 0.0022
"""Main sequence: a saccade of A degrees lasts 21 ms + 2.2 ms A (Carpenter 1988, "Movements of the Eyes")."""
HALF_EYE_DISTANCE_M = 0.0315
FOCUS_M = (0.5, 3.0)


def gaze_curve(settings: MotionSettings, seed: int, index: int, times: Array, head: Array, ahead: Array) -> Array:
    """Eye yaw and pitch in the head [T, 2] in degrees, before vergence.

    ``head`` [T, 2] is the head's yaw and pitch at ``times``. ``ahead`` [N + 1, 2] is where the head will
    point when each fixation begins: at 0, then at the N ``fixation_times`` plus the lead. Positive yaw is to
    the subject's left, positive pitch down.
    """
    starts = fixation_times(seed, index, float(times[-1]))
    limits = np.array([settings.eye_yaw_deg, settings.eye_pitch_deg])
    offsets = 2 * rng(seed, "motion.gaze.offset", index).random((len(starts) + 1, 2)) - 1
    straight = rng(seed, "motion.gaze.ahead", index).random(len(starts) + 1) < AHEAD_SHARE
    # Small shifts are far commoner than large ones: the cube root of the spread would be uniform.
    wide = 0.8 * limits * np.sign(offsets) * np.abs(offsets) ** 1.5
    targets = np.where(straight[:, None], 0.12 * wide, ahead + wide)
    lengths = np.linalg.norm(np.diff(targets, axis=0), axis=1)
    durations = np.minimum(SACCADE_LATENCY_S + SACCADE_S_PER_DEG * lengths, FIXATION_S[0])
    world = follow(starts, durations, targets, times)
    return _softly_limited(world - head, limits)


def fixation_times(seed: int, index: int, end_s: float) -> Array:
    """When saccades start [N], seconds; the same whatever ``end_s`` is, and the first may lie before 0."""
    count = int(end_s / FIXATION_S[0]) + 8
    units = rng(seed, "motion.gaze.timing", index).random(count)
    lengths = FIXATION_S[0] + (FIXATION_S[1] - FIXATION_S[0]) * units**1.7
    starts = np.cumsum(lengths) - FIXATION_S[1] * unit(seed, "motion.gaze.start", index)
    return np.asarray(starts[: int(np.searchsorted(starts, end_s)) + 1])


def held_gaze(settings: MotionSettings, seed: int, identity: int) -> Array:
    """Eye yaw and pitch in the head [2] in degrees of an identity that holds still."""
    u = 2 * rng(seed, "motion.held.gaze", identity).random(2) - 1
    return np.asarray(0.7 * np.array([settings.eye_yaw_deg, settings.eye_pitch_deg]) * np.sign(u) * np.abs(u) ** 1.5)


def left_and_right(settings: MotionSettings, gaze: Array, seed: int, index: int) -> tuple[Array, Array]:
    """Left and right eye [T, 2] in degrees: both eyes meet at a focus, and stay within the eyes' limits."""
    u = unit(seed, "motion.gaze.focus", index)
    focus = FOCUS_M[0] * (FOCUS_M[1] / FOCUS_M[0]) ** u
    inward = np.array([np.degrees(np.arctan2(HALF_EYE_DISTANCE_M, focus)), 0.0])
    limits = np.array([settings.eye_yaw_deg, settings.eye_pitch_deg])
    return np.clip(gaze - inward, -limits, limits), np.clip(gaze + inward, -limits, limits)


def _softly_limited(angles: Array, limits: Array) -> Array:
    """Untouched up to 0.7 of the limit, then bent smoothly so that the limit is never passed."""
    knee = 0.7 * limits
    room = np.maximum(limits - knee, 1e-9)
    size = np.abs(angles)
    bent = knee + room * np.tanh((size - knee) / room)
    return np.asarray(np.sign(angles) * np.minimum(np.where(size <= knee, size, bent), limits))
