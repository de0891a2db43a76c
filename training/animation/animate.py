"""A portrait, driven: expression, head pose and camera from sources of their own, into a video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from manifests.errors import UserError
from training.animation.beside import PROVENANCE, beside
from training.animation.camera_paths import camera_path
from training.animation.material import Reader, read_camera
from training.animation.names import parse_clip
from training.animation.resample import frame_times
from training.animation.shot import AnimationSettings, Shot, model_head, shoot
from training.device import check_device
from training.landmarks.detector import LandmarkDetector
from training.landmarks.load import load_detector
from training.portrait import Portrait, load_portrait
from training.progress import Show, silent
from training.sheets import as_pictures, video_grid
from training.video_file import save_video

Array = NDArray[Any]

_AS_TRAINED: Final = AnimationSettings()


@dataclass(frozen=True)
class Animation:
    """A video that was made."""

    path: Path
    frames: int
    fps: float
    windows: int
    seams: float
    """`windows.seam_ratio`."""

    def __str__(self) -> str:
        seams = f", {self.seams:.2f} times the usual change at their joins" if self.windows > 1 else ""
        return f"{self.path}: {self.frames} frames at {self.fps:g} fps in {self.windows} windows{seams}"


def animate(
    model: str | Path | Portrait,
    portrait: str,
    driving: str,
    out: str | Path,
    *,
    camera: str = "front",
    expression: str | None = None,
    pose: str | None = None,
    side_by_side: str | Path | None = None,
    landmarks: str | Path | LandmarkDetector | None = None,
    settings: AnimationSettings = _AS_TRAINED,
    progress: Show = silent,
) -> Animation:
    """Write a video of ``portrait`` with the expressions and head poses of ``driving``, seen by ``camera``.

    ``portrait`` is a frame of a clip (``CORPUS:KEY.v00[0]``) or a picture; ``driving``, and ``expression`` and ``pose``
    in its place where they differ, are clips, videos or recordings (.npz); ``landmarks`` is the detector that finds
    faces in pictures and videos; ``camera`` is a name, a JSON file of key poses (`camera_paths.camera_path`) or a
    clip. ``side_by_side`` is a second video with all of them beside the result.

    Curves are read at the model's frame rate. Raises UserError for what is not there or does not fit, before anything
    is written.
    """
    check_device(settings.device)
    for path in (out, side_by_side):
        if path is not None and Path(path).suffix != ".mp4":
            raise UserError(f"video {path}: is written as .mp4; name it so")
    loaded = (model if isinstance(model, Portrait) else load_portrait(model)).to(settings.device)
    footage = loaded.footage
    size, head = (footage.height, footage.width), model_head(loaded)
    detector = landmarks if isinstance(landmarks, LandmarkDetector | None) else load_detector(landmarks)
    if detector is not None:
        detector = detector.to(settings.device)
    reader = Reader(loaded.encode, head, footage, detector, progress)
    face, expressions, poses = (
        reader.face(portrait),
        reader.expressions(expression or driving),
        reader.poses(pose or driving),
    )
    times = frame_times(len(expressions.codes), expressions.fps, footage.fps)
    if settings.frames is not None:
        if settings.frames < 1:
            raise UserError(f"frames: {settings.frames} given; give at least 1")
        times = np.arange(settings.frames) / footage.fps
    clip = parse_clip(camera)
    track = (
        camera_path(camera, times, footage, head.info.head_centre, size)
        if clip is None
        else read_camera(clip, times, size, head)
    )
    shot = Shot(face, expressions, poses, track, times)
    video, windows, seams = shoot(loaded, shot, head, settings, progress)
    pictures = as_pictures(video)
    if side_by_side is not None:
        save_video(
            side_by_side, video_grid([beside(shot, head, footage, {"generated": pictures})]), footage.fps, PROVENANCE
        )
    save_video(out, pictures, footage.fps, PROVENANCE)
    return Animation(Path(out), len(pictures), footage.fps, windows, seams)
