"""The cache of head models: one folder a head, with plain arrays and a small description.

``head.npz`` is read with ``allow_pickle=False`` only and holds the file format's own keys (``v_template``,
``shapedirs``, ...) with extras: ``part``, ``uv``, ``uv_faces``, ``landmark_faces``, ``landmark_barycentric``.
``info.json`` is the HeadInfo. A folder appears whole or not at all.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.arrays import npz_bytes
from manifests.clip import HeadInfo, LidOpening, TraitComponent
from manifests.errors import UserError

Array = NDArray[Any]

INFO_FILE, ARRAYS_FILE = "info.json", "head.npz"
OPEN_HEADS = ("open", "open-body")
_BUILD = 3
"""Raise it when the open heads change: a cached head of an older build is built anew."""
_NAME = re.compile(r"[a-z0-9_-]{1,64}")


def heads_folder() -> Path:
    """``$FACTORPORTRAIT_CACHE/heads``, or ``~/.cache/factorportrait/heads``."""
    try:
        root = os.environ.get("FACTORPORTRAIT_CACHE") or Path.home() / ".cache" / "factorportrait"
    except RuntimeError:
        raise UserError(
            "~/.cache: this user has no home folder; set FACTORPORTRAIT_CACHE to a writable folder"
        ) from None
    return Path(root) / "heads"


def list_heads() -> list[str]:
    """Names of the heads that can be loaded: the open ones, then the imported ones."""
    folder = heads_folder()
    stored = sorted(p.parent.name for p in folder.glob("*/info.json") if _NAME.fullmatch(p.parent.name))
    return [*OPEN_HEADS, *(name for name in stored if name not in OPEN_HEADS)]


def build_head(name: str) -> HeadInfo:
    """Build an open head into the cache, replacing what is there."""
    if name not in OPEN_HEADS:
        raise UserError(f"head '{name}': only {' and '.join(OPEN_HEADS)} can be built; others are imported")
    from .figure import build_figure

    shape = build_figure()
    if name == "open":
        from .open_head import open_head_arrays

        kind, arrays = "flame", open_head_arrays(shape)
    else:
        from .open_body import open_body_arrays

        kind, arrays = "smplx", open_body_arrays(shape)
    return save_head(
        name,
        kind,
        arrays,
        licence="CC0-1.0",
        identity_size=len(shape.components),
        expression_names=shape.expression_names,
        expression_size=len(shape.expression_names),
        traits=shape.traits,
        lids=shape.lids,
    )


def head_folder(name_or_path: str) -> Path:
    """Folder of a head by name or path; builds an open head that is not cached."""
    given = Path(name_or_path)
    if os.sep in name_or_path and os.path.isfile(given / INFO_FILE):
        return given
    check_name(name_or_path)
    folder = heads_folder() / name_or_path
    if name_or_path in OPEN_HEADS:
        if not _is_current(folder):
            build_head(name_or_path)
    elif not os.path.isfile(folder / INFO_FILE):
        raise UserError(
            f"head '{name_or_path}': not in {heads_folder()}; known: {', '.join(list_heads())}; "
            f"bring it with: factorportrait heads import FILE --name {name_or_path}"
        )
    return folder


def read_info(folder: Path) -> HeadInfo:
    """The description of a stored head. Raises UserError where it is damaged."""
    try:
        record = json.loads((folder / INFO_FILE).read_text())
        record.pop("build")
        record["expression_names"] = tuple(record["expression_names"])
        record["head_centre"] = tuple(record["head_centre"])
        record["traits"] = tuple(TraitComponent(**trait) for trait in record["traits"])
        if record.get("lids") is not None:
            record["lids"] = LidOpening(**{side: tuple(shares) for side, shares in record["lids"].items()})
        return HeadInfo(**record)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"head: {folder / INFO_FILE} cannot be read ({error}); {_remedy(folder)}") from error


def read_bytes(folder: Path) -> bytes:
    """``head.npz`` of a stored head. Raises UserError unless it has the SHA-256 that ``info.json`` states."""
    expected = read_info(folder).sha256
    try:
        data = (folder / ARRAYS_FILE).read_bytes()
    except OSError as error:
        raise UserError(f"head: {folder / ARRAYS_FILE} cannot be read ({error.strerror}); {_remedy(folder)}") from error
    if hashlib.sha256(data).hexdigest() != expected:
        raise UserError(f"head: {folder / ARRAYS_FILE} has changed since it was stored; {_remedy(folder)}")
    return data


def read_arrays(folder: Path) -> dict[str, Array]:
    """All arrays of a stored head, checked as by `read_bytes`. Object arrays are refused, never unpickled."""
    data = read_bytes(folder)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}
    except Exception as error:  # of a file that another program wrote, with a hash to match
        why = " ".join(str(error).split())
        raise UserError(f"head: {folder / ARRAYS_FILE} cannot be read ({why}); {_remedy(folder)}") from error


def save_head(
    name: str,
    kind: str,
    arrays: dict[str, Array],
    *,
    licence: str,
    identity_size: int,
    expression_size: int,
    expression_names: tuple[str, ...] = (),
    traits: tuple[TraitComponent, ...] = (),
    lids: LidOpening | None = None,
) -> HeadInfo:
    """Put a head into the cache, whole. Raises UserError if the cache cannot be written."""
    check_name(name)
    data = npz_bytes(arrays)
    info = HeadInfo(
        name=name,
        kind=kind,
        sha256=hashlib.sha256(data).hexdigest(),
        licence=licence,
        identity_size=identity_size,
        expression_size=expression_size,
        expression_names=expression_names,
        head_centre=_head_centre(kind, arrays),
        traits=traits,
        lids=lids,
        has_uv="uv" in arrays,
    )
    record = json.dumps({**dataclasses.asdict(info), "build": _BUILD}, indent=1)
    place = heads_folder() / name
    with written_beside(place, {ARRAYS_FILE: data, INFO_FILE: record.encode()}) as beside:
        _replace(beside, place)
    return info


@contextlib.contextmanager
def written_beside(place: Path, files: dict[str, bytes]) -> Iterator[Path]:
    """A folder of these files that the block may rename to ``place``, so that readers and other writers never
    see a half. Raises UserError where writing or the block meets an OSError."""
    parent = place.parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=parent, ignore_cleanup_errors=True) as scratch:
            folder = Path(scratch) / "head"
            folder.mkdir()
            for name, data in files.items():
                (folder / name).write_bytes(data)
            yield folder
    except OSError as error:
        raise UserError(
            f"{parent}: cannot be written ({error.strerror or error}); set FACTORPORTRAIT_CACHE to a writable folder"
        ) from error


def check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UserError(f"head '{name}': a name has 1 to 64 of the characters a-z, 0-9, - and _")


def _is_current(folder: Path) -> bool:
    try:
        return json.loads((folder / INFO_FILE).read_text())["build"] == _BUILD
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _remedy(folder: Path) -> str:
    """How to get a sound head back into ``folder``."""
    if folder.parent != heads_folder():
        return f"remove {folder}"
    if folder.name in OPEN_HEADS:
        return f"mend it with: factorportrait heads build {folder.name}"
    return f"bring it again with: factorportrait heads import FILE --name {folder.name} --replace"


def _replace(new: Path, place: Path) -> None:
    """Two builders may race: whoever comes later finds a head of equal content and moves it aside first."""
    for _ in range(10):
        try:
            os.rename(new, place)
            return
        except OSError:
            aside = Path(tempfile.mkdtemp(prefix=f".{place.name}-old-", dir=place.parent))
            with contextlib.suppress(FileNotFoundError):
                os.rename(place, aside / "head")
            shutil.rmtree(aside, ignore_errors=True)
    raise UserError(f"head '{place.name}': {place} cannot be replaced; remove it")


def _head_centre(kind: str, arrays: dict[str, Array]) -> tuple[float, float, float]:
    """Between the ears at eye height: the eyes' height, the middle of the head's depth there."""
    template = np.asarray(arrays["v_template"], dtype=float)
    joints = np.asarray(arrays["J_regressor"], dtype=float) @ template
    neck, left, right = (1, 3, 4) if kind == "flame" else (12, 23, 24)
    eyes = (joints[left] + joints[right]) / 2
    level = template[np.abs(template[:, 1] - eyes[1]) < 0.015]
    head = level[np.abs(level[:, 0] - eyes[0]) < 0.13]
    if not len(head):
        raise UserError("head: its eye joints are not at the height of any part of it; J_regressor is not of this mesh")
    depth = (head[:, 2].min() + head[:, 2].max()) / 2
    centre = np.array([eyes[0], eyes[1], depth]) - joints[neck]
    return tuple(round(float(c), 6) for c in centre)  # type: ignore[return-value]
