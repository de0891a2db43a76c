"""Does one condition move what another one should? One of expression, head pose and camera changes, the others stay.

A matrix: a row for what is changed, a column for what is read from the videos. Each reading's change is given as a
share of what it was told to change by when its own condition changed: the ideal is 1 there and 0 elsewhere.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datagen.heads.model import HeadModel
from manifests.clip import Motion
from manifests.errors import UserError
from training.animation.material import Poses
from training.animation.shot import AnimationSettings, Shot, model_head, shoot
from training.data.clips import Clips
from training.evaluation.metrics import rotation_error_deg
from training.evaluation.readings import Judge, Reading, displacements
from training.evaluation.takes import Take, TakeSettings, make_takes, told_rotation
from training.landmarks.detector import LandmarkDetector
from training.portrait import Portrait
from training.progress import Show, silent

Array = NDArray[Any]

FACTORS: Final = ("expression", "head pose", "camera")
READINGS: Final = ("expression by codes", "expression by landmarks", "head pose", "camera")
_OWN: Final = (0, 0, 1, 2)
"""Which of `FACTORS` each of them reads."""


@dataclass(frozen=True)
class Told:
    """What a video of T frames was told, as a reading would have it."""

    codes: Tensor
    """[T, D]."""
    displacements: Array
    """[T, 70, 3] metres."""
    head: Array
    """[T, 3, 3]: the head's rotation in the world."""
    camera: Array
    """[T, 3, 3]: the rotation from the world to the camera."""


@dataclass(frozen=True)
class Change:
    """How much each of `READINGS` is moved: distance of codes, metres, degrees, degrees."""

    codes: float
    displacements: float
    head_pose: float
    camera: float

    def row(self) -> tuple[float, ...]:
        return self.codes, self.displacements, self.head_pose, self.camera


@dataclass(frozen=True)
class Independence:
    """``matrix`` [3, 4]: what was changed, of `FACTORS`, by what was read, of `READINGS`."""

    matrix: tuple[tuple[float, ...], ...]
    videos: int
    rendered: tuple[float, ...] = ()
    """[4]: the same readings of rendered videos when the camera alone is changed: what they move by themselves."""

    def to_json(self) -> str:
        return json.dumps({"changed": FACTORS, "read": READINGS, **dataclasses.asdict(self)}, indent=2) + "\n"

    def to_markdown(self) -> str:
        lines = [
            f"{self.videos} clips. How far each reading moves, as a share of what it is told to when its own condition "
            "changes: ideal is 1 there, 0 elsewhere.",
            "",
            f"| changed | {' | '.join(READINGS)} |",
            "| --- | --- | --- | --- | --- |",
        ]
        for name, row in zip(FACTORS, self.matrix, strict=True):
            lines.append(f"| {name} | {' | '.join(f'{value:.2f}' for value in row)} |")
        if self.rendered:
            cells = " | ".join(f"{value:.2f}" for value in self.rendered)
            lines.append(f"| camera, of rendered videos | {cells} |")
        return "\n".join(lines) + "\n"


def told_change(first: Told, second: Told) -> Change:
    return Change(
        float((first.codes - second.codes).norm(dim=1).mean()),
        _moved(first.displacements, second.displacements),
        rotation_error_deg(first.head, second.head),
        rotation_error_deg(first.camera, second.camera),
    )


def read_change(first: tuple[Told, Reading], second: tuple[Told, Reading]) -> Change | None:
    """Of two readings; None where no frame shows a face in both videos. A head's rotation before the camera is both:
    the head's is read given the camera that was told, the camera's given the head."""
    (told, read), (told_too, read_too) = first, second
    both = read.found & read_too.found
    if not both.any():
        return None
    seen, seen_too = read.head_in_camera, read_too.head_in_camera
    heads = told.camera.swapaxes(1, 2) @ seen, told_too.camera.swapaxes(1, 2) @ seen_too
    cameras = seen @ told.head.swapaxes(1, 2), seen_too @ told_too.head.swapaxes(1, 2)
    chosen = torch.from_numpy(both)
    return Change(
        float((read.codes[chosen] - read_too.codes[chosen]).norm(dim=1).mean()),
        _moved(read.displacements[both], read_too.displacements[both]),
        rotation_error_deg(heads[0][both], heads[1][both]),
        rotation_error_deg(cameras[0][both], cameras[1][both]),
    )


