"""A portrait, driven: expression, head pose and camera from sources of their own, into a video."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from datagen.heads.model import HeadModel
from training.animation.beside import beside
from training.animation.camera_paths import CameraTrack, KeyPose, camera_path
from training.animation.material import Reader, read_camera
from training.animation.names import parse_clip
from training.animation.resample import frame_times
from training.animation.shot import AnimationSettings, Shot, model_head, shoot
from training.animation.windows import plan_windows
from training.device import check_device
from training.footage import Footage
from training.landmarks.detector import LandmarkDetector
from training.portrait import Portrait
from training.progress import Show, silent
from training.sheets import as_pictures, video_grid
from training.video_file import PROVENANCE, save_video

Array = NDArray[Any]

_AS_TRAINED: Final = AnimationSettings()


@dataclass(frozen=True)
class Animation:
    """A video that was made, in memory."""

    shot: Shot
    """What it shows."""
    frames: Array
    """uint8 [T, H, W, 3]."""
    fps: float
    windows: int
    seams: float
    """`windows.seam_ratio`."""
    carried: tuple[tuple[str, int], ...] = ()
    """Videos with frames that show no face, and how many: expressions and poses go there from one neighbour to the
    other."""

    def save(self, path: str | Path) -> None:
        """As an MP4 that says that it is synthetic. Raises UserError where it cannot be written."""
        save_video(path, self.frames, self.fps, PROVENANCE)

    def save_beside(self, path: str | Path, portrait: Portrait) -> None:
        """Beside what ``portrait``, the model, made it from."""
        shown = beside(self.shot, model_head(portrait), portrait.footage, {"generated": self.frames})
        save_video(path, video_grid([shown]), self.fps, PROVENANCE)

    def __str__(self) -> str:
        seams = f", {self.seams:.2f} times the usual change at their joins" if math.isfinite(self.seams) else ""
        carried = "".join(f"; {name}: {count} frames show no face, carried over" for name, count in self.carried)
        return f"{len(self.frames)} frames at {self.fps:g} fps in {self.windows} windows{seams}{carried}"


def animate(
    model: Portrait,
    portrait: str,
    driving: str,
    *,
    camera: str | Sequence[KeyPose] = "front",
    expression: str | None = None,
    pose: str | None = None,
    detector: LandmarkDetector | None = None,
    settings: AnimationSettings = _AS_TRAINED,
    progress: Show = silent,
) -> Animation:
    """A video of ``portrait`` with the expressions and head poses of ``driving``, seen by ``camera``.

    ``portrait`` is a frame of a clip (``CORPUS:KEY.v00[0]``) or a picture; ``driving``, and ``expression`` and ``pose``
    in its place where they differ, are clips, videos or recordings (.npz); ``detector`` finds faces in pictures and
    videos, if not the model's own; ``camera`` is a name, key poses or a JSON file of them (see
    `camera_paths.camera_path`), or a clip.

    Curves are read at the model's frame rate. Raises UserError for what is not there or does not fit.
    """
    check_device(settings.device)
    settings.sampler(model.sampler)
    plan_windows(model, settings.frames or 1, settings.overlap)
    model, footage = model.to(settings.device), model.footage
    head = model_head(model)
    detector = detector or model.detector
    if detector is not None:
        detector = detector.to(settings.device)
    _camera_track(camera, np.zeros(1), footage, head)  # what is none is said before minutes go into a driver
    until_s = None if settings.frames is None else settings.frames / footage.fps
    reader = Reader(model.encode, head, footage, detector, progress, until_s)
    face, expressions, poses = (
        reader.face(portrait),
        reader.expressions(expression or driving),
        reader.poses(pose or driving),
    )
    times = frame_times(len(expressions.codes), expressions.fps, footage.fps)
    if settings.frames is not None:
        times = np.arange(settings.frames) / footage.fps
    shot = Shot(face, expressions, poses, _camera_track(camera, times, footage, head), times)
    video, windows, seams = shoot(model, shot, head, settings, progress)
    return Animation(shot, as_pictures(video), footage.fps, windows, seams, reader.carried)


def _camera_track(camera: str | Sequence[KeyPose], times: Array, footage: Footage, head: HeadModel) -> CameraTrack:
    """What `animate` takes as a camera, at times [T] in seconds. Raises UserError for what is none."""
    size = footage.height, footage.width
    clip = parse_clip(camera) if isinstance(camera, str) else None
    if clip is not None:
        return read_camera(clip, times, size)
    return camera_path(camera, times, footage, head.info.head_centre, size)
