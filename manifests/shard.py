"""From the spool to a committed shard."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import IO, Any

import pyarrow as pa

from manifests import spool, tar
from manifests.layout import Layout, part_path, spool_folder
from manifests.manifest import read_part, write_part
from manifests.storage import COPY_BYTES, Storage
from manifests.table import SCHEMA, Row, StoredMember, clip_row, quarantined_row


class DamagedFragmentError(Exception):
    """A clip in the spool that cannot be read; it has been deleted and must be rendered again."""

    def __init__(self, clip: int) -> None:
        super().__init__(clip)
        self.clip = clip


def assemble(storage: Storage, layout: Layout, shard: int, config_hash: str) -> None:
    """Write the shard from its spool, commit it, and clear the spool.

    The tar is in its place before its part, so a crash at any point leaves either a shard that does not
    exist, with all its clips in the spool, or a committed one. Raises DamagedFragmentError, and what the storage
    raises.
    """
    try:
        rows = _write_tar(storage, layout, shard, config_hash)
    except FileNotFoundError:
        # Another run's worker, dying, may have been quicker with the same clips, or with those of a corpus
        # that has grown since.
        with contextlib.suppress(FileNotFoundError):
            committed = read_part(storage, shard)
            if [row["index"] for row in committed] == list(layout.clips_of(shard)):
                return
            storage.delete(part_path(shard))
        raise
    write_part(storage, shard, rows)
    storage.delete_folder(spool_folder(shard))


def copy_data(source: IO[bytes], entry: tar.Entry, sink: IO[bytes] | None) -> str:
    """The SHA-256 of an entry's bytes, which are copied on the way. Raises DamagedTarError if they end early."""
    source.seek(entry.offset)
    digest = hashlib.sha256()
    left = entry.size
    while left:
        piece = source.read(min(left, COPY_BYTES))
        if not piece:
            raise tar.DamagedTarError(f"{entry.name!r} is cut short")
        digest.update(piece)
        if sink is not None:
            sink.write(piece)
        left -= len(piece)
    return digest.hexdigest()


def _write_tar(storage: Storage, layout: Layout, shard: int, config_hash: str) -> list[Row]:
    found = spool.read_spool(storage, layout, shard)
    rows: list[Row] = []
    position = 0
    with storage.stream(layout.shard_path(shard)) as sink:
        for clip in layout.clips_of(shard):
            if clip in found.quarantined:
                rows.append(quarantined_row(layout, clip, _error(storage, layout, clip), config_hash))
                continue
            row = _append(storage, layout, clip, config_hash, sink, position)
            position += row["size"]
            rows.append(row)
        sink.write(tar.END)
    return rows


def _append(storage: Storage, layout: Layout, clip: int, config_hash: str, sink: IO[bytes], start: int) -> Row:
    """Copy one clip's entries behind `start` bytes that are there."""
    path = layout.fragment_path(clip)
    prefix = f"{layout.key(clip)}."
    members: list[StoredMember] = []
    spec = b""
    end = 0
    size = storage.size(path)
    with storage.open(path) as source:
        try:
            for entry in tar.entries(source, size):
                if not entry.name.startswith(prefix):
                    raise tar.DamagedTarError(f"{entry.name!r} is not of this clip")
                name = entry.name.removeprefix(prefix)
                sink.write(tar.header(entry.name, entry.size))
                if name == spool.SPEC:
                    source.seek(entry.offset)
                    spec = source.read(entry.size)
                digest = copy_data(source, entry, sink)
                sink.write(bytes(tar.padding(entry.size)))
                members.append(StoredMember(name, start + entry.offset, entry.size, digest))
                end = entry.end
            return _checked_row(layout, clip, config_hash, json.loads(spec), start, end, members)
        except (ValueError, TypeError, RecursionError, OverflowError):
            storage.delete(path)
            raise DamagedFragmentError(clip) from None


def _checked_row(
    layout: Layout, clip: int, config_hash: str, spec: Any, start: int, end: int, members: list[StoredMember]
) -> Row:
    """Raises ValueError or TypeError if the spec is another clip's or does not fit the manifest."""
    row = clip_row(layout, clip, spec, start, end, members)
    if (spec.get("index"), row["config_hash"]) != (clip, config_hash):
        raise ValueError("the fragment is of another clip or another configuration")
    pa.Table.from_pylist([row], schema=SCHEMA)
    return row


def _error(storage: Storage, layout: Layout, clip: int) -> str:
    try:
        return spool.read_error(storage, layout, clip)
    except ValueError:
        storage.delete(layout.error_path(clip))
        raise DamagedFragmentError(clip) from None