def independence_matrix(
    changes: Sequence[tuple[tuple[Change, ...], tuple[Change, ...]]], rendered: Sequence[Change] = ()
) -> Independence:
    """From (told, read) of each video, both a change for each of `FACTORS`; ``rendered`` are what was read of rendered
    videos before two cameras. Raises UserError where a condition was not changed at all."""
    told = np.array([[change.row() for change in each] for each, _ in changes]).mean(axis=0)
    read = np.array([[change.row() for change in each] for _, each in changes]).mean(axis=0)
    own = told[list(_OWN), range(len(READINGS))]
    for name, value in zip(READINGS, own, strict=True):
        if not value > 0:
            raise UserError(f"independence: {name} is not changed by any of the videos; take clips that differ in it")
    shares = (read / own).tolist()
    floor = (np.mean([change.row() for change in rendered], axis=0) / own).tolist() if rendered else ()
    return Independence(tuple(tuple(row) for row in shares), len(changes), tuple(floor))


def measure_independence(
    portrait: Portrait,
    corpus: str,
    detector: LandmarkDetector,
    *,
    split: str = "test",
    clips: int = 12,
    animation: AnimationSettings | None = None,
    seed: int = 0,
    progress: Show = silent,
) -> Independence:
    """Of a model: each clip's own video, and three in which one condition is another clip's, or another view's camera.

    Raises UserError for a corpus that does not fit, has one view, or fewer than two clips."""
    animation, head = animation or AnimationSettings(), model_head(portrait)
    takes = make_takes(Clips(corpus, split=split), portrait, head, TakeSettings("novel-view", clips, seed=seed))
    if len(takes) < 2:
        raise UserError(f"independence: {len(takes)} clip of split {split!r}; it needs two or more")
    judge, fps = Judge(portrait.encode, detector, head), portrait.footage.fps
    changes, rendered = [], []
    for done, take in enumerate(takes):
        partner, shot = takes[(done + 1) % len(takes)], take.shot
        assert take.other_camera is not None  # the protocol asks for two views
        shots = [
            (shot, take.driver),
            (dataclasses.replace(shot, expressions=partner.shot.expressions), partner.driver),
            (dataclasses.replace(shot, poses=_turned(shot.poses, partner.shot.poses)), take.driver),
            (dataclasses.replace(shot, camera=take.other_camera), take.driver),
        ]
        readings = []
        for each, driver in shots:
            video = shoot(portrait, each, head, animation)[0]
            reading = judge.read(video, each.camera.intrinsics, fps, each.face.shape)
            if reading is not None:
                readings.append((_told(each, driver, head), reading))
        if len(readings) == len(shots):
            base, *varied = readings
            read = tuple(change for other in varied if (change := read_change(base, other)) is not None)
            if len(read) == len(varied):
                changes.append((tuple(told_change(base[0], other[0]) for other in varied), read))
        seen = _rendered(take, judge, fps, head)
        if seen is not None:
            rendered.append(seen)
        progress(done + 1, len(takes), f"{done + 1} of {len(takes)} clips")
    if not changes:
        raise UserError("independence: no face is found in the videos; train model and detector longer")
    return independence_matrix(changes, rendered)


def _rendered(take: Take, judge: Judge, fps: float, head: HeadModel) -> Change | None:
    """What is read of a take's rendered videos, before its two cameras; None where a face is not found."""
    told_and_read = []
    for truth, camera in ((take.truth, take.shot.camera), (take.other_truth, take.other_camera)):
        assert truth is not None
        assert camera is not None
        reading = judge.read(truth.video, camera.intrinsics, fps, take.shot.face.shape)
        if reading is None:
            return None
        told_and_read.append((_told(dataclasses.replace(take.shot, camera=camera), take.driver, head), reading))
    return read_change(*told_and_read)


def _turned(own: Poses, other: Poses) -> Poses:
    """The other's head pose. Where the eyes look is expression, and stays."""
    return dataclasses.replace(other, left_eye=own.left_eye, right_eye=own.right_eye)


def _moved(first: Array, second: Array) -> float:
    return float(np.linalg.norm(first - second, axis=-1).mean())


def _told(shot: Shot, driver: Motion, head: HeadModel) -> Told:
    camera = shot.camera.world_to_camera[:, :3, :3]
    turned = camera.swapaxes(1, 2) @ told_rotation(shot, shot.camera)
    return Told(shot.codes(), displacements(head, driver), turned, camera)
