"""What a video is made from: a portrait, expressions, head poses and cameras, each from a source of its own."""

from __future__ import annotations

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
from training.animation.camera_paths import CameraTrack, check_outside
from training.animation.names import ClipName, parse_clip
from training.animation.resample import at_times, cameras_at_times
from training.data.clips import Clips
from training.encode import Encode

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
    pictures: Tensor | None
    """[3, F, H, W] in [-1, 1]; None for a recording."""


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


def read_face(text: str, size: tuple[int, int]) -> Face:
    """The portrait of a clip's frame. Raises UserError for what is not there, or of another size than the model's."""
    name = _clip_name("portrait", text)
    clips, i = _find(name)
    if clips.resolution != size:
        raise UserError(
            f"portrait {text}: is {clips.resolution[1]} x {clips.resolution[0]}, the model makes {size[1]} x "
            f"{size[0]}; take one of the corpus it was trained on"
        )
    (window,) = clips.windows(i, [(name.view, range(name.frame, name.frame + 1))], members=("rgb",))
    assert window.rgb is not None
    return Face(_colours(window.rgb)[:, 0], torch.from_numpy(window.landmarks[0]).float(), clips.motion(i).shape)


def read_expressions(text: str, encode: Encode, head: HeadModel) -> Expressions:
    """Of a clip's pictures, as the encoder reads them, or of a recording. Raises UserError for what is neither."""
    if text.endswith(".npz"):
        recording = parse_recording(Path(text), _recorded(text), head.info)
        still = np.zeros((len(recording.expression), 3), np.float32)
        curves = {name: curve.astype(np.float32) for name, curve in recording.curves.items()}
        shape, expression = np.zeros(1, np.float32), recording.expression.astype(np.float32)
        motion = Motion(shape, expression, **{**curves, "root": still, "neck": still, "translation": still})
        codes = encode.expression.encode_motion(motion, head)
        if codes is None:
            raise UserError(
                f"expression {text}: the model's encoder reads pictures alone; give a clip, or train it anew"
            )
        return Expressions(codes, recording.fps, None)
    name = _clip_name("expression", text)
    clips, i = _find(name)
    (window,) = clips.windows(i, [(name.view, range(clips.info(i).frames))], members=("rgb",))
    assert window.rgb is not None
    pictures, landmarks = _colours(window.rgb), torch.from_numpy(window.landmarks).float()
    device = next((tensor.device for tensor in encode.expression.parameters()), torch.device("cpu"))
    codes = encode.codes(pictures[None].to(device), landmarks[None].to(device))[0].cpu()
    return Expressions(codes, clips.fps, pictures)


def read_poses(text: str, head: HeadModel) -> Poses:
    """Of a clip's head, or of a recording. Raises UserError for what is neither."""
    if text.endswith(".npz"):
        recording = parse_recording(Path(text), _recorded(text), head.info)
        return Poses(**{name: recording.curves[name].astype(np.float32) for name in _POSED}, fps=recording.fps)
    clips, i = _find(_clip_name("pose", text))
    motion = clips.motion(i)
    return Poses(**{name: getattr(motion, name) for name in _POSED}, fps=clips.fps)


def read_camera(name: ClipName, times: Array, size: tuple[int, int], head: HeadModel) -> CameraTrack:
    """A clip's camera at times [T] in seconds, for pictures of ``size`` (H, W). Raises UserError where it is not there,
    or stands in the head."""
    clips, i = _find(name)
    (window,) = clips.windows(i, [(name.view, range(clips.info(i).frames))], members=())
    check_outside(f"camera {name.key}", window.world_to_camera, head.info.head_centre)
    scale = np.diag([size[1] / clips.resolution[1], size[0] / clips.resolution[0], 1.0])
    intrinsics = at_times(scale @ window.intrinsics, clips.fps, times)
    return CameraTrack(intrinsics, cameras_at_times(window.world_to_camera, clips.fps, times))


_POSED: Final = ("root", "neck", "left_eye", "right_eye", "translation")


def _clip_name(what: str, text: str) -> ClipName:
    name = parse_clip(text)
    if name is None:
        known = "a clip of a corpus (CORPUS:KEY.v00)" + (" or a recording (.npz)" if what != "portrait" else "")
        raise UserError(f"{what} {text!r}: is none; give {known}")
    return name


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


def _colours(rgb: Array) -> Tensor:
    """uint8 [T, H, W, 3] -> [3, T, H, W] in [-1, 1]."""
    return torch.from_numpy(rgb).permute(3, 0, 1, 2).float() / 127.5 - 1
