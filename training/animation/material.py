"""What a video is made from: a portrait, expressions, head poses and cameras, each from a source of its own."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datagen.heads.model import HeadModel
from manifests.clip import Motion
from manifests.errors import UserError
from manifests.recording import MOST_RECORDING_BYTES, parse_recording
from training.animation.camera_paths import CameraTrack
from training.animation.names import ClipName, parse_clip
from training.animation.photograph import place_face, read_photograph
from training.animation.resample import at_times, cameras_at_times, rotations_at_times
from training.data.clips import Clips
from training.data.samples import colours
from training.encode import Encode
from training.footage import Footage
from training.landmarks.detector import LandmarkDetector
from training.progress import Show, silent
from training.tracking.fit import Fit, fit_head
from training.tracking.track import Seen, check_gaps, find_faces
from training.tracking.video import read_video

Array = NDArray[Any]


@dataclass(frozen=True)
class Face:
    """The portrait."""

    picture: Tensor
    """[3, H, W] in [-1, 1]."""
    landmarks: Tensor
    """[70, 2] pixels."""
    shape: Array
    """float32 [S]: identity coefficients of the head model; zeros where they are not known."""


@dataclass(frozen=True)
class Expressions:
    """Codes [F, D] of F frames, and the pictures they were read from."""

    codes: Tensor
    fps: float
    pictures: Array | None
    """uint8 [F, H, W, 3]; None for a recording."""


@dataclass(frozen=True)
class Poses:
    """How the head is turned and stands in F frames: axis-angle in radians, metres; each float32 [F, 3]. The eyes turn
    with it, as they do in a corpus's normal maps."""

    root: Array
    neck: Array
    left_eye: Array
    right_eye: Array
    translation: Array
    fps: float

    def at(self, times: Array) -> dict[str, Array]:
        """Each curve at times [T] in seconds."""
        curves = {name: rotations_at_times(getattr(self, name), self.fps, times) for name in _TURNED}
        curves["translation"] = at_times(self.translation, self.fps, times)
        return curves


@dataclass(frozen=True)
class Reader:
    """Reads sources for one model; a video that several things come from is tracked once."""

    encode: Encode
    head: HeadModel
    footage: Footage
    detector: LandmarkDetector | None
    progress: Show = silent
    until_s: float | None = None
    """What videos show after it is not read."""

    @functools.cached_property
    def _tracked(self) -> dict[str, tuple[Seen, Fit]]:
        return {}

    def face(self, text: str) -> Face:
        """The portrait: a frame of a clip, or a picture. Raises UserError for what is not there, shows no face, or is a
        clip of another size or head than the model's."""
        name = parse_clip(text)
        if name is not None:
            return read_face(text, name, self.footage)
        picture = read_photograph(text)
        return Face(*place_face(text, picture, self._finds(f"portrait {text}"), self.head, self.footage))

    def expressions(self, text: str) -> Expressions:
        """Of a clip's or a video's pictures, as the encoder reads them, or of a recording. Raises UserError for what is
        none of these."""
        if text.lower().endswith(".npz"):
            return read_recorded_expressions(text, self.encode, self.head)
        name = parse_clip(text)
        if name is not None:
            return read_expressions(name, self.encode)
        seen, fit = self._track(text)
        points = torch.where(seen.found[:, None, None], seen.points, torch.from_numpy(fit.points))
        codes = carried_over(codes_of(self.encode, seen.pictures, points), seen.found.numpy())
        return Expressions(codes, seen.fps, seen.pictures)

    def poses(self, text: str) -> Poses:
        """Of a clip's head, a tracked video, or a recording. Raises UserError for what is none of these."""
        if text.lower().endswith(".npz"):
            return read_recorded_poses(text, self.head)
        name = parse_clip(text)
        if name is not None:
            clips, i = _find(name)
            return poses_of(clips.motion(i), clips.fps)
        seen, fit = self._track(text)
        return poses_of(fit.motion, seen.fps)

    @property
    def carried(self) -> tuple[tuple[str, int], ...]:
        """Videos that were read and have frames without a face, and how many."""
        missing = ((text, int((~seen.found).sum())) for text, (seen, _) in self._tracked.items())
        return tuple((text, count) for text, count in missing if count)

    def _track(self, text: str) -> tuple[Seen, Fit]:
        if text not in self._tracked:
            detector = self._finds(f"driver {text}")
            seen = find_faces(*read_video(text, until_s=self.until_s), detector, self.progress)
            check_gaps(f"driver {text}", seen.found.numpy(), seen.fps, _MOST_MISSING_S, "cut them out")
            size = seen.pictures.shape[1], seen.pictures.shape[2]
            self._tracked[text] = seen, fit_head(
                self.head, seen.points, seen.visible, seen.found, size,
                on_step=lambda done, total: self.progress(done, total, f"fitting the head, {done} of {total} steps"),
            )  # fmt: skip
        return self._tracked[text]

    def _finds(self, what: str) -> LandmarkDetector:
        if self.detector is None:
            raise UserError(
                f"{what}: faces in pictures and videos are found by a detector; give one (--landmarks, as `train "
                "landmarks` makes it), or a clip of a corpus (CORPUS:KEY.v00)"
            )
        return self.detector


