"""A model, a corpus, a protocol: the videos, and what is measured of them."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from torch import Tensor

from datagen.geometry.surface import make_surface
from datagen.heads.model import HeadModel
from training.animation.shot import AnimationSettings, model_head, shoot
from training.data.clips import Clips
from training.device import check_device
from training.evaluation.features import frechet_distance
from training.evaluation.instruments import Instruments
from training.evaluation.measure import Measure, scene_of
from training.evaluation.metrics import METRICS
from training.evaluation.readings import displacements
from training.evaluation.takes import Take, Takes, TakeSettings, make_takes
from training.portrait import Portrait
from training.progress import Show, silent

GENERATED: Final = "generated"
TRUTH: Final = "truth"
"""The rendered video, put to the same measurements: what is the best that they can say."""
REFERENCE: Final = "copied portrait"


@dataclass(frozen=True)
class Measured:
    """One take: of each kind of video, each metric that could be measured."""

    name: str
    recipe: str
    yaw_deg: float
    values: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Evaluation:
    """All takes of one protocol, and what could not be measured and why."""

    protocol: str
    corpus: str
    split: str
    takes: tuple[Measured, ...]
    not_measured: dict[str, str]
    frechet: dict[str, float] = field(default_factory=dict)
    """Of each kind of video: Fréchet distance of all of them to the rendered ones."""
    frechet_samples: int = 0
    """Frames or videos in each set."""


def evaluate(
    portrait: Portrait,
    corpus: str,
    settings: TakeSettings,
    *,
    split: str = "test",
    subset: str | None = None,
    instruments: Instruments | None = None,
    animation: AnimationSettings | None = None,
    keep: Callable[[Take, Tensor], None] | None = None,
    progress: Show = silent,
) -> Evaluation:
    """Generate and measure. ``keep`` is told of each take and its video [3, T, H, W], in [-1, 1]. Raises UserError for
    a corpus that does not fit, see `takes.make_takes`."""
    animation, instruments = animation or AnimationSettings(), instruments or Instruments()
    check_device(animation.device)
    head = model_head(portrait)
    takes = make_takes(Clips(corpus, split=split, subset=subset), portrait, head, settings)
    surface = make_surface(head, portrait.footage.subdivision)
    measure = Measure(head, portrait.encode, instruments, portrait.footage.fps, *_spread(takes, head))
    measured, seen = [], _Seen(instruments)
    for done, take in enumerate(takes):
        video = shoot(portrait, take.shot, head, animation)[0]
        other = None
        if take.other_camera is not None:
            other = shoot(portrait, dataclasses.replace(take.shot, camera=take.other_camera), head, animation)[0]
        scene = scene_of(take, surface, head)
        if keep is not None:
            keep(take, video)
        values = {GENERATED: measure(scene, video, other)}
        if take.truth is not None:
            still = take.shot.face.picture[:, None].expand_as(take.truth.video)
            theirs = None if take.other_truth is None else take.other_truth.video
            values[TRUTH] = measure(scene, take.truth.video, theirs)
            values[REFERENCE] = measure.against_truth(still, take.truth)
            seen.add({GENERATED: video, TRUTH: take.truth.video, REFERENCE: still})
        measured.append(Measured(take.name, take.recipe, take.yaw_deg, values))
        progress(done + 1, len(takes), f"{done + 1} of {len(takes)} videos")
    distances, samples = seen.distances()
    missing = _missing(settings.protocol, instruments, measured, distances)
    return Evaluation(settings.protocol, corpus, split, tuple(measured), missing, distances, samples)


def _missing(
    protocol: str, instruments: Instruments, measured: list[Measured], distances: dict[str, float]
) -> dict[str, str]:
    """Words of each metric that no video has a value of, and why."""
    found = {name for take in measured for name, value in take.values[GENERATED].items() if math.isfinite(value)} | (
        {"frechet"} if distances else set()
    )
    reasons = {"frechet": "fewer than two samples", "expression": "one driver alone, or no face was found"}
    for name in ("expression_landmarks", "head_pose_deg", "identity"):
        reasons[name] = "no face was found"
    for name in ("camera_deg", "view_consistency"):
        reasons[name] = "clips have one view, or no face was found in both"
    reasons["temporal"] = "single frames, or nothing is seen in two"
    reasons |= instruments.missing()
    if protocol == "cross":
        unseen = ("psnr", "psnr_mouth_eyes", "ssim", "lpips", "frechet")
        reasons |= dict.fromkeys(unseen, "nobody rendered what a cross-driven video should show")
    words = {**{name: metric.words for name, metric in METRICS.items()}, "frechet": "Fréchet distance"}
    return {words[name]: reasons.get(name, "nothing of it is shown") for name in words if name not in found}


class _Seen:
    """What the feature network sees in the videos of each kind."""

    def __init__(self, instruments: Instruments) -> None:
        self._features, self._device = instruments.features, instruments.device
        self._of: dict[str, list[Tensor]] = {}

    def add(self, videos: dict[str, Tensor]) -> None:
        if self._features is not None:
            for kind, video in videos.items():
                self._of.setdefault(kind, []).append(self._features(video.to(self._device)).cpu())

    def distances(self) -> tuple[dict[str, float], int]:
        """To the truth, and how many samples each set has; nothing of fewer than two."""
        of = {kind: torch.cat(parts) for kind, parts in self._of.items()}
        samples = len(of[TRUTH]) if of else 0
        if samples < 2:
            return {}, samples
        return {kind: frechet_distance(of[kind], of[TRUTH]) for kind in (GENERATED, REFERENCE)}, samples


def _spread(takes: Takes, head: HeadModel) -> tuple[float, float]:
    """Of the drivers: mean distance of codes between one and the next, NaN for a single one; and metres by which
    landmarks are moved from neutral, on average."""
    codes, moved = [], []
    for take in takes:
        codes.append(take.shot.codes())
        moved.append(np.linalg.norm(displacements(head, take.driver), axis=-1).mean())
    apart = [float((a - b).norm(dim=1).mean()) for a, b in itertools.pairwise(codes)]
    return float(np.mean(apart or [np.nan])), float(np.mean(moved))
