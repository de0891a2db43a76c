"""What a model is evaluated on: of each clip one fixed window, and what it takes to render its mesh anew."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from datagen.heads.model import HeadModel, head_info, load_head
from datagen.heads.store import check_name
from manifests.clip import Motion
from manifests.errors import UserError
from training.data.batch import Sample
from training.data.choice import ReferenceWeights, choose
from training.data.clips import Clips
from training.data.samples import read_sample
from training.pose_normals import MOST_SUBDIVISION
from training.streams import rng


@dataclass(frozen=True)
class Case:
    """One window of one clip."""

    sample: Sample
    """Without a batch axis."""
    motion: Motion
    """Of the sample's T frames."""
    head: HeadModel
    subdivision: int
    """That of the clip's pictures."""


@dataclass(frozen=True)
class CaseSettings:
    """Which windows are evaluated."""

    clips: int = 24
    """How many, each of another clip; all there are where there are fewer."""
    frames: int = 9
    step: int = 1
    """Frames of the clip from one of the window to the next."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("clips", "frames", "step"):
            if getattr(self, name) < 1:
                raise UserError(f"cases.{name}: {getattr(self, name)} given; must be at least 1")


def make_cases(clips: Clips, settings: CaseSettings) -> list[Case]:
    """Cases of clips drawn by the seed, in the corpus's order; all are held in memory.

    A clip's view, window and reference follow from its key and the seed. The reference is of another view; of a clip
    with one view, another frame or another clip of the same person. Raises UserError where a clip gives no such
    window, is damaged, or was made with a head that is not on this machine.
    """
    drawn = rng(settings.seed, "cases").permutation(len(clips))[: settings.clips]
    heads: dict[str, HeadModel] = {}
    return [_case(clips, int(clip), settings, heads) for clip in np.sort(drawn)]


def _case(clips: Clips, clip: int, settings: CaseSettings, heads: dict[str, HeadModel]) -> Case:
    references = ReferenceWeights(0, 1, 0) if clips.views[clip] > 1 else ReferenceWeights(1, 0, 1)
    choice = choose(clips, clip, settings.frames, settings.step, references, settings.seed, "case")
    key, spec = clips.key(clip), clips.spec(clip)
    return Case(
        sample=read_sample(clips, choice),
        motion=_at_frames(key, clips.motion(clip), choice.frames),
        head=_head(key, spec, heads),
        subdivision=_subdivision(key, spec),
    )


def _at_frames(key: str, motion: Motion, frames: range) -> Motion:
    """The motion in some frames. Raises UserError where it does not move one head over them."""
    tracks = {field.name: getattr(motion, field.name) for field in dataclasses.fields(motion) if field.name != "shape"}
    for name, track in tracks.items():
        if track.ndim != 2 or len(track) <= frames[-1] or (name != "expression" and track.shape[1] != 3):
            raise UserError(
                f"{key}.motion.npz: {name} {track.shape} does not reach frame {frames[-1]}; audit the corpus"
            )
    found = motion.at(frames)
    if not all(np.isfinite(array).all() for array in vars(found).values()):
        raise UserError(f"{key}.motion.npz: holds what is no number; audit the corpus")
    return found


def _head(key: str, spec: Mapping[str, Any], heads: dict[str, HeadModel]) -> HeadModel:
    """The clip's head; the same object for clips of the same head."""
    try:
        name, sha256 = str(spec["head"]["name"]), str(spec["head"]["sha256"])
    except (KeyError, TypeError) as error:
        raise UserError(f"{key}.spec.json: says nothing of {error}; audit the corpus") from None
    check_name(name)
    if (here := head_info(name).sha256) != sha256:
        raise UserError(f"head {name!r}: {key} was made from file {sha256[:16]}, here is {here[:16]}; import that file")
    if name not in heads:
        heads[name] = load_head(name)
    return heads[name]


def _subdivision(key: str, spec: Mapping[str, Any]) -> int:
    render = spec.get("render")
    levels = render.get("subdivision") if isinstance(render, dict) else None
    if type(levels) is not int or not 0 <= levels <= MOST_SUBDIVISION:
        raise UserError(
            f"{key}.spec.json: render.subdivision = {levels!r}, must be 0 to {MOST_SUBDIVISION}; audit the corpus"
        )
    return levels
