"""The manifest: parts that commit shards, many of them compacted into few files, read as one table."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Sequence

import pyarrow as pa

from manifests.errors import UserError
from manifests.layout import MANIFEST, Layout, ManifestFile, compacted_path, parse_manifest_name, part_path
from manifests.rows import OtherVersionError, plain, read_batches
from manifests.storage import Storage
from manifests.table import SCHEMA, Row, table_writer, write_rows

SHARDS_PER_FILE = 1000
ROWS_PER_GROUP = 10_000


def read_manifest(out: str | Storage, columns: Sequence[str] | None = None) -> pa.Table:
    """All rows of a corpus folder or URL, in the order of clips; `columns` of `SCHEMA`, or all."""
    schema = SCHEMA if columns is None else pa.schema([SCHEMA.field(name) for name in columns])
    return pa.Table.from_batches(list(iter_manifest(out, columns)), schema)


def iter_manifest(out: str | Storage, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The same rows in batches, one after the other, for a manifest that memory does not hold."""
    storage = out if isinstance(out, Storage) else Storage(out)
    for item in manifest_files(storage):
        yield from iter_file(storage, item, columns)


def iter_file(storage: Storage, item: ManifestFile, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Rows of one file of the manifest, in batches. Raises UserError if it is damaged, of which OtherVersionError
    if another version of this program wrote it."""
    wanted = list(columns) if columns is not None else SCHEMA.names
    with _damage_named(storage, item.path):
        for batch in read_batches(storage, item, wanted):
            yield plain(batch, wanted)


def manifest_files(storage: Storage) -> list[ManifestFile]:
    """The files to read, in order and without overlap.

    A crash while parts are compacted leaves some of them beside the file that holds them: those are left out.
    """
    return _without_overlap(_all_files(storage))


def committed_shards(storage: Storage, layout: Layout) -> bytearray:
    """One byte a shard: 1 where it is committed. Reads names only."""
    committed = bytearray(layout.shards)
    for item in manifest_files(storage):
        last = min(item.last + 1, layout.shards)
        committed[item.first : last] = b"\1" * max(0, last - item.first)
    return committed


def write_part(storage: Storage, shard: int, rows: Sequence[Row]) -> None:
    """Commit a shard whose tar is already in its place."""
    storage.write(part_path(shard), write_rows(rows))


def read_part(storage: Storage, shard: int) -> list[Row]:
    """Raises FileNotFoundError if the shard has no part of its own."""
    rows: list[Row] = _read_file(storage, part_path(shard)).to_pylist()
    return rows


def compact(storage: Storage, layout: Layout, shards_per_file: int = SHARDS_PER_FILE, gaps: bool = False) -> None:
    """Put parts, wherever a whole group of them is there, into files of `shards_per_file` shards.

    A last shard that is not full keeps its part: a larger corpus will open it again. With `gaps` the corpus is a
    subset that is all there: shards may be missing, and none will grow. A file is in its place before what it
    replaces goes, and what comes out does not depend on how often this was interrupted.
    """
    full = layout.shards if gaps or layout.is_full(layout.shards - 1) else layout.shards - 1
    groups: dict[int, list[ManifestFile]] = defaultdict(list)
    for item in _all_files(storage):
        if item.last < full and item.first // shards_per_file == item.last // shards_per_file:
            groups[item.first // shards_per_file].append(item)
    for group, items in sorted(groups.items()):
        first = group * shards_per_file
        last = min(first + shards_per_file, full) - 1
        sources = _without_overlap(items)
        if not gaps and sum(item.last - item.first + 1 for item in sources) != last - first + 1:
            continue
        target = compacted_path(first, last)
        if [item.path for item in sources] != [target]:
            _merge(storage, sources, target)
        for item in items:
            if item.path != target:
                storage.delete(item.path)


def _all_files(storage: Storage) -> list[ManifestFile]:
    found = [item for name in storage.names(MANIFEST) if (item := parse_manifest_name(name))]
    return [item for item in found if 0 <= item.last - item.first < SHARDS_PER_FILE]


def _without_overlap(items: Sequence[ManifestFile]) -> list[ManifestFile]:
    files: list[ManifestFile] = []
    for item in sorted(items, key=lambda item: (item.first, -item.last, item.path)):
        if not files or item.first > files[-1].last:
            files.append(item)
    return files


def _merge(storage: Storage, sources: Sequence[ManifestFile], target: str) -> None:
    rows = pa.concat_tables([_read_file(storage, item.path) for item in sources])
    with storage.stream(target) as sink, table_writer(sink) as writer:
        for start in range(0, len(rows), ROWS_PER_GROUP):
            writer.write_table(rows.slice(start, ROWS_PER_GROUP).combine_chunks())


def _read_file(storage: Storage, path: str) -> pa.Table:
    item = parse_manifest_name(path.removeprefix(f"{MANIFEST}/"))
    assert item is not None
    return pa.Table.from_batches(iter_file(storage, item), SCHEMA)


@contextlib.contextmanager
def _damage_named(storage: Storage, path: str) -> Iterator[None]:
    try:
        yield
    except OtherVersionError as error:
        raise OtherVersionError(f"{storage.url}/{path} {error}") from None
    except (pa.ArrowException, ValueError, KeyError, OSError) as error:
        # Of a damaged file Arrow raises a plain OSError that lacks the number which the system's have.
        from_arrow = type(error) is OSError and error.errno is None
        if isinstance(error, OSError) and not from_arrow and not isinstance(error, IsADirectoryError):
            raise
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise UserError(
            f"{storage.url}/{path} is damaged ({reason}): put back a good copy, or run `factorportrait reindex`"
        ) from error
