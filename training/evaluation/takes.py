"""What a model is asked for: of each clip one video, by one of three protocols."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datagen.heads.model import HeadModel, rotation_matrices
from manifests.clip import Motion
from manifests.errors import UserError, require
from training.animation.camera_paths import CameraTrack
from training.animation.material import Expressions, Face, check_head, codes_of, poses_of
from training.animation.shot import Shot
from training.data.clips import Clips
from training.data.samples import colours
from training.expression.faces import seen_pose
from training.portrait import Portrait
from training.streams import rng

Array = NDArray[Any]

Protocol = Literal["self", "cross", "novel-view"]
PROTOCOLS: Final = ("self", "cross", "novel-view")


@dataclass(frozen=True)
class Truth:
    """What the rendered clip shows."""

    video: Tensor
    """[3, T, H, W] in [-1, 1]."""
    alpha: Tensor
    """[1, T, H, W] in [0, 1]."""
    landmarks: Tensor
    """[T, 70, 2] pixels."""


@dataclass(frozen=True)
class Take:
    """One video that is asked for."""

    name: str
    """Clips and views that it is made from."""
    recipe: str
    yaw_deg: float
    """Mean, to either side, by which the head is turned from the camera."""
    shot: Shot
    driver: Motion
    """Of the T frames; whose expressions are shown."""
    other_camera: CameraTrack | None
    """Another one for the same moments; None for a clip with one view."""
    truth: Truth | None
    """None where nobody rendered it."""
    other_truth: Truth | None
    """Before the other camera."""

    def head_in_camera(self) -> Array:
        """[T, 3, 3]: the rotation that the video is told."""
        return told_rotation(self.shot, self.shot.camera)


@dataclass(frozen=True)
class TakeSettings:
    """Which videos."""

    protocol: Protocol = "self"
    clips: int = 24
    """How many, each of another clip; all there are where there are fewer."""
    frames: int | None = None
    """None: as many as the model's window has."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise UserError(f"protocol: {self.protocol!r} is none; choose {', '.join(PROTOCOLS)}")
        require(self.clips >= 1, "clips", self.clips, "at least 1")
        require(self.frames is None or self.frames >= 1, "frames", self.frames, "at least 1")


@dataclass(frozen=True)
class Takes(Sequence[Take]):
    """Each is read when it is asked for: a few minutes of large pictures are more than memory holds."""

    read: Callable[[int], Take]
    number: int

    def __len__(self) -> int:
        return self.number

    @overload
    def __getitem__(self, k: int) -> Take: ...
    @overload
    def __getitem__(self, k: slice) -> list[Take]: ...
    def __getitem__(self, k: int | slice) -> Take | list[Take]:
        if isinstance(k, slice):
            return [self.read(each) for each in range(self.number)[k]]
        return self.read(range(self.number)[k])


def make_takes(clips: Clips, portrait: Portrait, head: HeadModel, settings: TakeSettings) -> Takes:
    """Of clips drawn by the seed, in the corpus's order.

    self: a view drives the portrait of its own first frame; novel-view: the portrait is another view's, and so is its
    expression; cross: expressions and head poses are another clip's. The first frames of each clip are shown. Raises
    UserError for clips that are too short or of another size, rate or head than the model's, and of fewer views or
    clips than the protocol needs.
    """
    footage = portrait.footage
    size, frames = (footage.height, footage.width), settings.frames or footage.frames
    if clips.resolution != size:
        raise UserError(
            f"corpus: pictures of {clips.resolution[1]} x {clips.resolution[0]}, the model makes {size[1]} x "
            f"{size[0]}; evaluate on a corpus of that size"
        )
    rate = clips.fps / footage.step
    if not math.isclose(rate, footage.fps):
        raise UserError(
            f"corpus: every {footage.step}th frame makes {rate:g} a second, the model learnt {footage.fps:g}; evaluate "
            "on a corpus of that rate"
        )
    span = (frames - 1) * footage.step + 1
    short = np.flatnonzero(clips.frames < span)
    if len(short):
        raise UserError(f"{clips.key(int(short[0]))}: has fewer than {span} frames; ask for fewer by --frames")
    if settings.protocol == "novel-view" and clips.views.min() < 2:
        raise UserError(f"{clips.key(int(clips.views.argmin()))}: has one view; novel-view needs two")
    drawn = np.sort(rng(settings.seed, "takes").permutation(len(clips))[: settings.clips])
    if settings.protocol == "cross" and len(drawn) < 2:
        raise UserError(f"protocol cross: {len(drawn)} clips; it needs two or more")
    for i in drawn:
        check_head(clips, int(i), footage)
    partners, chosen = np.roll(drawn, -1), range(0, span, footage.step)

    def read(k: int) -> Take:
        return _take(clips, portrait, int(drawn[k]), int(partners[k]), chosen, settings)

    return Takes(read, len(drawn))


def told_rotation(shot: Shot, camera: CameraTrack) -> Array:
    """[T, 3, 3]: how a camera is to see the head turned."""
    turned = rotation_matrices(shot.poses.root) @ rotation_matrices(shot.poses.neck)
    rotations: Array = camera.world_to_camera[:, :3, :3] @ turned
    return rotations


def _take(clips: Clips, portrait: Portrait, i: int, partner: int, frames: range, settings: TakeSettings) -> Take:
    footage, protocol = portrait.footage, settings.protocol
    draw = rng(settings.seed, "take", clips.key(i))
    views = int(clips.views[i])
    view = int(draw.integers(views))
    other = (view + 1 + int(draw.integers(views - 1))) % views if views > 1 else view
    seen = other if protocol == "novel-view" else view
    fps = clips.fps / footage.step
    windows = clips.windows(i, [(each, frames) for each in (view, other, seen)], members=("rgb", "alpha"))
    shown, beside, source = windows
    own = clips.motion(i).at(frames)
    driver, driving = own, source
    name = f"{shown.key} from v{seen:02d}"
    if protocol == "cross":
        (driving,) = clips.windows(partner, [(0, frames)], members=("rgb",))
        driver = clips.motion(partner).at(frames)
        name = f"{shown.key} driven by {driving.key}"
    assert source.rgb is not None
    assert driving.rgb is not None
    codes = codes_of(portrait.encode, driving.rgb, torch.from_numpy(driving.landmarks).float())
    shot = Shot(
        face=Face(colours(source.rgb)[:, 0], torch.from_numpy(source.landmarks[0]).float(), own.shape),
        expressions=Expressions(codes, fps, driving.rgb),
        poses=poses_of(driver, fps),
        camera=CameraTrack(shown.intrinsics, shown.world_to_camera),
        times=np.arange(len(frames)) / fps,
    )
    return Take(
        name=name,
        recipe=clips.info(i).recipe,
        yaw_deg=float(np.abs(seen_pose(driver, shown.world_to_camera)[:, 0]).mean()),
        shot=shot,
        driver=driver,
        other_camera=None if other == view else CameraTrack(beside.intrinsics, beside.world_to_camera),
        truth=None if protocol == "cross" else _truth(shown),
        other_truth=None if protocol == "cross" or other == view else _truth(beside),
    )


def _truth(window: Any) -> Truth:
    return Truth(
        video=colours(window.rgb),
        alpha=torch.from_numpy(window.alpha / np.float32(255))[None],
        landmarks=torch.from_numpy(window.landmarks).float(),
    )
