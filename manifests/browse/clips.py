"""One clip for the page, from its row and its members: pictures by the window, cameras, landmarks, mesh.

Everything here may come from a stranger: numbers are checked before they count, and what is read, decoded or
kept has a bound.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from manifests.audit.probe import MeshProbe
from manifests.browse.cache import ByteCache
from manifests.browse.layers import COLOUR, LAYERS, encode_frame, thumbnail
from manifests.decode import read_arrays, read_frames, read_json
from manifests.errors import UserError
from manifests.reader import CorpusReader
from manifests.table import OK, Row

Array = NDArray[Any]

MAX_MEMBER_BYTES: Final = 256 << 20
MAX_DECODED_BYTES: Final = 512 << 20
WINDOW_BYTES: Final = 64 << 20
WINDOW_FRAMES: Final = 16
MESH_WINDOW_FRAMES: Final = 16
MAX_FRAMES, MAX_VIEWS, MAX_EDGE, MAX_FPS = 10_001, 64, 16_384, 1000.0
MAX_POINTS: Final = 1000
MAX_SPEC_LETTERS: Final = 200_000
DEPTH_MARGIN_M: Final = 0.2
"""A head reaches this far in front of and behind the point that cameras look at."""

_VIDEO: Final = re.compile(rf"v(\d{{2,3}})\.({'|'.join([COLOUR, *LAYERS])})\.(mp4|mkv)")


@dataclass(frozen=True)
class View:
    """A camera's pictures: which layers it has, colour among them."""

    number: int
    layers: dict[str, str]
    """Member name of each layer."""


