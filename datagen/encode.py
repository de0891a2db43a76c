"""Frames and labels of one clip -> the members of its sample.

Codecs were chosen by size and time at 256 x 256 among H.264, FFV1, PNG, WebP and JPEG. Colour is H.264 in RGB
at a constant quantiser that rounds instead of dropping, which holds 45 dB in every frame even on noise; all
else is FFV1, lossless. Equal clips give equal bytes: one thread, no B-frames, no dates, no choice by
processor.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, cast

import av
import numpy as np
from numpy.typing import NDArray

from datagen.geometry.labels import Labeller
from datagen.geometry.posed import PosedClip
from manifests.arrays import npz_bytes
from manifests.clip import Clip, Member
from manifests.conventions import LANDMARK_COUNT
from manifests.decode import DEPTH_STEP_M, FLOW_STEP_PX, NORMAL_SCALE, UV_SCALE
from manifests.errors import UserError

if TYPE_CHECKING:
    from datagen.blender.renderer import RenderedFrame

Array = NDArray[Any]

KEY_FRAME_INTERVAL: Final = 8
"""A window of frames decodes at most seven frames that it does not want."""

COLOUR_QUANTISER: Final = 14

ALWAYS: Final = ("rgb", "alpha", "pose_normals")
"""What every view has, whatever labels the configuration asks for."""


class ClipEncoder:
    """Takes a clip's pictures as they are rendered, frames outside and views inside, labels them, and gives
    the members of its sample at the end."""

    def __init__(self, clip: Clip, posed: PosedClip) -> None:
        """Raises UserError when the clip asks for a label that its head cannot give."""
        spec = clip.spec
        self._clip = clip
        self._labeller = Labeller(clip, posed)
        self._points = posed.landmarks.astype(np.float32)
        self._pixels = np.zeros((spec.views, spec.frames, LANDMARK_COUNT, 2), np.float32)
        self._visible = np.zeros((spec.views, spec.frames, LANDMARK_COUNT), bool)
        size = clip.cameras.height, clip.cameras.width
        self._videos = [
            {label: _Video(_FORMATS[label], size, spec.fps) for label in (*ALWAYS, *spec.labels)}
            for _ in range(spec.views)
        ]

    def add(self, picture: RenderedFrame) -> None:
        """The next picture of its view. Raises UserError when a depth does not fit its 16 bits."""
        frame, view = picture.frame, picture.view
        videos = self._videos[view]
        if frame != videos["rgb"].frames:
            raise ValueError(f"view {view}: frame {frame} given, {videos['rgb'].frames} is next")
        labels = self._labeller.label(frame, view, picture.alpha, picture.coverage)
        self._pixels[view, frame], self._visible[view, frame] = labels.landmarks, labels.visible
        for label, video in videos.items():
            value = getattr(picture, _PICTURES[label]) if label in _PICTURES else getattr(labels, label)
            video.add(_PACK[label](value) if label in _PACK else value)

    def finish(self) -> list[Member]:
        """All members of the sample, in a fixed order. Raises ValueError when frames are missing."""
        clip = self._clip
        views = []
        for view, videos in enumerate(self._videos):
            for label, video in videos.items():
                if video.frames != clip.spec.frames:
                    raise ValueError(f"view {view}: {video.frames} of {clip.spec.frames} frames were added")
                views.append(Member(f"v{view:02d}.{label}.{_FORMATS[label].suffix}", video.close()))
        arrays = {
            "motion": {f.name: getattr(clip.motion, f.name) for f in dataclasses.fields(clip.motion)},
            "cameras": {"K": clip.cameras.intrinsics, "world_to_camera": clip.cameras.world_to_camera},
            "landmarks": {"points": self._points, "pixels": self._pixels, "visible": self._visible},
        }
        codecs = {label: _FORMATS[label].record for label in self._videos[0]}
        spec = {**dataclasses.asdict(clip.spec), "codecs": codecs}
        return [
            Member("spec.json", canonical_json(spec)),
            *(Member(f"{name}.npz", npz_bytes(content)) for name, content in arrays.items()),
            *views,
        ]


def canonical_json(value: Any) -> bytes:
    """Equal values give equal bytes: sorted keys, no spaces, shortest exact floats, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def pack_normals(normals: Array) -> Array:
    """float [H, W, 3], unit or zero -> uint8."""
    return (np.rint(normals * NORMAL_SCALE) + 128).astype(np.uint8)


def pack_depth(depth: Array) -> Array:
    """float [H, W] metres -> uint16. Raises UserError beyond the range."""
    stored = np.rint(depth / DEPTH_STEP_M)
    if stored.max(initial=0) > 65535:
        raise UserError(
            f"depth: {depth.max():.2f} m does not fit 16 bits of {1000 * DEPTH_STEP_M:g} mm; "
            "bring camera.distance_m below 6 or leave depth out of labels"
        )
    return stored.astype(np.uint16)


