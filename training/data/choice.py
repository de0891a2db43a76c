"""What a sample is made of: a window of a clip, and another picture of the same person as its reference."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.errors import UserError
from training.data.clips import Clips
from training.streams import rng

Array = NDArray[Any]


@dataclass(frozen=True)
class ReferenceWeights:
    """How often the reference is of each kind; what a clip cannot give falls away, the others keep their ratio."""

    frame: float = 1.0
    """A frame of the same view that is none of the window's."""
    view: float = 1.0
    """Any frame of another view of the same clip."""
    clip: float = 1.0
    """Any frame of any view of another clip of the same identity."""

    def __post_init__(self) -> None:
        for name, weight in dataclasses.asdict(self).items():
            if not (math.isfinite(weight) and weight >= 0):
                raise UserError(f"references.{name}: weight {weight} given; give a number from 0 on")
        if not any(dataclasses.asdict(self).values()):
            raise UserError("references: all weights are 0; give one of frame, view and clip a weight")


@dataclass(frozen=True)
class Choice:
    """What is to be read for one sample."""

    clip: int
    view: int
    frames: range
    reference_clip: int
    reference_view: int
    reference_frame: int


def choose(
    clips: Clips,
    clip: int,
    frames: int,
    step: int,
    weights: ReferenceWeights,
    seed: int,
    *words: int | str,
) -> Choice:
    """A window of ``frames`` frames, each ``step`` behind the last, and a reference, drawn for a clip and ``words``.

    Every view and every start that fits are equally likely. Raises UserError if the clip is too short, or gives no
    reference of a kind that has a weight.
    """
    length, views = int(clips.frames[clip]), int(clips.views[clip])
    span = window_span(frames, step)
    if length < span:
        raise UserError(f"{clips.key(clip)}: has {length} frames, a window spans {span}; ask for fewer, or a step of 1")
    draw = rng(seed, "choice", clips.key(clip), *words)
    view = int(draw.integers(views))
    start = int(draw.integers(length - span + 1))
    window = range(start, start + span, step)

    others = clips.same_identity(clip)
    weight = np.array([weights.frame, weights.view, weights.clip]) * [length > frames, views > 1, len(others) > 1]
    if not weight.any():
        raise _no_reference(clips, clip, frames, weights)
    kind = int(draw.choice(3, p=weight / weight.sum()))
    if kind == 0:
        at = int(draw.integers(length - frames))
        return Choice(clip, view, window, clip, view, _outside(window, at))
    if kind == 1:
        other = int(draw.integers(views - 1))
        return Choice(clip, view, window, clip, other + (other >= view), int(draw.integers(length)))
    place = int(draw.integers(len(others) - 1))
    other = int(others[place + (place >= np.searchsorted(others, others.dtype.type(clip)))])
    picked = int(draw.integers(clips.views[other])), int(draw.integers(clips.frames[other]))
    return Choice(clip, view, window, other, *picked)


def check_choices(clips: Clips, frames: int, step: int, weights: ReferenceWeights) -> None:
    """Raises UserError if a clip is too short for a window, or gives no reference of a kind that has a weight."""
    if frames < 1 or step < 1:
        raise UserError(f"frames: {frames} with a step of {step} given; both are at least 1")
    span = window_span(frames, step)
    short = np.flatnonzero(clips.frames < span)
    if len(short):
        raise UserError(
            f"frames: {frames} with a step of {step} span {span}, but {len(short)} of {len(clips)} clips are shorter, "
            f"the first {clips.key(short[0])} with {clips.frames[short[0]]}; ask for fewer, or leave them out"
        )
    gives = (weights.frame > 0) & (clips.frames > frames)
    gives |= (weights.view > 0) & (clips.views > 1)
    if weights.clip > 0 and not gives.all():
        gives |= clips.of_same_identity > 1
    if not gives.all():
        raise _no_reference(clips, int(np.flatnonzero(~gives)[0]), frames, weights)


def window_span(frames: int, step: int) -> int:
    """From the first frame of a window to behind its last."""
    return (frames - 1) * step + 1


def _outside(window: range, at: int) -> int:
    """The frame at a place among those that are not the window's."""
    for frame in window:  # ascending
        at += frame <= at
    return at


def _no_reference(clips: Clips, clip: int, frames: int, weights: ReferenceWeights) -> UserError:
    allowed = ", ".join(name for name, weight in dataclasses.asdict(weights).items() if weight)
    return UserError(
        f"references: {clips.key(clip)} gives none of a kind that has a weight ({allowed}): it has "
        f"{clips.frames[clip]} frames for windows of {frames}, {clips.views[clip]} views, and its person "
        f"{len(clips.same_identity(clip))} clips; give another kind a weight, or take shorter windows"
    )