@dataclass(frozen=True)
class Clip:
    """A clip whose row makes sense."""

    source: int
    row: Row
    frames: int
    fps: float
    views: tuple[View, ...]

    @property
    def key(self) -> str:
        return str(self.row["key"])

    @property
    def window(self) -> int:
        """Frames of one picture window: fewer of large ones, so that a window has a bound."""
        frame_bytes = self.row["width"] * self.row["height"] * 12
        return max(1, min(WINDOW_FRAMES, WINDOW_BYTES // frame_bytes))

    @cached_property
    def depth_range(self) -> tuple[float, float]:
        """Metres between which depth is drawn, the same over the whole clip so that it does not flicker."""
        near, far = self.row.get("camera_distance_m_min"), self.row.get("camera_distance_m_max")
        if near is None or far is None or not (math.isfinite(near) and math.isfinite(far)) or near > far:
            return 0.5, 2.0
        return near - DEPTH_MARGIN_M, far + DEPTH_MARGIN_M


def make_clip(row: Row) -> Clip:
    """Raises UserError if the clip was given up, or its row is none that a clip has."""
    if row["status"] != OK:
        raise UserError(f"clip {row['key']!r} was given up: {row['error'] or 'no reason is known'}")
    for name, most in (("frames", MAX_FRAMES), ("views", MAX_VIEWS), ("width", MAX_EDGE), ("height", MAX_EDGE)):
        if row[name] is None or not 1 <= row[name] <= most:
            raise UserError(f"clip {row['key']!r}: {name} = {row[name]} in its row, must be 1 to {most}; audit it")
    if row["fps"] is None or not 0 < row["fps"] <= MAX_FPS:
        raise UserError(f"clip {row['key']!r}: fps = {row['fps']} in its row, must be up to {MAX_FPS:g}; audit it")
    if row["shard"] is None or row["members"] is None:
        raise UserError(f"clip {row['key']!r}: its row names no shard or no members; audit it")
    layers: dict[int, dict[str, str]] = {}
    for member in row["members"]:
        match = _VIDEO.fullmatch((member or {}).get("name") or "")
        if match and int(match[1]) < row["views"]:
            layers.setdefault(int(match[1]), {})[match[2]] = match[0]
    views = tuple(View(number, layers[number]) for number in sorted(layers))
    return Clip(row["source"], row, row["frames"], row["fps"], views)


class ClipReader:
    """Pictures and arrays of clips. Keeps what was read and drawn last; threads share it."""

    def __init__(self, reader: CorpusReader, mesh: MeshProbe | None) -> None:
        self._reader = reader
        self._mesh = mesh
        self._members = ByteCache(256 << 20)
        self._pictures = ByteCache(96 << 20)

    def thumbnail(self, clip: Clip) -> bytes:
        """The first frame of the first view, a JPEG."""
        name = next((view.layers[COLOUR] for view in clip.views if COLOUR in view.layers), None)
        if name is None:
            raise UserError(f"clip {clip.key!r}: has no view with colour; audit it")
        return self._pictures.get(
            (clip.source, clip.key, "thumbnail"),
            lambda: thumbnail(read_frames(name, self._member(clip, name), 0, 1, MAX_DECODED_BYTES)[0]),
        )

    def frames(self, clip: Clip, view: int, layer: str, start: int) -> list[bytes]:
        """Frames `start` to `start` + `Clip.window` of a layer, each a picture's bytes, fewer at the clip's end."""
        _check_start(clip, start)
        name = next((item.layers.get(layer) for item in clip.views if item.number == view), None)
        if name is None:
            raise UserError(f"clip {clip.key!r}: view {view} has no {layer[:40]}; audit it")
        stop = min(start + clip.window, clip.frames)
        decoded = read_frames(name, self._member(clip, name), start, stop, MAX_DECODED_BYTES)
        return [encode_frame(layer, frame, clip.depth_range) for frame in decoded]

    def spec(self, clip: Clip) -> dict[str, Any]:
        return read_json("spec.json", self._member(clip, "spec.json"))

    def cameras(self, clip: Clip) -> Array:
        """float32 [V, T, 25]: K, then world_to_camera, row by row."""
        arrays = self._arrays(clip, "cameras.npz")
        views, frames = clip.row["views"], clip.frames
        k = _shaped("cameras.npz", arrays, "K", (views, frames, 3, 3))
        world_to_camera = _shaped("cameras.npz", arrays, "world_to_camera", (views, frames, 4, 4))
        return np.concatenate([k.reshape(views, frames, 9), world_to_camera.reshape(views, frames, 16)], -1)

    def landmarks(self, clip: Clip) -> Array:
        """float32 [V, T, N, 3]: x and y in pixels, and 1 where visible."""
        arrays = self._arrays(clip, "landmarks.npz")
        views, frames = clip.row["views"], clip.frames
        pixels = _shaped("landmarks.npz", arrays, "pixels", (views, frames, None, 2))
        visible = _shaped("landmarks.npz", arrays, "visible", pixels.shape[:3])
        return np.concatenate([pixels, visible[..., None]], -1)

    def points(self, clip: Clip) -> Array:
        """float32 [T, N, 3]: landmarks in world metres."""
        return _shaped("landmarks.npz", self._arrays(clip, "landmarks.npz"), "points", (clip.frames, None, 3))

    def mesh(self, clip: Clip, start: int) -> tuple[Array, Array]:
        """Vertices float32 [up to `MESH_WINDOW_FRAMES`, V, 3] from frame `start`, and faces uint32 [F, 3]."""
        _check_start(clip, start)
        if self._mesh is None:
            raise UserError("mesh: no head model was handed to this page; start it with `factorportrait browse`")
        window = slice(start, start + MESH_WINDOW_FRAMES)
        motion = {
            name: array if name == "shape" or array.shape[:1] != (clip.frames,) else array[window]
            for name, array in self._arrays(clip, "motion.npz").items()
        }
        vertices, faces = self._mesh(self.spec(clip), motion)
        return np.asarray(vertices, np.float32), np.asarray(faces, np.uint32)

    def _arrays(self, clip: Clip, name: str) -> dict[str, Array]:
        return read_arrays(name, self._member(clip, name), MAX_DECODED_BYTES)

    def _member(self, clip: Clip, name: str) -> bytes:
        sizes = [member["size"] for member in clip.row["members"] if member and member["name"] == name]
        if not sizes:
            raise UserError(f"clip {clip.key!r}: has no {name}; audit it")
        if sizes[0] is None or sizes[0] > MAX_MEMBER_BYTES:
            raise UserError(
                f"{clip.key}.{name}: {sizes[0]} bytes, over the {MAX_MEMBER_BYTES} that are shown; audit it"
            )
        place = (clip.source, clip.key, name, tuple(_places(clip.row, name)))
        return self._members.get(place, lambda: self._read(clip, name))

    def _read(self, clip: Clip, name: str) -> bytes:
        try:
            return self._reader.members(clip.row, lambda other: other == name)[name]
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise UserError(f"{clip.key}.{name}: its shard cannot be read ({reason}); give access to it") from None


def _places(row: Mapping[str, Any], name: str) -> list[tuple[Any, Any]]:
    return [(member["offset"], member["sha256"]) for member in row["members"] if member and member["name"] == name]


def _check_start(clip: Clip, start: int) -> None:
    if not 0 <= start < clip.frames:
        raise UserError(f"frame {start}: clip {clip.key!r} has frames 0 to {clip.frames - 1}")


def _shaped(member: str, arrays: Mapping[str, Array], name: str, shape: tuple[int | None, ...]) -> Array:
    """The array as float32, its shape as it must be; None stands for the number of points."""
    array = arrays.get(name)
    found = "absent" if array is None else f"{array.dtype} {list(array.shape)}"
    sound = (
        array is not None
        and array.dtype.kind in "fiub"
        and array.ndim == len(shape)
        and all(
            size == wanted or (wanted is None and size <= MAX_POINTS)
            for size, wanted in zip(array.shape, shape, strict=True)
        )
    )
    if array is None or not sound:
        wanted_text = ", ".join("N" if size is None else str(size) for size in shape)
        raise UserError(f"{member}: {name} is {found}, must be [{wanted_text}]; it is damaged: audit the corpus")
    with np.errstate(over="ignore"):
        return array.astype(np.float32)
