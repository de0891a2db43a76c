"""How the head turns, nods and tilts over time: held poses, minimum-jerk moves between them, nods and shakes.

Timing, each axis and the gestures have their own streams, and no axis's range shapes another's path.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datagen.sampling.curves import PEAK_SPEED, follow, wander
from datagen.sampling.speech import beats
from datagen.sampling.streams import rng, unit
from datagen.sections import MotionSettings

Array = NDArray[np.float64]

AXES = ("yaw", "pitch", "roll")
SPEED_SHARES = (0.5, 0.3, 0.2)
"""The axes' parts of the speed limit. Angular speed is at most the sum of the three rates."""

HOLD_S = (0.1, 1.2)
MOVE_S = (0.35, 1.1)
GESTURE_MOVE_S = (0.16, 0.28)
GESTURES = ((0.18, 1), (0.28, 0), (0.33, 2))
"""(cumulative chance, axis): nods, shakes and tilts to and fro; otherwise a move to a new pose."""

DRIFT_HZ = (0.15, 0.8)
DRIFT_SHARE = 0.1
"""Part of range and speed that is left to the unsteadiness of a held head."""

BEAT_SHARE = 0.5
"""Part of the speed that is left to the nods with which heads stress syllables."""
BEAT_PARTS = (0.4, 1.0, 0.0)
"""How far each axis takes part in them: mostly pitch, as in Munhall et al. 2004, "Visual prosody and speech
intelligibility", and Graf et al. 2002, "Visual prosody: facial movements accompanying speech"."""
BEAT_RANGE_SHARE = 0.2
"""A nod takes at most this part of the axis's range."""


def head_curve(settings: MotionSettings, seed: int, index: int, times: Array) -> Array:
    """Yaw, pitch and roll [T, 3] in degrees at the given times in seconds (from 0 on).

    Each lies in its configured range; the angular speed never exceeds ``speed_deg_per_s``.
    """
    starts, durations, kinds, gaps = _schedule(seed, index, float(times[-1]))
    beat = beats(settings, seed, index, float(times[-1]))
    stress = follow(beat.starts, beat.durations, beat.levels[:, None], times)[:, 0]
    beat_signs = (1.0 if unit(seed, "motion.head.beat", index) < 0.5 else -1.0, 1.0, 1.0)  # nods go down
    curve = np.empty((len(times), 3))
    for axis, name in enumerate(AXES):
        low, high = getattr(settings, f"{name}_deg")
        speed = settings.speed_deg_per_s * SPEED_SHARES[axis]
        units = rng(seed, f"motion.head.{name}", index).random(len(starts) + 1)
        drift = min(DRIFT_SHARE * (high - low) / 2, DRIFT_SHARE * speed / (2 * np.pi * DRIFT_HZ[1]))
        share = BEAT_SHARE if BEAT_PARTS[axis] else 0.0
        reach = (1 - DRIFT_SHARE - share) * speed * durations / PEAK_SPEED
        deepest = min(
            settings.speech_nod_deg * BEAT_PARTS[axis],
            BEAT_RANGE_SHARE * (high - low),
            share * speed * beat.shortest_s / PEAK_SPEED,
        )
        if beat_signs[axis] > 0:
            bottom, top = low + drift, high - drift - deepest
        else:
            bottom, top = low + drift + deepest, high - drift
        poses = _poses(bottom, top, units, reach, kinds == axis, gaps)
        curve[:, axis] = follow(starts, durations, poses[:, None], times)[:, 0]
        curve[:, axis] += beat_signs[axis] * deepest * stress
        drift_units = rng(seed, f"motion.head.{name}.drift", index).random((5, 2))
        curve[:, axis] += drift * wander(drift_units, times, *DRIFT_HZ)
    return curve


def held_pose(settings: MotionSettings, seed: int, identity: int) -> Array:
    """One pose [3] (yaw, pitch, roll in degrees) of an identity that holds still."""
    pose = np.empty(3)
    for axis, name in enumerate(AXES):
        low, high = getattr(settings, f"{name}_deg")
        pose[axis] = low + (high - low) * _central(unit(seed, f"motion.held.{name}", identity))
    return pose


def _schedule(seed: int, index: int, end_s: float) -> tuple[Array, Array, Array, Array]:
    """Moves up to ``end_s``: starts, durations, the axis of a gesture or -1, place in the gesture; all [N].

    The same moves come first whatever ``end_s`` is: each event has its own row of variates.
    """
    events = int(end_s / min(MOVE_S[0], 2 * GESTURE_MOVE_S[0])) + 4
    units = rng(seed, "motion.head.timing", index).random((events, 4))
    gestures = rng(seed, "motion.head.gesture", index).random((events, 2))
    clock = -1.5 * float(units[0, 3])  # so that clips begin at any point of a hold or a move
    starts: list[float] = []
    durations: list[float] = []
    kinds: list[int] = []
    places: list[int] = []
    for (hold, move, _, _), (kind, cycles) in zip(units, gestures, strict=True):
        if clock > end_s:
            break
        clock += HOLD_S[0] + (HOLD_S[1] - HOLD_S[0]) * hold**1.5
        axis = next((axis for chance, axis in GESTURES if kind < chance), -1)
        if axis < 0:
            lengths = [MOVE_S[0] + (MOVE_S[1] - MOVE_S[0]) * move]
        else:
            half = GESTURE_MOVE_S[0] + (GESTURE_MOVE_S[1] - GESTURE_MOVE_S[0]) * move
            lengths = [half] * (2 * (1 + int(cycles * 3)))
        for place, length in enumerate(lengths):
            starts.append(clock)
            durations.append(float(length))
            kinds.append(axis)
            places.append(place + 1 if axis >= 0 else 0)
            clock += float(length)
    return np.array(starts), np.array(durations), np.array(kinds), np.array(places)


def _poses(low: float, high: float, units: Array, reach: Array, gesture: Array, places: Array) -> Array:
    """One axis's held values [N + 1]: no step is longer than ``reach`` [N]; gestures go there and back."""
    pose = low + (high - low) * _central(units[0])
    poses = [pose]
    base = pose
    for u, limit, moves, place in zip(units[1:], reach, gesture, places, strict=True):
        if place == 0:
            target = low + (high - low) * _central(u)
            base = pose = pose + min(max(target - pose, -limit), limit)
        elif moves and place % 2 == 1:
            # A gesture leads towards the roomier side and fades out over its cycles.
            side = 1.0 if (low + high) / 2 >= base else -1.0
            size = min(limit, (0.12 + 0.2 * u) * (high - low)) * 0.8 ** (place // 2)
            pose = min(max(base + side * size, low), high)
        else:
            pose = base
        poses.append(pose)
    return np.array(poses)


def _central(u: float) -> float:
    """[0, 1) to [0, 1), monotonic, with people's preference for the middle: half lies within 0.32 to 0.68."""
    x = 2 * u - 1
    return float(0.5 + 0.5 * (0.6 * x + 0.4 * x**3))
