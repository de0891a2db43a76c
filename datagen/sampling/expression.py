"""What the face shows over time: emotions, accents, blinks and lids, as curves of named face shapes.

Heads that have only some of the shapes show only those.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

import numpy as np
from numpy.typing import NDArray

from datagen.sampling.curves import follow, minimum_jerk
from datagen.sampling.faces import (
    ACCENTS,
    CLOSED_LIPS,
    EMOTIONS,
    EXCLUSIVE,
    EXCLUSIVE_SIDES,
    EXTREMES,
    JAW,
    Shapes,
)
from datagen.sampling.lids import Lids
from datagen.sampling.streams import draw, lerp, rng, unit
from datagen.sections import MotionSettings

Array = NDArray[np.float64]
Tracks = dict[str, Array]
"""Curves [T] by the full name of a shape."""

_EMOTIONS = tuple(EMOTIONS.values())
_EXTREME_STRENGTH = (0.85, 1.0)

HOLD_S, MOVE_S = (0.3, 2.0), (0.3, 0.8)
BLINK_DOWN_S, BLINK_SHUT_S, BLINK_UP_S = 0.10, 0.07, 0.20
"""A spontaneous blink: closing is the faster half (VanderWerf et al. 2003, "Eyelid movements"). The lids stay
shut just longer than a frame at 15 fps lasts, so that every blink is seen shut."""
BLINK_LEAST = 0.35
"""The shortest pause between blinks, as a share of the mean one."""


def plain_name(component: str) -> str:
    """The shape's name without a prefix for its origin (arkit:eyeWideLeft -> eyeWideLeft)."""
    return component.rsplit(":", 1)[-1].rsplit("/", 1)[-1]


def sides(name: str, known: Container[str]) -> list[str]:
    """The full names that a table's name stands for, left first, of those the head knows."""
    if "*" in name:
        options = [name.replace("*", "left"), name.replace("*", "right")]
    else:
        options = [name] if name in known else [f"{name}Left", f"{name}Right"]
    return [option for option in options if option in known]


def emotion_curves(settings: MotionSettings, seed: int, index: int, times: Array, known: set[str]) -> Tracks:
    """Emotions and accents over time: a curve in [0, 1] for each shape in play, and JAW."""
    extreme = unit(seed, "motion.extreme", index) < settings.extreme_share
    tracks: Tracks = {}
    for kind, table in (("emotion", _EMOTIONS), ("accent", ACCENTS)):
        strength = settings.emotion_strength
        if extreme and kind == "emotion":
            table, strength = EXTREMES, _EXTREME_STRENGTH
        for name, curve in _played(table, kind, strength, seed, index, times, known).items():
            tracks[name] = np.maximum(tracks[name], curve) if name in tracks else curve
    return tracks


def held_emotion(settings: MotionSettings, seed: int, identity: int, known: set[str]) -> dict[str, float]:
    """One emotion with one accent (in half of the cases) that an identity holds still."""
    extreme = unit(seed, "motion.held.extreme", identity) < settings.extreme_share
    shapes: dict[str, float] = {}
    for kind, table, chance in (("emotion", _EMOTIONS, 1.0), ("accent", ACCENTS, 0.5)):
        strength = settings.emotion_strength
        if extreme and kind == "emotion":
            table, strength = EXTREMES, _EXTREME_STRENGTH
        units = rng(seed, f"motion.held.{kind}", identity).random(5)
        if units[0] < chance:
            row = _row(table[int(units[1] * len(table))], units[2:], strength, known)
            shapes.update({name: max(value, shapes.get(name, 0.0)) for name, value in row.items()})
    return shapes


def blink_curve(settings: MotionSettings, seed: int, index: int, times: Array, speaks: bool = False) -> Array:
    """Closure of the lids [T], from 0 to 1 and back in each blink, always shut in between."""
    span = settings.speaking_blinks_per_minute if speaks else settings.blinks_per_minute
    rate = draw(span, seed, "motion.blink.rate", index)
    if rate <= 0:
        return np.zeros(len(times))
    mean = 60.0 / rate
    length = BLINK_DOWN_S + BLINK_SHUT_S + BLINK_UP_S
    count = int(float(times[-1]) / max(BLINK_LEAST * mean, length)) + 6
    units = rng(seed, "motion.blink.pause", index).random(count)
    # A blink is followed by a pause that it cannot cut short, then by one of no memory (a Poisson process).
    least = max(BLINK_LEAST * mean, length + 0.15)
    pauses = least - max(mean - least, 0.0) * np.log1p(-units)
    starts = np.cumsum(pauses) - mean * unit(seed, "motion.blink.start", index) - 0.5 * least
    begun = np.searchsorted(starts, times, side="right")
    since = np.where(begun > 0, times - starts[np.maximum(begun - 1, 0)], -1.0)
    down = minimum_jerk(since / BLINK_DOWN_S)
    up = minimum_jerk((since - BLINK_DOWN_S - BLINK_SHUT_S) / BLINK_UP_S)
    return np.asarray(down - up)


