"""Reads arrays by name from files that others made: .pkl, .npz and .npy, none of which is ever executed."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from manifests.errors import UserError

from .unpickle import MAX_BYTES, array_of, load_npy, load_pickle, reason

Array = NDArray[Any]


def read_members(path: Path, wanted: tuple[str, ...]) -> dict[str, Array]:
    """The wanted arrays that a .pkl, .npz or .npy file has. Raises UserError for what is no such file."""
    try:
        return _read_members(path, wanted)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); check its permissions") from error


def _read_members(path: Path, wanted: tuple[str, ...]) -> dict[str, Array]:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
        raise UserError(f"{path}: {kind}; give a .pkl, .npz or .npy file")
    if status.st_size > MAX_BYTES:
        raise UserError(f"{path}: {status.st_size} bytes; head files have at most {MAX_BYTES}")
    origin = str(path)
    if path.suffix == ".npz":
        return {key: array_of(value, f"{origin}[{key}]") for key, value in _npz_members(path, wanted)}
    if path.suffix not in (".pkl", ".npy"):
        raise UserError(f"{path}: a .pkl, .npz or .npy file expected")
    data = path.read_bytes()
    content = load_npy(data, origin) if path.suffix == ".npy" else load_pickle(data, origin)
    if not isinstance(content, dict):
        raise UserError(f"{path}: a dictionary of arrays expected")
    return {key: array_of(content[key], f"{origin}[{key}]") for key in wanted if key in content}


def _npz_members(path: Path, wanted: tuple[str, ...]) -> list[tuple[str, Any]]:
    """Members by name; others, such as the dictionaries in SMPL-X files, are not even read."""
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            found = [i for i in archive.infolist() if i.filename.removesuffix(".npy") in wanted]
            if sum(i.file_size for i in found) > 2 * MAX_BYTES:
                raise UserError(f"{path}: unpacks to more than {2 * MAX_BYTES} bytes")
            names = [i.filename.removesuffix(".npy") for i in found]
            return [(n, load_npy(archive.read(i), f"{path}[{n}]")) for n, i in zip(names, found, strict=True)]
    except (UserError, OSError):
        raise
    except Exception as error:  # zipfile and its decompressors raise many kinds
        raise UserError(f"{path}: not a readable .npz file ({reason(error)})") from error
