"""Folders of a user's own files: listed and hashed when a configuration is loaded, checked again before use.

A configuration names a folder; loading it puts the names and hashes of the folder's files there. So a clip still
follows from its configuration alone, wherever the folder lies and whatever is added to it later.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator

from datagen.asset_files import examine, sha256_of
from datagen.settings import Settings, one_line, show
from manifests.errors import UserError

HDRIS: Final = (".exr", ".hdr")
IMAGES: Final = (".png", ".jpg", ".jpeg")
RECORDINGS: Final = (".npz",)

MOST_FILES = 100_000


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
    """A folder of files. In a file its path stands alone; loading the configuration lists what is in it."""

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
    """The file ``name`` of a folder, after its content was checked.

    Raises UserError if it is missing, or not what it was when the configuration was loaded.
    """
    path = Path(folder.path) / name
    try:
        found = sha256_of(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{path}: cannot be read ({reason}); the configuration uses it, so every machine that renders needs the "
            "folder under this path"
        ) from None
    if found != folder.files[name]:
        raise UserError(f"{path}: has changed since the configuration was loaded; put the file back, or start anew")
    return path


def list_folder(given: Any, base: Path, suffixes: tuple[str, ...], source: str) -> Any:
    """What an ``AssetFolder`` is validated from: the folder ``given``, seen from ``base``, with its files.

    Anything but a path is handed back for validation to judge. Files count that are regular, lie in the folder
    itself and have one of the ``suffixes``; links are not followed. Raises UserError, which begins with
    ``source``, about a folder without such files and about the first file that is not sound.
    """
    if not isinstance(given, str):
        return given
    folder = _folder_at(given, base, source)
    kinds = ", ".join(suffixes)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or one_line(error)
        where = str(folder).encode(errors="replace").decode().replace("\0", "?")
        raise UserError(f"{source} = {show(given)}: {where} cannot be listed ({reason}); give a folder") from None
    chosen = [
        entry.name
        for entry in entries
        if entry.name.lower().endswith(suffixes) and entry.is_file(follow_symlinks=False)
    ]
    if not chosen:
        raise UserError(f"{source} = {show(given)}: {folder} holds no {kinds} file; links and subfolders do not count")
    if len(chosen) > MOST_FILES:
        raise UserError(f"{source} = {show(given)}: {len(chosen)} files; use {MOST_FILES} at most")
    return {"path": str(folder), "files": {name: examine(folder / name, source) for name in chosen}}


def _folder_at(given: str, base: Path, source: str) -> Path:
    """A user's folder, seen from ``base``; ``~`` is the home folder."""
    try:
        return Path(os.path.abspath(base / Path(given).expanduser()))
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{source} = {show(given)}: no path ({one_line(error)}); give that of a folder") from None
