"""Sample members back to arrays: pictures and labels of a window of frames, poses, cameras, the record.

Nothing in a member is executed or unpickled, and nothing is allocated on the word of a header: sizes are
checked against ``max_bytes`` before memory is taken.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray

from manifests.errors import UserError

Array = NDArray[Any]

MAX_BYTES: Final = 1 << 31
"""Largest array, or archive of arrays, that is read unless the caller says otherwise."""

NORMAL_SCALE: Final = 127
"""Normals are stored as bytes 128 + 127 n, so that no surface (n = 0) is 128. Error below 0.4 degrees."""

DEPTH_STEP_M: Final = 1e-4
"""Depth is stored in 16 bits of this step: error at most 0.05 mm, range 6.5 m; 0 is no surface."""

UV_SCALE: Final = 65535
"""Texture coordinates in [0, 1] are stored in 16 bits of this many steps."""

FLOW_STEP_PX: Final = 1 / 32
"""Flow is stored as 32768 + flow / step: error at most 1/64 pixel, range +-1024 pixels."""


def decode(name: str, data: bytes, start: int = 0, stop: int | None = None, max_bytes: int = MAX_BYTES) -> Any:
    """One member by its name in the sample (``spec.json``, ``motion.npz``, ``v00.depth.mkv``).

    JSON gives a dict, npz a dict of arrays, and a video an array of frames ``start`` to ``stop`` (excluded;
    None: to the end), as `read_frames` documents. Raises UserError for a member that is damaged, too large
    or of an unknown kind.
    """
    kind = name.rsplit(".", 1)[-1]
    if kind == "json":
        return read_json(name, data)
    if kind == "npz":
        return read_arrays(name, data, max_bytes)
    return read_frames(name, data, start, stop, max_bytes)


def read_json(name: str, data: bytes) -> dict[str, Any]:
    """The object in a JSON member. Raises UserError when it holds none."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _damaged(name, str(error)) from error
    if not isinstance(value, dict):
        raise _damaged(name, "it holds no JSON object")
    return value


def read_arrays(name: str, data: bytes, max_bytes: int = MAX_BYTES) -> dict[str, Array]:
    """All arrays of an npz member. Raises UserError when it is damaged or larger than ``max_bytes``."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            size = sum(entry.file_size for entry in entries)
            if size > max_bytes:
                raise _too_large(name, size, max_bytes)
            return {entry.filename.removesuffix(".npy"): _read_array(archive, entry) for entry in entries}
    except UserError:
        raise
    except Exception as error:  # decompressors and numpy, which parses headers as Python, raise nearly anything
        raise _damaged(name, f"{type(error).__name__}: {error}") from error


def read_frames(name: str, data: bytes, start: int = 0, stop: int | None = None, max_bytes: int = MAX_BYTES) -> Array:
    """Frames ``start`` to ``stop`` (excluded) of a video member; only those and their key frame are decoded.

    By the member's label: ``rgb`` uint8 [T, H, W, 3]; ``alpha`` and ``segmentation`` uint8 [T, H, W];
    ``pose_normals`` and ``normals`` float32 [T, H, W, 3], unit or zero; ``depth`` float32 [T, H, W] metres;
    ``uv`` and ``flow`` float32 [T, H, W, 2]. Raises UserError when the member is damaged, larger than
    ``max_bytes`` once decoded, of an unknown label, or too short for ``stop``.
    """
    parts = name.split(".")
    label = _LABELS.get(parts[-2]) if len(parts) >= 2 else None
    container = _CONTAINERS.get(parts[-1])
    if label is None or container is None:
        raise UserError(f"{name}: not a member that this version knows; names look like v00.rgb.mp4")
    if start < 0 or (stop is not None and stop <= start):
        raise UserError(f"{name}: frames {start} to {stop} asked for; give 0 <= start < stop")
    try:
        frames = list(_decode_video(name, data, container, label, start, stop, max_bytes))
    except (av.error.FFmpegError, ValueError, IndexError, AttributeError) as error:  # None for an unknown codec
        raise _damaged(name, str(error)) from error
    if not frames or (stop is not None and len(frames) < stop - start):
        raise UserError(f"{name}: frames {start} to {stop} asked for, it ends at {start + len(frames)}")
    return label.unpack(np.stack(frames))


def _unpack_normals(stored: Array) -> Array:
    normals = stored.astype(np.float32) - 128
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1)
    return normals


def _unpack_depth(stored: Array) -> Array:
    return stored.astype(np.float32) * np.float32(DEPTH_STEP_M)


def _unpack_uv(stored: Array) -> Array:
    return _two_channels(stored).astype(np.float32) / np.float32(UV_SCALE)


def _unpack_flow(stored: Array) -> Array:
    return (_two_channels(stored).astype(np.float32) - 32768) * np.float32(FLOW_STEP_PX)


def _two_channels(stored: Array) -> Array:
    """[T, 2 H, W], the second channel below the first -> [T, H, W, 2]."""
    return np.stack(np.split(stored, 2, axis=1), axis=-1)


def _as_stored(stored: Array) -> Array:
    return stored


@dataclass(frozen=True)
class _Label:
    pixel_formats: tuple[str, ...]
    """The first is what `unpack` takes; a stream may hold any of them."""
    decoded_bytes: int
    """A stored pixel's share of the decoded array."""
    unpack: Callable[[Array], Array]


