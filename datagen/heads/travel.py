"""Heads on their way to other machines, so that every worker of a cluster poses the same bytes."""

from __future__ import annotations

import os
from dataclasses import dataclass

from datagen.heads import store


@dataclass(frozen=True)
class PackedHead:
    """The files of a stored head."""

    sha256: str
    info: bytes
    arrays: bytes


def pack_head(name_or_path: str) -> PackedHead:
    """Raises UserError for a head that is not there or has changed since it was stored."""
    folder = store.head_folder(name_or_path)
    arrays = store.read_bytes(folder)
    return PackedHead(store.read_info(folder).sha256, (folder / store.INFO_FILE).read_bytes(), arrays)


def unpack_head(packed: PackedHead) -> str:
    """Put a head into this machine's cache, under its hash, and return its folder for `load_head`.

    A folder that is there stays: `load_head` checks what it reads. Raises UserError if the cache cannot be
    written.
    """
    place = store.heads_folder() / ".by-hash" / packed.sha256
    files = {store.INFO_FILE: packed.info, store.ARRAYS_FILE: packed.arrays}
    if not place.is_dir():
        with store.written_beside(place, files) as beside:
            try:
                os.rename(beside, place)
            except OSError:
                if not place.is_dir():  # else another worker of this machine was quicker
                    raise
    return str(place)
