"""Files that a user hands in, looked at before anything is rendered: regular, of sane size, and sound.

What is looked at is chosen so that a folder of hundreds is quick: JPEGs are decoded at an eighth of their size, PNGs
have the checksums of their chunks, EXRs a table of where their rows lie; of Radiance maps only the header is read, and
the least that so many rows take. What else may be broken in a map is found when a clip uses it.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct
import warnings
from io import BufferedReader
from pathlib import Path
from typing import Final

from PIL import Image, ImageOps

from manifests.errors import UserError
from manifests.recording import MOST_RECORDING_BYTES

LARGEST_EDGE, MOST_PIXELS = 16_384, 16_384 * 8192
"""Of a light map, the largest that are made: 16k."""
LARGEST_IMAGE_PIXELS: Final = 8192 * 4096
"""Of a picture: four times 4k; more would take gigabytes in Blender's 32-bit textures."""
_EIGHT_BIT: Final = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
_EXR_MAGIC: Final = b"\x76\x2f\x31\x01"
_EXR_ROWS: Final = {0: 1, 1: 1, 2: 1, 3: 16, 4: 32, 5: 16, 6: 32, 7: 32, 8: 32, 9: 256}
"""Rows in a chunk for each compression. Source: openexr.com, "OpenEXR file layout"."""
_EXR_NOT_ROWS: Final = 0x200 | 0x800 | 0x1000
"""Version flags of files with tiles, deep pixels or several parts."""


def examine(path: Path, source: str) -> str:
    """SHA-256 (hex) of a sound file: .hdr, .exr, .npz, or a picture. Raises UserError, which begins with ``source``."""
    try:
        path.name.encode()
        checks = {".hdr": _check_hdr, ".exr": _check_exr, ".npz": _check_npz}
        checks.get(path.suffix.lower(), _check_image)(path)
        return sha256_of(path)
    except (OSError, ValueError, KeyError, SyntaxError, RuntimeError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        shown = str(path).encode(errors="replace").decode()
        what = "recording" if path.suffix.lower() == ".npz" else "picture"
        raise UserError(f"{source}: {shown} is no sound {what} ({reason}); replace it or take it away") from None


def open_image(path: Path) -> Image.Image:
    """An 8-bit picture as RGB, upright. Raises UserError if it cannot be decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its size, which is checked, and of its notes, which are not used
            with Image.open(path) as image:
                _check_size(*image.size, LARGEST_IMAGE_PIXELS)
                return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: cannot be read as a picture ({error}); replace it or take it away") from None


def open_regular(path: Path) -> BufferedReader:
    """A file opened to be read. Raises OSError if it is not there, ValueError if it is a link or no regular file."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if path.is_symlink():
            raise ValueError("it is a link; put the file itself there") from error
        raise
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise ValueError("it is not a regular file")
    return os.fdopen(number, "rb")


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a regular file. Raises as ``open_regular`` does."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_image(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            _check_size(*image.size, LARGEST_IMAGE_PIXELS)
            if image.mode not in _EIGHT_BIT:
                raise ValueError(f"its pixels are {image.mode}, not 8-bit colour or grey")
            if image.format == "JPEG":
                image.draft("RGB", (1, 1))
                image.load()
            else:
                image.verify()


def _check_npz(path: Path) -> None:
    size = path.stat().st_size
    if size > MOST_RECORDING_BYTES:
        raise ValueError(f"it has {size} bytes; {MOST_RECORDING_BYTES} are the most, by shorter recordings")


def _check_hdr(path: Path) -> None:
    """Radiance's text header: a magic word, lines up to an empty one, then ``-Y height +X width``."""
    with path.open("rb") as file:
        start = file.read(65_536)
    lines = start.split(b"\n", 200)
    if lines[0].rstrip() not in (b"#?RADIANCE", b"#?RGBE") or b"" not in lines:
        raise ValueError("it has no Radiance header")
    line = (lines + [b""])[lines.index(b"") + 1]
    size = re.fullmatch(rb"-Y (\d{1,9}) \+X (\d{1,9})\s*", line)
    if size is None:
        raise ValueError("its header gives no size, as -Y height +X width")
    width, height = int(size[2]), int(size[1])
    _check_size(width, height, MOST_PIXELS)
    row = min(4 * width, 4 + 4 * 2 * -(-width // 127))  # plain, or four channels in runs of 127 at most
    if path.stat().st_size - start.index(line) - len(line) < height * row:
        raise ValueError("it is cut short")


def _check_exr(path: Path) -> None:
    import OpenEXR

    with OpenEXR.File(str(path), header_only=True, separate_channels=True) as file:
        low, high = file.header()["dataWindow"]
        names = {channel.name for channel in file.header()["channels"]}
    width, height = (int(b) - int(a) + 1 for a, b in zip(low, high, strict=True))
    _check_size(width, height, MOST_PIXELS)
    if not {"R", "G", "B"} <= names:
        raise ValueError("it has no channels named R, G and B")
    with path.open("rb") as file:
        _check_rows(file, height, path.stat().st_size)


def _check_rows(file: BufferedReader, height: int, size: int) -> None:
    """That all rows of an EXR lie within the file. Of tiles only OpenEXR knows, when they are read."""
    magic, version = struct.unpack("<4sI", file.read(8))
    if magic != _EXR_MAGIC:
        raise ValueError("it has no OpenEXR header")
    if version & _EXR_NOT_ROWS:
        return
    compression = 0
    while name := _word(file):
        _word(file)
        (length,) = struct.unpack("<I", file.read(4))
        value = file.read(min(length, size))
        if name == b"compression":
            compression = value[0]
    chunks = -(-height // _EXR_ROWS.get(compression, 256))
    table = file.read(8 * chunks)
    if len(table) < 8 * chunks:
        raise ValueError("it is cut short")
    for (place,) in struct.iter_unpack("<Q", table):
        if not file.tell() <= size >= place + 8 or place == 0:
            raise ValueError("it is cut short")
        file.seek(place + 4)
        (length,) = struct.unpack("<I", file.read(4))
        if place + 8 + length > size:
            raise ValueError("it is cut short")


def _word(file: BufferedReader) -> bytes:
    """Text up to a zero byte."""
    word = bytearray()
    while (letter := file.read(1)) not in (b"", b"\0"):
        word += letter
        if len(word) > 255:
            raise ValueError("its header is damaged")
    return bytes(word)


def _check_size(width: int, height: int, most_pixels: int) -> None:
    if not (0 < width <= LARGEST_EDGE and 0 < height <= LARGEST_EDGE and width * height <= most_pixels):
        raise ValueError(
            f"{width} x {height} pixels; {LARGEST_EDGE} a side and {most_pixels >> 20} million are the most"
        )