_LABELS: Final = {
    "rgb": _Label(("rgb24", "gbrp"), 3, _as_stored),
    "alpha": _Label(("gray",), 1, _as_stored),
    "segmentation": _Label(("gray",), 1, _as_stored),
    "pose_normals": _Label(("rgb24", "bgr0"), 12, _unpack_normals),
    "normals": _Label(("rgb24", "bgr0"), 12, _unpack_normals),
    "depth": _Label(("gray16le",), 4, _unpack_depth),
    "uv": _Label(("gray16le",), 4, _unpack_uv),
    "flow": _Label(("gray16le",), 4, _unpack_flow),
}
_CONTAINERS: Final = {"mp4": "mp4", "mkv": "matroska"}


def _decode_video(
    name: str, data: bytes, container: str, label: _Label, start: int, stop: int | None, max_bytes: int
) -> Iterator[Array]:
    """Frames as stored. Streams have no B-frames, so the n-th packet is the n-th frame.

    Opening a stream decodes its first frame to know it, so that is bounded as well.
    """
    probing = {"max_pixels": str(max(max_bytes // label.decoded_bytes, 1 << 20))}
    with av.open(io.BytesIO(data), "r", format=container, options=probing) as file:
        stream = file.streams.video[0]
        size = stream.codec_context.height, stream.codec_context.width
        picture_bytes = size[0] * size[1] * label.decoded_bytes
        if picture_bytes * max((stop or 1) - start, 1) > max_bytes:
            raise _too_large(name, picture_bytes * max((stop or 1) - start, 1), max_bytes)
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"max_pixels": str(_padded(size[0]) * _padded(size[1]))}
        packets = [packet for packet in file.demux(stream) if packet.size]
        first = max((i for i, packet in enumerate(packets[: start + 1]) if packet.is_keyframe), default=0)
        index = first
        for packet in [*packets[first:stop], None]:
            for frame in stream.codec_context.decode(packet):
                if (frame.height, frame.width) != size or frame.format.name not in label.pixel_formats:
                    raise _damaged(name, f"a frame is {frame.width} x {frame.height} {frame.format.name}")
                if index >= start:
                    if picture_bytes * (index - start + 1) > max_bytes:
                        raise _too_large(name, picture_bytes * (index - start + 1), max_bytes)
                    yield frame.to_ndarray(format=label.pixel_formats[0], threads=1)
                index += 1


def _padded(edge: int) -> int:
    """FFmpeg counts pixels in rows padded to its strides, which are at most 64 long."""
    return max(-(-edge // 64), 1) * 64


def _read_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Array:
    """One ``.npy`` entry, whose header must agree with the entry's size."""
    with archive.open(entry) as file:
        content = file.read(entry.file_size)
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read_header(stream)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
        raise ValueError(f"entry {entry.filename} does not hold the array that it declares")
    values = np.frombuffer(content, dtype, offset=stream.tell())
    return values.reshape(shape, order="F" if fortran else "C").copy()


def _damaged(name: str, why: str) -> UserError:
    return UserError(
        f"{name}: cannot be decoded ({' '.join(why.split())}); it is damaged: make its shard anew, or take another copy"
    )


def _too_large(name: str, size: int, limit: int) -> UserError:
    return UserError(f"{name}: {size} bytes when decoded, over the limit of {limit}; raise max_bytes to read it")