def pack_uv(uv: Array) -> Array:
    """float [H, W, 2] in [0, 1] -> uint16 [2 H, W]."""
    return _below(np.rint(np.clip(uv, 0, 1) * UV_SCALE).astype(np.uint16))


def pack_flow(flow: Array) -> Array:
    """float [H, W, 2] pixels -> uint16 [2 H, W]; beyond +-1024 pixels it saturates."""
    return _below(np.clip(np.rint(flow / FLOW_STEP_PX) + 32768, 0, 65535).astype(np.uint16))


def _below(channels: Array) -> Array:
    """[H, W, 2] -> [2 H, W]: the second channel under the first."""
    return np.concatenate([channels[..., 0], channels[..., 1]])


@dataclass(frozen=True)
class _Format:
    """How a label's video is stored."""

    codec: str
    container: str
    suffix: str
    array_format: str
    """Pixel format of the arrays that come in."""
    pixel_format: str
    """Pixel format of the stream; a lossless change of layout."""
    options: dict[str, str]
    channels: int
    meaning: str

    @property
    def record(self) -> dict[str, str]:
        """What ``spec.json`` says of it."""
        return {"codec": self.codec, "pixel_format": self.pixel_format, "stored": self.meaning}


def _h264(meaning: str) -> _Format:
    settings = (
        f"keyint={KEY_FRAME_INTERVAL}:scenecut=0:bframes=0:rc-lookahead=0:aq-mode=0:mbtree=0"
        ":ipratio=1:deadzone-inter=11:threads=1:lookahead-threads=1:cpu-independent=1"
    )
    options = {"preset": "veryfast", "qp": str(COLOUR_QUANTISER), "x264-params": settings}
    return _Format("libx264rgb", "mp4", "mp4", "rgb24", "rgb24", options, 1, meaning)


def _ffv1(array_format: str, pixel_format: str, meaning: str, channels: int = 1) -> _Format:
    options = {"level": "3", "slices": "4", "slicecrc": "1", "coder": "1"}
    if pixel_format == "bgr0":
        options["coder"] = "0"
    return _Format("ffv1", "matroska", "mkv", array_format, pixel_format, options, channels, meaning)


_NORMALS = f"byte 128 + {NORMAL_SCALE} n, world space; 128 128 128 is no surface"
_FORMATS: Final = {
    "rgb": _h264(f"sRGB, constant quantiser {COLOUR_QUANTISER}"),
    "alpha": _ffv1("gray", "gray", "coverage, 255 is all of the pixel"),
    "pose_normals": _ffv1("rgb24", "bgr0", _NORMALS),
    "normals": _ffv1("rgb24", "bgr0", _NORMALS),
    "depth": _ffv1("gray16le", "gray16le", f"z-depth in steps of {DEPTH_STEP_M:g} m; 0 is no surface"),
    "segmentation": _ffv1("gray", "gray", "index of the class"),
    "uv": _ffv1("gray16le", "gray16le", f"{UV_SCALE} u, and v below it", channels=2),
    "flow": _ffv1("gray16le", "gray16le", f"32768 + dx / {FLOW_STEP_PX:g} px, and dy below it", channels=2),
}
_PICTURES: Final = {"rgb": "colour", "alpha": "alpha"}
_PACK: Final[dict[str, Callable[[Array], Array]]] = {
    "pose_normals": pack_normals,
    "normals": pack_normals,
    "depth": pack_depth,
    "uv": pack_uv,
    "flow": pack_flow,
}


class _Video:
    """One member being written."""

    def __init__(self, form: _Format, size: tuple[int, int], fps: float) -> None:
        self.frames = 0
        self._format = form
        self._file = io.BytesIO()
        self._container = av.open(self._file, "w", format=form.container, options={"fflags": "+bitexact"})
        rate = Fraction(fps).limit_denominator(1001)
        stream = self._container.add_stream(form.codec, rate=rate, options=dict(form.options))
        self._stream = cast("av.VideoStream", stream)
        self._stream.height, self._stream.width = size[0] * form.channels, size[1]
        self._stream.pix_fmt = form.pixel_format
        context = self._stream.codec_context
        context.thread_count, context.gop_size = 1, KEY_FRAME_INTERVAL
        context.flags |= av.codec.context.Flags.bitexact

    def add(self, picture: Array) -> None:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=self._format.array_format)
        if self._format.array_format != self._format.pixel_format:
            frame = frame.reformat(format=self._format.pixel_format)
        frame.pts = self.frames
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def close(self) -> bytes:
        self._container.mux(self._stream.encode())
        self._container.close()
        return self._file.getvalue()
