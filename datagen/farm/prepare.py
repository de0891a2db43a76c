"""Putting a corpus folder in order before a run, and after one."""

from __future__ import annotations

import contextlib

from manifests import spool
from manifests.corpus import Corpus, check_output, write_corpus
from manifests.errors import UserError
from manifests.layout import LOG, MANIFEST, SHARDS, part_path, spool_folder
from manifests.manifest import committed_shards
from manifests.rows import OtherVersionError
from manifests.storage import Storage
from manifests.tar import DamagedTarError


def prepare(storage: Storage, corpus: Corpus) -> bytearray:
    """Make the folder that of `corpus`: new, or continued, or grown by more clips.

    Returns one byte a shard, 1 where it is committed. Each step leaves a folder that this puts in order
    again. Raises UserError as `check_output` does.
    """
    tidy(storage)
    found = check_output(storage, corpus)
    if found is not None and found.clips < corpus.clips:
        _open_last_shard(storage, found)
    if found is None or found.clips < corpus.clips:
        write_corpus(storage, corpus)
    committed = committed_shards(storage, corpus.layout)
    for shard in spool.spooled_shards(storage):
        if shard >= len(committed) or committed[shard]:
            storage.delete_folder(spool_folder(shard))
    return committed


def tidy(storage: Storage) -> None:
    """Delete what killed writers left half written. Raises nothing: it takes no room that matters."""
    with contextlib.suppress(Exception):
        for folder in ("", SHARDS, MANIFEST, LOG):
            storage.clean(folder)
        for shard in spool.spooled_shards(storage):
            storage.clean(spool_folder(shard))


def _open_last_shard(storage: Storage, old: Corpus) -> None:
    """A last shard that was committed before it was full goes back into the spool."""
    last = old.layout.shards - 1
    if old.layout.is_full(last) or not storage.exists(part_path(last)):
        return
    try:
        spool.reopen(storage, old.layout, last)
    except OtherVersionError:
        raise
    except (
        DamagedTarError,
        FileNotFoundError,
        TypeError,
        UserError,
    ):  # its tar is no good: its clips are rendered again
        storage.delete(part_path(last))
