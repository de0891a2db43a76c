"""Folders of a user's own pictures: listed and hashed when a configuration is loaded, checked again before use.

A configuration names a folder; loading it puts the names and hashes of the folder's files there. So a clip still
follows from its configuration alone, wherever the folder lies and whatever is added to it later.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import warnings
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

from PIL import Image, ImageOps
from pydantic import AfterValidator

from datagen.settings import Settings, show
from manifests.errors import UserError

HDRIS: Final = (".exr", ".hdr")
IMAGES: Final = (".png", ".jpg", ".jpeg")

LARGEST_EDGE, MOST_PIXELS = 16_384, 16_384 * 8192
MOST_FILES = 100_000
_EIGHT_BIT: Final = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


def _plain_files(files: dict[str, str]) -> dict[str, str]:
    if not files:
        raise ValueError("needs at least one file")
    for name, sha256 in files.items():
        if name in (".", "..") or not re.fullmatch(r"[^/\\\0]{1,255}", name):
            raise ValueError(f"{show(name)} is not the name of a file within the folder")
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise ValueError(f"{show(sha256)} is not the SHA-256 of a file")
    return files


class AssetFolder(Settings):
    """A folder of pictures. In a file its path stands alone; loading the configuration lists what is in it."""

    path: str
    """Where it lies, on every machine that renders; no clip depends on it."""
    files: Annotated[dict[str, str], AfterValidator(_plain_files)]
    """SHA-256 of each file by name."""

    def choose(self, u: float) -> tuple[str, str]:
        """(name, SHA-256) of the file that u in [0, 1) falls on, each with equal chance."""
        names = sorted(self.files)
        name = names[int(u * len(names))]
        return name, self.files[name]


class Assets:
    """Finds the files that a clip names, in the folders of its configuration."""

    def __init__(self, folders: Iterable[AssetFolder] = ()) -> None:
        self._folders = list(folders)

    def file(self, name: str, sha256: str) -> Path:
        """The file with this name and content. Raises UserError if it is missing or has changed."""
        for folder in self._folders:
            if folder.files.get(name) == sha256:
                return asset_file(folder, name)
        raise UserError(f"{name}: no folder of the configuration holds this file")


def asset_file(folder: AssetFolder, name: str) -> Path:
    """The file ``name`` of a folder, after its content was checked, once a process.

    Raises UserError if it is missing, or not what it was when the configuration was loaded.
    """
    return _checked(str(Path(folder.path) / name), folder.files[name])


def list_folder(given: Any, base: Path, suffixes: tuple[str, ...], source: str) -> Any:
    """What an ``AssetFolder`` is validated from: the folder ``given``, seen from ``base``, with its files.

    Anything but a path is handed back for validation to judge. Files count that are regular, lie in the folder
    itself and have one of the ``suffixes``; links are not followed. Raises UserError, which begins with
    ``source``, about a folder without such files and about the first file that is no sound picture.
    """
    if not isinstance(given, str):
        return given
    folder = Path(os.path.abspath(base / given))
    kinds = ", ".join(suffixes)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"{source} = {show(given)}: {folder} cannot be listed ({error.strerror})") from None
    chosen = [
        entry.name
        for entry in entries
        if entry.name.lower().endswith(suffixes) and entry.is_file(follow_symlinks=False)
    ]
    if not chosen:
        raise UserError(f"{source} = {show(given)}: {folder} holds no {kinds} file; links and subfolders do not count")
    if len(chosen) > MOST_FILES:
        raise UserError(f"{source} = {show(given)}: {len(chosen)} files; use {MOST_FILES} at most")
    return {"path": str(folder), "files": {name: _examined(folder / name, source) for name in chosen}}


def without_paths(content: Any) -> Any:
    """A dumped configuration in which asset folders keep their files and lose their paths."""
    if isinstance(content, Mapping):
        if set(content) == {"path", "files"}:
            return {"files": content["files"]}
        return {key: without_paths(value) for key, value in content.items()}
    return [without_paths(value) for value in content] if isinstance(content, list) else content


def open_image(path: Path) -> Image.Image:
    """An 8-bit picture as RGB, upright. Raises UserError if it cannot be decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size was checked
            with Image.open(path) as image:
                _check_size(*image.size)
                return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: cannot be read as a picture ({error}); replace it or take it away") from None


def _examined(path: Path, source: str) -> str:
    """SHA-256 (hex) of a file whose header is that of a sound picture."""
    try:
        path.name.encode()
        if path.suffix.lower() == ".hdr":
            _check_hdr(path)
        elif path.suffix.lower() == ".exr":
            _check_exr(path)
        else:
            _check_image(path)
        return _sha256(path)
    except (OSError, ValueError, KeyError, SyntaxError, RuntimeError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        shown = str(path).encode(errors="replace").decode()
        raise UserError(f"{source}: {shown} is no sound picture ({reason}); replace it or take it away") from None


def _check_image(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            _check_size(*image.size)
            if image.mode not in _EIGHT_BIT:
                raise ValueError(f"its pixels are {image.mode}, not 8-bit colour or grey")
            image.verify()


def _check_hdr(path: Path) -> None:
    """Radiance's text header: a magic word, lines up to an empty one, then ``-Y height +X width``."""
    with path.open("rb") as file:
        lines = file.read(65_536).split(b"\n", 200)
    if lines[0].rstrip() not in (b"#?RADIANCE", b"#?RGBE") or b"" not in lines:
        raise ValueError("it has no Radiance header")
    size = re.fullmatch(rb"-Y (\d{1,9}) \+X (\d{1,9})\s*", (lines + [b""])[lines.index(b"") + 1])
    if size is None:
        raise ValueError("its header gives no size, as -Y height +X width")
    _check_size(int(size[2]), int(size[1]))


def _check_exr(path: Path) -> None:
    import OpenEXR

    with OpenEXR.File(str(path), header_only=True, separate_channels=True) as file:
        low, high = file.header()["dataWindow"]
        names = {channel.name for channel in file.header()["channels"]}
    _check_size(int(high[0]) - int(low[0]) + 1, int(high[1]) - int(low[1]) + 1)
    if not {"R", "G", "B"} <= names:
        raise ValueError("it has no channels named R, G and B")


def _check_size(width: int, height: int) -> None:
    if not (0 < width <= LARGEST_EDGE and 0 < height <= LARGEST_EDGE and width * height <= MOST_PIXELS):
        raise ValueError(
            f"{width} x {height} pixels; {LARGEST_EDGE} a side and {MOST_PIXELS >> 20} million are the most"
        )


@cache
def _checked(path: str, sha256: str) -> Path:
    where = Path(path)
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise UserError(f"{path}: not a regular file; put the file itself there")
        found = _sha256(where)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); the configuration uses it, so every machine that renders "
            "needs the folder under this path"
        ) from None
    if found != sha256:
        raise UserError(f"{path}: has changed since the configuration was loaded; put the file back, or start anew")
    return where


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
