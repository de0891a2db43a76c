"""A video of a face to the motion of a head: found, fitted, told how well, and written as a recording."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datagen.heads.model import load_head
from manifests.clip import HeadInfo
from manifests.errors import UserError, require
from manifests.recording import parse_recording
from training.folder import replacing_file
from training.landmarks.detector import LandmarkDetector
from training.landmarks.report import draw_points
from training.progress import Show, silent
from training.tracking.fit import Fit, FitSettings, fit_head
from training.tracking.video import read_video
from training.video_file import check_video_name, save_video

Array = NDArray[Any]

_SURE: Final = 0.5
_ALLOW: Final = "cut them out, or allow it by --most-missing"
_NAMED: Final = (-0.1, 1.3)
"""Coefficients of named shapes that a recording may hold; see `manifests.recording`."""


@dataclass(frozen=True)
class Seen:
    """What was found in a video of T frames."""

    pictures: Array
    """uint8 [T, H, W, 3]."""
    fps: float
    points: Tensor
    """[T, 70, 2] pixels."""
    visible: Tensor
    """[T, 70] in [0, 1]."""
    found: Tensor
    """bool [T]."""


@dataclass(frozen=True)
class Track:
    """A video that was tracked."""

    path: Path
    seen: Seen
    fit: Fit
    licence: str
    """Of the detector that found the points."""

    def __str__(self) -> str:
        errors, frames = self.fit.error_px, len(self.seen.found)
        missing = int((~self.seen.found).sum())
        carried = f", {missing} of them without a face, carried over" if missing else ""
        height, width = self.seen.pictures.shape[1:3]
        return (
            f"{self.path}: {frames} frames{carried}; the head's landmarks are off by {np.nanmean(errors):.2f} pixels "
            f"of {width} x {height} (worst {np.nanmax(errors):.2f} in frame {int(np.nanargmax(errors))}). Points by a "
            f"detector whose licence is: {self.licence}"
        )


def track(
    video: str | Path,
    detector: LandmarkDetector,
    out: str | Path,
    *,
    head: str = "open",
    overlay: str | Path | None = None,
    most_missing_s: float = 1.0,
    settings: FitSettings | None = None,
    progress: Show = silent,
) -> Track:
    """Write the motion of the face in ``video`` as a recording, ``out`` (.npz); ``overlay`` is a video of what was
    found and fitted.

    Frames without a face are carried over from their neighbours, up to ``most_missing_s`` seconds at once. Raises
    UserError for what is no video, one without a face, or without one for longer.
    """
    if Path(out).suffix != ".npz" or Path(out).is_dir():
        raise UserError(f"track {out}: is written as .npz; name a file so")
    require(most_missing_s >= 0, "most_missing_s", most_missing_s, "0 or more seconds")
    if overlay is not None:
        check_video_name(overlay)
    model = load_head(head)
    seen = find_faces(*read_video(video), detector, progress)
    check_gaps(f"track {video}", seen.found.numpy(), seen.fps, most_missing_s, _ALLOW)
    size = seen.pictures.shape[1], seen.pictures.shape[2]
    fit = fit_head(
        model, seen.points, seen.visible, seen.found, size, settings,
        lambda done, total: progress(done, total, f"fitting the head, {done} of {total} steps"),
    )  # fmt: skip
    _write(Path(out), model.info, seen, fit)
    if overlay is not None:
        save_video(overlay, draw_track(seen, fit), seen.fps)
    return Track(Path(out), seen, fit, detector.licence)


def find_faces(pictures: Array, fps: float, detector: LandmarkDetector, progress: Show = silent) -> Seen:
    """Frame by frame, each looked at first where the one before had its face."""
    device = next((weight.device for weight in detector.parameters()), torch.device("cpu"))
    points, visible, found = [], [], []
    near: Tensor | None = None
    for t, picture in enumerate(pictures):
        frame = torch.from_numpy(np.ascontiguousarray(picture)).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1
        told = detector.detect(frame, near)
        if near is not None and float(told.found) < _SURE:
            told = detector.detect(frame)
        sure = float(told.found) >= _SURE
        near = told.points if sure else None
        points.append(told.points[0].cpu())
        visible.append(told.visible[0].cpu())
        found.append(sure)
        progress(t + 1, len(pictures), f"finding the face, {t + 1} of {len(pictures)} frames")
    return Seen(pictures, fps, torch.stack(points), torch.stack(visible), torch.tensor(found))


def check_gaps(name: str, found: Array, fps: float, most_s: float, remedy: str) -> None:
    """Raises UserError where no frame has a face, or one is missing for longer than ``most_s`` seconds."""
    if not found.any():
        raise UserError(f"{name}: no frame shows a face; give a video of one, larger or better lit")
    start = 0
    for t in range(len(found) + 1):
        if t == len(found) or found[t]:
            if (t - start) / fps > most_s:
                raise UserError(f"{name}: no face in frames {start} to {t - 1}, {(t - start) / fps:.1f} s; {remedy}")
            start = t + 1


def draw_track(seen: Seen, fit: Fit) -> Array:
    """uint8 [T, H', 2 W', 3]: the points that were found, and beside them those of the fitted head."""
    pairs = zip(seen.pictures, seen.points.numpy(), seen.visible.numpy(), seen.found.numpy(), fit.points, strict=True)
    frames = []
    for picture, points, visible, found, fitted in pairs:
        left = draw_points(picture, points if found else np.full_like(points, np.nan), visible)
        frames.append(np.concatenate([left, draw_points(picture, fitted, np.ones(len(fitted)))], axis=1))
    return np.stack(frames)


def _write(path: Path, head: HeadInfo, seen: Seen, fit: Fit) -> None:
    """Raises UserError for what a recording may not hold, such as a single frame."""
    motion = fit.motion
    curves = {name: track for name, track in vars(motion).items() if name != "shape"}
    if head.expression_names:
        curves["expression"] = np.clip(motion.expression, *_NAMED)
    with replacing_file(path, "track") as beside:
        np.savez(
            beside,
            fps=seen.fps,
            head=head.name,
            shape=motion.shape,
            intrinsics=fit.intrinsics,
            world_to_camera=fit.world_to_camera,
            landmarks=fit.points,
            detected=seen.points.numpy(),
            visible=seen.visible.numpy(),
            found=seen.found.numpy(),
            error_px=fit.error_px,
            **curves,
        )
        parse_recording(path, beside.read_bytes(), head)
