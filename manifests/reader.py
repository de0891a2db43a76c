"""Reading a corpus: its rows, and the members behind them. A view over several corpora reads the same way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from manifests.corpus import Corpus, read_corpus
from manifests.errors import UserError
from manifests.layout import VIEW_FILE, ManifestFile
from manifests.manifest import iter_file, iter_manifest, manifest_files
from manifests.storage import Storage
from manifests.table import SCHEMA, Row

VIEW_VERSION = 1
MAX_SOURCES = 10_000
MAX_MEMBER_BYTES = 1 << 30
"""No member that a clip really has comes near this."""

READER_SCHEMA = pa.schema([("source", pa.int32()), *SCHEMA])
"""The manifest's columns behind the number of the corpus that a row comes from: 0 unless this is a view."""


@dataclass(frozen=True)
class Source:
    """One corpus of a view, or the only one."""

    storage: Storage
    corpus: Corpus

    @property
    def url(self) -> str:
        return self.storage.url


class CorpusReader:
    """A corpus folder or URL, or a view over several (see `manifests.merge`)."""

    def __init__(self, url: str | Storage, corpus: Corpus | None = None) -> None:
        """`corpus` stands for a corpus.json that is not written yet.

        Raises UserError if there is no corpus, or one that cannot be read.
        """
        storage = url if isinstance(url, Storage) else Storage(url)
        self.url = storage.url
        stored = None if corpus else _view_sources(storage)
        storages = [storage] if stored is None else [Storage(source) for source in stored]
        self.is_view = stored is not None
        self.sources = tuple(Source(item, corpus or read_corpus(item)) for item in storages)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Rows in the order of sources and clips, a batch at a time; `columns` of `READER_SCHEMA`, or all."""
        wanted = list(columns) if columns is not None else READER_SCHEMA.names
        stored = [name for name in wanted if name != "source"]
        schema = pa.schema([READER_SCHEMA.field(name) for name in wanted])
        for number, source in enumerate(self.sources):
            for batch in iter_manifest(source.storage, stored or ["index"]):
                numbers = pa.array([number] * len(batch), pa.int32())
                arrays = [numbers if name == "source" else batch.column(name) for name in wanted]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[Row]:
        """The same, a row at a time."""
        for batch in self.batches(columns):
            yield from batch.to_pylist()

    def row(self, key: str) -> Row:
        """The row of a clip. Raises UserError if no clip, or more than one, has that key."""
        found = []
        for number, source in enumerate(self.sources):
            row = _row(source, key)
            if row is not None:
                found.append({"source": number, **row})
        if not found:
            raise UserError(f"clip {key!r}: not in the manifest of {self.url}; `factorportrait query` lists its keys")
        if len(found) > 1:
            raise UserError(f"clip {key!r} is in {len(found)} corpora of the view {self.url}; name one of them instead")
        return found[0]

    def members(self, row: Mapping[str, Any], wanted: Callable[[str], bool] = lambda _: True) -> dict[str, bytes]:
        """The wanted members of a clip by its row, straight from its shard.

        Raises UserError if the shard is not there or ends before them, or a row asks for what no clip holds.
        """
        source = self.sources[row.get("source", 0)]
        path = source.corpus.layout.shard_path(row["shard"])
        found: dict[str, bytes] = {}
        try:
            with source.storage.open(path) as file:
                for member in row["members"] or []:
                    name, offset, size = member["name"], member["offset"], member["size"]
                    if not wanted(name):
                        continue
                    given = type(offset) is int and type(size) is int
                    if not given or offset < 0 or not 0 <= size <= MAX_MEMBER_BYTES:
                        raise UserError(f"{row['key']}.{name}: {size} bytes at {offset} is no member; audit the corpus")
                    file.seek(offset)
                    data = file.read(size)
                    if len(data) != size:
                        raise UserError(f"{path} ends within {row['key']}.{name}; put back a good copy, or audit it")
                    found[name] = data
        except FileNotFoundError:
            raise UserError(f"{source.url}/{path} is missing; put it back, or see what an audit advises") from None
        except IsADirectoryError as error:
            raise UserError(f"{source.url}/{path} is {error.strerror}; put the file itself there") from None
        return found


def write_view(storage: Storage, sources: Sequence[str]) -> None:
    text = json.dumps({"version": VIEW_VERSION, "sources": list(sources)}, indent=2, ensure_ascii=False)
    storage.write(VIEW_FILE, f"{text}\n".encode())


def _row(source: Source, key: str) -> Row | None:
    """The first row of a key: keys alone are read until it is found."""
    for item in manifest_files(source.storage):
        before = 0
        for batch in iter_file(source.storage, item, ["key"]):
            at = pc.index(batch.column("key"), key).as_py()
            if at >= 0:
                return _row_at(source, item, before + at)
            before += len(batch)
    return None


def _row_at(source: Source, item: ManifestFile, position: int) -> Row | None:
    for batch in iter_file(source.storage, item):
        if position < len(batch):
            row: Row = batch.slice(position, 1).to_pylist()[0]
            return row
        position -= len(batch)
    return None


def _view_sources(storage: Storage) -> list[str] | None:
    """URLs of a view's corpora; None where there is no view."""
    try:
        if not storage.exists(VIEW_FILE):
            return None
        view = json.loads(storage.read(VIEW_FILE))
        version, sources = view["version"], view["sources"]
        sound = (
            version == VIEW_VERSION
            and isinstance(sources, list)
            and 0 < len(sources) <= MAX_SOURCES
            and all(isinstance(source, str) for source in sources)
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        sound = False
    if not sound:
        raise UserError(f"{storage.url}/{VIEW_FILE} is damaged; write the view again with `factorportrait merge`")
    return [str(source) for source in sources]
