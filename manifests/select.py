"""Lists of clips: a condition over the manifest makes one, training and export take it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from manifests.database import open_database
from manifests.errors import UserError
from manifests.reader import READER_SCHEMA, CorpusReader
from manifests.storage import Storage
from manifests.table import OK

SELECTION_SCHEMA: Final = pa.schema(
    [READER_SCHEMA.field(name) for name in ("source", "key", "index", "shard", "offset", "size")]
)
"""Columns of a ``.parquet`` list: what it takes to read the samples' bytes without the manifest."""

ROWS_PER_GROUP: Final = 100_000
MAX_GROUP_BYTES: Final = 64 << 20
"""No row group of a true list, unpacked, comes near this."""

_KEY: Final = r"[a-z0-9_-]{1,64}-[0-9]{9,10}"
"""As `Layout.key` makes them."""
_LONGEST_LINE: Final = 100


def select(out: str, where: str, to: str) -> int:
    """Write the list of the clips of a corpus or view for which the SQL expression `where` holds; their number.

    `to` is a file or URL that ends in ``.txt`` (a key a line) or ``.parquet`` (`SELECTION_SCHEMA`). Clips are in
    the manifest's order; equal manifests give equal bytes. Quarantined clips, which have no sample, are left out.
    Raises UserError if there is no corpus, its manifest is damaged, `where` is wrong, or `to` cannot be written.
    """
    storage, name = _file(to)
    reader = CorpusReader(out)
    names = {source.corpus.name for source in reader.sources}
    if to.endswith(".txt") and len(names) < len(reader.sources):
        raise UserError(f"list {to}: corpora of {reader.url} share a name, so keys are not enough; make it .parquet")
    count = 0
    with open_database(clips=reader) as database:
        chosen = database.filter("clips", [f"status = '{OK}'", where], SELECTION_SCHEMA.names)
        next(chosen)  # its columns alone: a wrong condition is said before anything is written
        with storage.problems(), storage.stream(name) as sink, _writer(to, sink) as write:
            for rows in _in_groups(chosen):
                write(rows)
                count += len(rows)
    return count


def read_selection(path: str) -> set[str]:
    """Keys of the clips in a list that `select` wrote, or a person did: a key a line, empty lines aside.

    Raises UserError if it is not there, is damaged, or holds what is no key.
    """
    storage, name = _file(path if "://" in path else os.path.realpath(path))  # of a person, who may link it
    keys: set[str] = set()
    try:
        with storage.open(name) as file:
            for found in _keys_of_parquet(path, file) if path.endswith(".parquet") else _keys_of_text(file):
                if not re.fullmatch(_KEY, found):
                    raise UserError(f"list {path}: {found[:_LONGEST_LINE]!r} is no clip's key; make it with select")
                keys.add(found)
    except FileNotFoundError:
        raise UserError(f"list {path}: no such file; make one with `factorportrait select`") from None
    except (pa.ArrowException, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"list {path} cannot be read ({reason}); make it again with `factorportrait select`") from None
    return keys


def _file(path: str) -> tuple[Storage, str]:
    folder, slash, name = path.rpartition("/")
    if not name.endswith((".txt", ".parquet")):
        raise UserError(f"list {path}: is neither .txt nor .parquet; give it one of these endings")
    return Storage(folder or slash or "."), name


def _in_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The same rows in tables of `ROWS_PER_GROUP`, so that what is written does not depend on the batches."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        while rows + len(batch) >= ROWS_PER_GROUP:
            taken = ROWS_PER_GROUP - rows
            yield _checked([*held, batch.slice(0, taken)])
            held, rows, batch = [], 0, batch.slice(taken)
        held.append(batch)
        rows += len(batch)
    if rows:
        yield _checked(held)


def _checked(batches: list[pa.RecordBatch]) -> pa.Table:
    """One table of them. A stranger's key must not make two lines of one."""
    table = pa.Table.from_batches(batches).cast(SELECTION_SCHEMA).combine_chunks()
    sound = pc.fill_null(pc.match_substring_regex(table["key"], f"^{_KEY}$"), False)
    if not pc.all(sound).as_py():
        key = table["key"].filter(pc.invert(sound))[0].as_py()
        raise UserError(f"clip {str(key)[:_LONGEST_LINE]!r}: is no key; audit the corpus")
    return table


@contextlib.contextmanager
def _writer(to: str, sink: IO[bytes]) -> Iterator[Callable[[pa.Table], object]]:
    if to.endswith(".txt"):
        yield lambda rows: sink.write("".join(f"{key}\n" for key in rows["key"].to_pylist()).encode())
    else:
        with pq.ParquetWriter(sink, SELECTION_SCHEMA, version="2.6", compression="zstd", compression_level=3) as writer:
            yield lambda rows: writer.write_table(rows, ROWS_PER_GROUP)


def _keys_of_text(file: IO[bytes]) -> Iterator[str]:
    while line := file.readline(_LONGEST_LINE):
        if key := line.decode().strip():
            yield key


def _keys_of_parquet(path: str, file: IO[bytes]) -> Iterator[str]:
    with pq.ParquetFile(file) as table:
        if "key" not in table.schema_arrow.names:
            raise ValueError("it has no column key")
        for number in range(table.num_row_groups):
            if table.metadata.row_group(number).total_byte_size > MAX_GROUP_BYTES:
                raise ValueError(f"row group {number} is too large")
        for batch in table.iter_batches(columns=["key"]):
            yield from map(str, batch.column("key").to_pylist())
