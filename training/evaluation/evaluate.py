"""A model, a corpus, a protocol: the videos, and what is measured of them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datagen.geometry.surface import Surface, make_surface
from datagen.heads.model import HeadModel
from training.animation.camera_paths import CameraTrack
from training.animation.shot import AnimationSettings, model_head, shoot
from training.data.clips import Clips
from training.device import check_device
from training.evaluation.metrics import rotation_error_deg, ssim, temporal_stability, view_consistency
from training.evaluation.readings import Judge, Reading, displacements
from training.evaluation.reproject import Sight
from training.evaluation.takes import Take, TakeSettings, make_takes, told_rotation
from training.landmarks.detector import LandmarkDetector
from training.measures import psnr, region_weights
from training.portrait import Portrait
from training.progress import Show, silent

Array = NDArray[Any]

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


def evaluate(
    portrait: Portrait,
    corpus: str,
    settings: TakeSettings,
    *,
    split: str = "test",
    subset: str | None = None,
    detector: LandmarkDetector | None = None,
    animation: AnimationSettings | None = None,
    keep: Callable[[Take, Tensor], None] | None = None,
    progress: Show = silent,
) -> Evaluation:
    """Generate and measure. ``detector`` finds faces for the metrics that need them; ``keep`` is told of each take and
    its video [3, T, H, W], in [-1, 1]. Raises UserError for a corpus that does not fit, see `takes.make_takes`."""
    animation = animation or AnimationSettings()
    check_device(animation.device)
    head = model_head(portrait)
    clips = Clips(corpus, split=split, subset=subset)
    takes = make_takes(clips, portrait, head, settings)
    judge = None if detector is None else Judge(portrait.encode, detector, head)
    apart, surface = _apart(takes), make_surface(head, portrait.footage.subdivision)
    measured = []
    for done, take in enumerate(takes):
        video = shoot(portrait, take.shot, head, animation)[0]
        other = None
        if take.other_camera is not None:
            other = shoot(portrait, dataclasses.replace(take.shot, camera=take.other_camera), head, animation)[0]
        scene = _Scene(take, surface.faces, true_vertices(take, surface, head))
        if keep is not None:
            keep(take, video)
        values = {GENERATED: _measure(scene, video, other, portrait.footage.fps, head, judge, apart)}
        if take.truth is not None:
            theirs = None if take.other_truth is None else take.other_truth.video
            values[TRUTH] = _measure(scene, take.truth.video, theirs, portrait.footage.fps, head, judge, apart)
            still = take.shot.face.picture[:, None].expand_as(take.truth.video)
            values[REFERENCE] = _against_truth(still, take)
        measured.append(Measured(take.name, take.recipe, take.yaw_deg, values))
        progress(done + 1, len(takes), f"{done + 1} of {len(takes)} videos")
    return Evaluation(settings.protocol, corpus, split, tuple(measured), _missing(settings.protocol, judge))


def _apart(takes: list[Take]) -> float:
    """Mean distance of codes between one driver and the next; NaN for a single one."""
    codes = [take.shot.codes() for take in takes]
    return float(np.mean([float((a - b).norm(dim=1).mean()) for a, b in itertools.pairwise(codes)] or [np.nan]))


@dataclass(frozen=True)
class _Scene:
    """A take and the true surface that it shows: faces [F, 3], vertices [T, V, 3]."""

    take: Take
    faces: Array
    vertices: Array

    def sights(self, camera: CameraTrack) -> list[Sight]:
        """How each frame shows it."""
        parts = zip(self.vertices, camera.intrinsics, camera.world_to_camera, strict=True)
        return [Sight(*each) for each in parts]


def _measure(
    scene: _Scene, video: Tensor, other: Tensor | None, fps: float, head: HeadModel, judge: Judge | None, apart: float
) -> dict[str, float]:
    take = scene.take
    values = _against_truth(video, take) if take.truth is not None else {}
    sights = scene.sights(take.shot.camera)
    values["temporal"] = temporal_stability(video, sights, scene.faces)
    if other is not None and take.other_camera is not None:
        others = scene.sights(take.other_camera)
        values["view_consistency"] = view_consistency(video, other, sights, others, scene.faces)
    if judge is None:
        return values
    reading = judge.read(video, take.shot.camera.intrinsics, fps, take.shot.face.shape)
    if reading is None:
        return values
    values |= _read(take, reading, head, apart)
    if other is not None and take.other_camera is not None:
        second = judge.read(other, take.other_camera.intrinsics, fps, take.shot.face.shape)
        if second is not None:
            both = reading.found & second.found
            between = second.head_in_camera @ reading.head_in_camera.swapaxes(1, 2)
            told = told_rotation(take.shot, take.other_camera) @ take.head_in_camera().swapaxes(1, 2)
            if both.any():
                values["camera_deg"] = rotation_error_deg(between[both], told[both])
    return values


def _read(take: Take, reading: Reading, head: HeadModel, apart: float) -> dict[str, float]:
    found = reading.found
    codes = take.shot.codes()[torch.from_numpy(found)]
    distance = float((reading.codes[torch.from_numpy(found)] - codes).norm(dim=1).mean())
    wanted = displacements(head, take.driver)[found]
    moved = reading.displacements[found]
    return {
        "expression": distance / apart,
        "expression_landmarks": float(
            np.linalg.norm(moved - wanted, axis=-1).mean() / max(np.linalg.norm(wanted, axis=-1).mean(), 1e-6)
        ),
        "head_pose_deg": rotation_error_deg(reading.head_in_camera[found], take.head_in_camera()[found]),
    }


def _against_truth(video: Tensor, take: Take) -> dict[str, float]:
    assert take.truth is not None
    truth = take.truth
    weights = region_weights(truth.alpha[None], truth.landmarks[None])
    return {
        "psnr": float(psnr(video[None], truth.video[None], weights["foreground"])),
        "psnr_mouth_eyes": float(psnr(video[None], truth.video[None], weights["mouth_eyes"])),
        "ssim": ssim(video, truth.video),
    }


def true_vertices(take: Take, surface: Surface, head: HeadModel) -> Array:
    """[T, V, 3]: the portrait's person with the driver's pose and expression."""
    motion = dataclasses.replace(take.driver, shape=take.shot.face.shape)
    vertices: Array = surface.refine(head.pose(motion))
    return vertices


def _missing(protocol: str, judge: Judge | None) -> dict[str, str]:
    missing = {
        "lpips": "needs weights of a perceptual network, and none are given",
        "fid, fvd": "need weights of a feature network, and none are given",
        "identity": "needs an identity encoder, and none is given",
    }
    if protocol == "cross":
        missing["psnr, ssim"] = "nobody rendered what a cross-driven video should show"
    if judge is None:
        missing["expression, head pose, camera"] = "need a landmark detector (--landmarks)"
    return missing