def lids_follow_gaze(left: Array, right: Array) -> Tracks:
    """The eyeLook shapes for left and right eye angles [T, 2] in degrees (yaw to the left, pitch down).

    Full strength at 30 degrees sideways, 20 down and 15 up, which is how far these shapes carry the lids.
    """
    tracks: Tracks = {}
    for side, eye, outward in (("Left", left, 1.0), ("Right", right, -1.0)):
        yaw, pitch = eye[:, 0] * outward, eye[:, 1]
        for name, amount in (("Out", yaw / 30), ("In", -yaw / 30), ("Down", pitch / 20), ("Up", -pitch / 15)):
            tracks[f"eyeLook{name}{side}"] = np.clip(amount, 0.0, 1.0)
    return tracks


def settle(tracks: Tracks, blink: Array, jaw: Array, known: set[str], lids: Lids) -> Tracks:
    """The curves with what faces cannot do at once taken out, and the blink put in.

    All lie within [0, 1] but the blink of eyes that are open wider than the mean.
    """
    settled = {name: np.clip(curve, 0.0, 1.0) for name, curve in tracks.items() if name in known}
    for name in CLOSED_LIPS:
        for full in sides(name, settled):
            settled[full] = settled[full] * (1 - np.clip(2.0 * jaw, 0, 1))
    pairs = [*EXCLUSIVE_SIDES]
    for first, second in EXCLUSIVE:
        for suffix in ("Left", "Right"):
            pairs.append((_sided(first, suffix, known), _sided(second, suffix, known)))
    for first, second in pairs:
        if first in settled and second in settled:
            excess = np.maximum(settled[first] + settled[second], 1.0)
            settled[first] = settled[first] / excess
            settled[second] = settled[second] / excess
    for side in ("Left", "Right"):
        if f"eyeBlink{side}" in known:
            settled = lids.settle(settled, blink, side)
    return settled


def _played(
    table: Sequence[Shapes],
    kind: str,
    strength: tuple[float, float],
    seed: int,
    index: int,
    times: Array,
    known: set[str],
) -> Tracks:
    """Rows of a table played one after another, moved between at minimum jerk."""
    count = int(float(times[-1]) / (HOLD_S[0] + MOVE_S[0])) + 6
    timing = rng(seed, f"motion.{kind}.timing", index).random((count, 2))
    units = rng(seed, f"motion.{kind}", index).random((count + 1, 4))
    lengths = np.asarray(lerp(MOVE_S, timing[:, 1]))
    holds = np.asarray(lerp(HOLD_S, timing[:, 0] ** 1.5))
    begin = -2.5 * unit(seed, f"motion.{kind}.start", index)
    starts = begin + np.cumsum(holds + lengths) - lengths
    rows = [_row(table[int(u[0] * len(table))], u[1:], strength, known) for u in units]
    names = sorted({name for row in rows for name in row})
    values = np.array([[row.get(name, 0.0) for name in names] for row in rows]).reshape(len(rows), len(names))
    curves = follow(starts, lengths, values, times)
    return {name: curves[:, column] for column, name in enumerate(names)}


def _row(shapes: Shapes, units: Array, strength: tuple[float, float], known: set[str]) -> dict[str, float]:
    """A row of a table at a drawn strength, one side weaker than the other (faces are never quite even)."""
    amount = float(lerp(strength, float(units[0])))
    weaker = 1.0 - 0.45 * float(units[1]) ** 2
    factors = (1.0, weaker) if units[2] < 0.5 else (weaker, 1.0)
    row: dict[str, float] = {}
    for name, value in shapes.items():
        full = [JAW] if name == JAW else sides(name, known)
        for place, one in enumerate(full):
            row[one] = amount * value * (factors[place] if len(full) == 2 else 1.0)
    return row


def _sided(name: str, suffix: str, known: set[str]) -> str:
    return name if name in known else name + suffix