def read_face(text: str, name: ClipName, footage: Footage) -> Face:
    """The portrait of a clip's frame."""
    (clips, i), size = _find(name), (footage.height, footage.width)
    check_head(clips, i, footage)
    if clips.resolution != size:
        raise UserError(
            f"portrait {text}: is {clips.resolution[1]} x {clips.resolution[0]}, the model makes {size[1]} x "
            f"{size[0]}; take one of the corpus it was trained on"
        )
    (window,) = clips.windows(i, [(name.view, range(name.frame, name.frame + 1))], members=("rgb",))
    assert window.rgb is not None
    return Face(colours(window.rgb)[:, 0], torch.from_numpy(window.landmarks[0]).float(), clips.motion(i).shape)


def check_head(clips: Clips, i: int, footage: Footage) -> None:
    """Raises UserError for a clip of another head than the model's: its shape would be another's coefficients."""
    head = clips.spec(i).get("head")
    found = head if isinstance(head, dict) else {}
    if found.get("sha256") != footage.head_sha256:
        raise UserError(
            f"{clips.key(i)}: shows head {str(found.get('name'))[:40]!r} ({str(found.get('sha256'))[:16]}), the model "
            f"learnt {footage.head!r} ({footage.head_sha256[:16]}); take clips of that head"
        )


def read_recorded_expressions(text: str, encode: Encode, head: HeadModel) -> Expressions:
    """The codes that a recording's faces have on average."""
    recording = parse_recording(Path(text), _recorded(text), head.info)
    still = np.zeros((len(recording.expression), 3), np.float32)
    curves = {name: curve.astype(np.float32) for name, curve in recording.curves.items()}
    shape, expression = np.zeros(1, np.float32), recording.expression.astype(np.float32)
    motion = Motion(shape, expression, **{**curves, "root": still, "neck": still, "translation": still})
    codes = encode.expression.encode_motion(motion, head)
    if codes is None:
        raise UserError(f"expression {text}: the model's encoder reads pictures alone; give a clip, or train it anew")
    return Expressions(codes, recording.fps, None)


def read_expressions(name: ClipName, encode: Encode) -> Expressions:
    """Of a view of a clip."""
    clips, i = _find(name)
    (window,) = clips.windows(i, [(name.view, range(clips.info(i).frames))], members=("rgb",))
    assert window.rgb is not None
    codes = codes_of(encode, window.rgb, torch.from_numpy(window.landmarks).float())
    return Expressions(codes, clips.fps, window.rgb)


def read_recorded_poses(text: str, head: HeadModel) -> Poses:
    recording = parse_recording(Path(text), _recorded(text), head.info)
    return Poses(**{name: recording.curves[name].astype(np.float32) for name in _POSED}, fps=recording.fps)


def read_camera(name: ClipName, times: Array, size: tuple[int, int]) -> CameraTrack:
    """A clip's camera at times [T] in seconds, for pictures of ``size`` (H, W): those of another aspect show the middle
    of what the clip does. Raises UserError where it is not there."""
    clips, i = _find(name)
    (window,) = clips.windows(i, [(name.view, range(clips.info(i).frames))], members=())
    (height, width), (wanted_height, wanted_width) = clips.resolution, size
    scale = max(wanted_width / width, wanted_height / height)
    left, top = (wanted_width - scale * width) / 2, (wanted_height - scale * height) / 2
    cut = np.array([[scale, 0, left], [0, scale, top], [0, 0, 1]])
    intrinsics = at_times(cut @ window.intrinsics, clips.fps, times)
    return CameraTrack(intrinsics, cameras_at_times(window.world_to_camera, clips.fps, times))


_MOST_MISSING_S: Final = 1.0
_CHUNK: Final = 32
"""Frames that are looked at together."""
_TURNED: Final = ("root", "neck", "left_eye", "right_eye")
_POSED: Final = (*_TURNED, "translation")


def poses_of(motion: Motion, fps: float) -> Poses:
    return Poses(**{name: getattr(motion, name) for name in _POSED}, fps=fps)


def codes_of(encode: Encode, pictures: Array, landmarks: Tensor) -> Tensor:
    """[F, D] of pictures uint8 [F, H, W, 3] and landmarks [F, 70, 2]; on the CPU."""
    device = next((tensor.device for tensor in encode.expression.parameters()), torch.device("cpu"))
    parts = []
    for start in range(0, len(pictures), _CHUNK):
        some = slice(start, start + _CHUNK)
        parts.append(encode.codes(colours(pictures[some])[None].to(device), landmarks[None, some].to(device))[0].cpu())
    return torch.cat(parts)


def carried_over(values: Tensor, found: Array) -> Tensor:
    """Values [F, D] that hold where ``found`` [F] says so; elsewhere, on straight lines from one such frame to the
    next."""
    at = np.flatnonzero(found)
    place = np.interp(np.arange(len(found)), at, np.arange(len(at)))
    return torch.from_numpy(at_times(values.numpy()[at], 1.0, place))


def _find(name: ClipName) -> tuple[Clips, int]:
    clips = Clips(name.corpus, split=None)
    return clips, clips.find(name.key)


def _recorded(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_RECORDING_BYTES + 1)
    except OSError as error:
        raise UserError(f"recording {path}: cannot be read ({error.strerror}); name one that is there") from None
    if len(data) > MOST_RECORDING_BYTES:
        raise UserError(f"recording {path}: is larger than {MOST_RECORDING_BYTES} bytes; cut it")
    return data
