"""Heads on their way to other machines, so that every worker of a cluster poses the same bytes."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from datagen.heads import store
from manifests.errors import UserError


@dataclass(frozen=True)
class PackedHead:
    """The files of a stored head."""

    sha256: str
    info: bytes
    arrays: bytes


def pack_head(name_or_path: str) -> PackedHead:
    """Raises UserError for a head that is not there."""
    folder = store.head_folder(name_or_path)
    packed = PackedHead(
        store.read_info(folder).sha256,
        (folder / store.INFO_FILE).read_bytes(),
        (folder / store.ARRAYS_FILE).read_bytes(),
    )
    if hashlib.sha256(packed.arrays).hexdigest() != packed.sha256:
        raise UserError(f"head: {folder / store.ARRAYS_FILE} has changed since it was stored; remove {folder}")
    return packed


def unpack_head(packed: PackedHead) -> str:
    """Put a head into this machine's cache, under its hash, and return its folder for `load_head`."""
    parent = store.heads_folder() / ".by-hash"
    place = parent / packed.sha256
    if not place.is_dir():
        parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".arriving-", dir=parent))
        (beside / store.INFO_FILE).write_bytes(packed.info)
        (beside / store.ARRAYS_FILE).write_bytes(packed.arrays)
        try:
            os.rename(beside, place)
        except OSError:  # another worker of this machine was quicker
            shutil.rmtree(beside, ignore_errors=True)
    return str(place)
