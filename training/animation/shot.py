"""One video: all that it shows, frame by frame, and the model's rendering of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datagen.heads.model import HeadModel, head_info, load_head, rotation_matrices
from datagen.heads.store import check_name
from manifests.clip import Motion
from manifests.errors import UserError, require
from training.animation.camera_paths import CameraTrack, check_outside
from training.animation.material import Expressions, Face, Poses
from training.animation.resample import at_times
from training.animation.windows import plan_windows, sample_windows, seam_ratio
from training.conditioning import Conditions, camera_row, expression_row
from training.portrait import Portrait
from training.pose_normals import camera_space, render_pose_normals
from training.progress import Show, silent
from training.sampler import SamplerSettings, Scheduler

Array = NDArray[Any]

MOST_FRAMES: Final = 100_000
"""Of a video, which is held in memory."""


@dataclass(frozen=True)
class AnimationSettings:
    """How a video is made; None: as the model's folder says."""

    guidance: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Scale of each condition that shall not be as trained."""
    steps: int | None = None
    scheduler: Scheduler | None = None
    frames: int | None = None
    """Of the video (None: as long as the expressions go on)."""
    overlap: int | None = None
    """Frames that windows share."""
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Raises UserError for a length of no video."""
        fits = self.frames is None or 1 <= self.frames <= MOST_FRAMES
        require(fits, "frames", self.frames, f"1 to {MOST_FRAMES}")

    def sampler(self, usual: SamplerSettings) -> SamplerSettings:
        """Of a model whose own are ``usual``. Raises UserError for values out of range."""
        return dataclasses.replace(
            usual,
            steps=usual.steps if self.steps is None else self.steps,
            scheduler=usual.scheduler if self.scheduler is None else self.scheduler,
            guidance={**usual.guidance, **self.guidance},
        )


@dataclass(frozen=True)
class Shot:
    """All that a video shows, at ``times`` [T] seconds."""

    face: Face
    expressions: Expressions
    poses: Poses
    camera: CameraTrack
    times: Array

    def codes(self) -> Tensor:
        """[T, D]."""
        return torch.from_numpy(at_times(self.expressions.codes.numpy(), self.expressions.fps, self.times))

    def head_centres(self, head: HeadModel) -> Array:
        """[T, 3] metres: where the driver carries the mean head's centre. The neck's joint is the world's origin."""
        now = self.poses.at(self.times)
        turned = rotation_matrices(now["root"]) @ rotation_matrices(now["neck"])
        centres: Array = turned @ np.asarray(head.info.head_centre) + now["translation"]
        return centres

    def motion(self, head: HeadModel, chosen: Array) -> Motion:
        """Of some frames: the portrait's shape in the driver's pose; the mesh of the normal maps has no expression."""
        return Motion(
            shape=self.face.shape,
            expression=np.zeros((len(chosen), head.info.expression_size), np.float32),
            jaw=np.zeros((len(chosen), 3), np.float32),
            **self.poses.at(self.times[chosen]),
        )

    def normals(self, head: HeadModel, chosen: Array, size: tuple[int, int], subdivision: int) -> Array:
        """float32 [3, n, H, W]: of some frames, in camera space."""
        motion, cameras = self.motion(head, chosen), self.camera
        seen = cameras.intrinsics[chosen], cameras.world_to_camera[chosen]
        return camera_space(render_pose_normals(head, motion, *seen, *size, subdivision), seen[1])


def shoot(
    portrait: Portrait, shot: Shot, head: HeadModel, settings: AnimationSettings, progress: Show = silent
) -> tuple[Tensor, int, float]:
    """The video [3, T, H, W] in [-1, 1], the number of its windows, and `seam_ratio`. Raises UserError for settings out
    of range, and a camera in the head."""
    check_outside(shot.camera.world_to_camera, shot.head_centres(head))
    sampler = settings.sampler(portrait.sampler)
    encode, footage, device = portrait.encode, portrait.footage, settings.device
    codec, frames, size = encode.codec, len(shot.times), (footage.height, footage.width)
    windows = plan_windows(portrait, frames, settings.overlap)
    picture, landmarks = (tensor[None].to(device) for tensor in (shot.face.picture, shot.face.landmarks))
    with torch.no_grad():
        reference = codec.encode(picture[:, :, None])[:, :, 0]
        own = encode.codes(picture[:, :, None], landmarks[:, None])[:, 0]
    codes = shot.codes().to(device)

    def told(window: range) -> Conditions:
        chosen = np.minimum(np.array(window), frames - 1)
        normals = torch.from_numpy(shot.normals(head, chosen, size, footage.subdivision))[None].to(device)
        intrinsics, world_to_camera = (
            torch.from_numpy(array[chosen]).float()[None].to(device)
            for array in (shot.camera.intrinsics, shot.camera.world_to_camera)
        )
        return Conditions(
            reference=reference,
            pose=codec.encode(normals),
            camera=camera_row(intrinsics, world_to_camera, size, codec),
            expression=expression_row(codes[chosen][None], own, codec),
        ).without(portrait.untold)

    kind = torch.device(device).type
    with torch.autocast(kind, torch.bfloat16, enabled=kind != "cpu"):
        pieces = sample_windows(
            portrait, windows, told, sampler, settings.seed,
            lambda done, total: progress(done, total, f"step {done} of {total}"),
        )  # fmt: skip
        video = torch.cat(list(pieces), dim=1)
    return video, windows.count, seam_ratio(video, windows.joins)


def model_head(portrait: Portrait) -> HeadModel:
    """The head whose mesh the normal maps show. Raises UserError where it is not on this machine, or is another."""
    footage = portrait.footage
    name, sha256 = footage.head, footage.head_sha256
    if not name:
        raise UserError("model: does not say which head its normal maps show; export its checkpoint again")
    if not footage.fps > 0 or not footage.height or not footage.width:
        raise UserError("model: does not say the size and rate of its videos; export its checkpoint again")
    check_name(name)
    if (here := head_info(name).sha256) != sha256:
        raise UserError(f"head {name!r}: the model learnt file {sha256[:16]}, here is {here[:16]}; import that file")
    return load_head(name)
