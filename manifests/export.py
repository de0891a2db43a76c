"""A subset of a corpus as a corpus of its own: clips keep their keys and shards, and a dataset card, a notice of
licences and a `wids` index are put beside them.

`corpus.json` is written last, so that nothing takes half an export for a corpus; until then its text stands in
`export.json`, by which the same call knows what it had begun."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests import tar
from manifests.card import CARD_FILE, NOTICE_FILE, card, notice
from manifests.contact_sheet import CONTACT_SHEET, corpus_sheet
from manifests.corpus import Corpus, Subset, read_corpus, write_corpus
from manifests.database import open_database
from manifests.errors import UserError
from manifests.layout import CORPUS_FILE, HALF_EXPORT_FILE, MANIFEST, SHARDS, Layout
from manifests.manifest import compact, manifest_files, write_part
from manifests.reader import CorpusReader
from manifests.select import read_selection
from manifests.shard import copy_data
from manifests.storage import Storage
from manifests.table import OK, SCHEMA, Row, StoredMember
from manifests.text import shown
from manifests.wids_index import write_index

Progress = Callable[[int, int], None]
"""Told the number of shards that are there, and of all."""


@dataclass(frozen=True)
class ExportReport:
    """What was written."""

    url: str
    clips: int
    shards: int
    bytes: int
    """Of the clips' samples."""
    elsewhere: int
    """Clips of the list that belong to corpora of other names."""
    found: int
    """Shards that an earlier call, interrupted or not, had copied already."""


def export(
    source: str,
    out: str,
    *,
    where: str | None = None,
    listed: str | None = None,
    progress: Progress | None = None,
) -> ExportReport:
    """Copy clips of a corpus into the folder or URL `out`: those for which the SQL expression `where` holds, those
    of a list that `select` wrote, or all that have a sample.

    Every member's bytes are held against the manifest on the way. Interrupted, even killed, it leaves what no
    command takes for a corpus, and the same call goes on where it stopped; equal subsets are equal bytes. Raises
    UserError if `source` is no single corpus, nothing is chosen, a listed clip is not there, a shard is damaged, or
    `out` lies within the source or holds anything else.
    """
    if where is not None and listed is not None:
        raise UserError("export: a condition and a list are given; give one of them")
    reader, storage = CorpusReader(source), Storage(out)
    if reader.is_view:
        raise UserError(f"{reader.url} is a view; export its corpora one by one, and merge the results")
    _check_apart(reader.sources[0].storage, storage)
    choice = _Choice(reader, where, None if listed is None else read_selection(listed), listed or "")
    subset = choice.subset()
    corpus = dataclasses.replace(reader.sources[0].corpus, subset=subset)
    with storage.problems(), storage.lock():
        _begin(storage, corpus)
        found = _copy_shards(reader, storage, corpus.layout, choice.rows(), subset.shards, progress)
        compact(storage, corpus.layout, gaps=True)
        size = write_index(storage, corpus)
        _describe(storage, corpus)
        write_corpus(storage, corpus)
        storage.delete(HALF_EXPORT_FILE)
    return ExportReport(storage.url, subset.clips, subset.shards, size, choice.elsewhere, found)


def format_export(report: ExportReport) -> str:
    """A few lines for a person."""
    shards = f"{report.shards:,} shard{'' if report.shards == 1 else 's'}"
    lines = [f"{report.clips:,} clips in {shards}, {report.bytes:,} bytes"]
    if report.found:
        lines.append(f"gone on        {report.found:,} of {shards} had been copied by an earlier call")
    if report.elsewhere:
        lines.append(f"left out       {report.elsewhere:,} clips of the list that belong to other corpora")
    lines += [f"corpus         {report.url}", f"dataset card   {report.url}/{CARD_FILE}"]
    return "\n".join(lines)


class _Choice:
    """The chosen clips of a corpus, in order; read once to know them, and once more to copy them."""

    def __init__(self, reader: CorpusReader, where: str | None, keys: set[str] | None, listed: str) -> None:
        self._reader = reader
        self._where = where
        self._listed = listed
        name = reader.sources[0].corpus.name
        own = keys if keys is None else {key for key in keys if key.rpartition("-")[0] == name}
        self._keys = None if own is None else pa.array(sorted(own), pa.string())
        self.elsewhere = 0 if keys is None or own is None else len(keys) - len(own)

    def subset(self) -> Subset:
        """Raises UserError if there is nothing in it, or a listed clip has no sample."""
        layout = self._reader.sources[0].corpus.layout
        clips = shards = 0
        last_clip, last_shard = -1, -1
        digest = hashlib.sha256()
        found = []
        for batch in self._batches(["index", "key", "status"]):
            index = batch.column("index").fill_null(-1).to_numpy(zero_copy_only=False)
            if len(index) == 0:
                continue
            if index[0] <= last_clip or (np.diff(index) <= 0).any() or index[-1] >= layout.clips:
                raise UserError(f"{self._reader.url}: its manifest is out of order; run `factorportrait reindex` on it")
            numbers = np.unique(index // layout.clips_per_shard)
            shards += len(numbers) - int(numbers[0] == last_shard)
            last_clip, last_shard = int(index[-1]), int(numbers[-1])
            clips += len(index)
            keys = batch.column("key").fill_null("")
            digest.update("".join(f"{key}\n" for key in keys.to_pylist()).encode())
            if self._keys is not None:
                found.append(pc.index_in(keys, value_set=self._keys))
        if self._keys is not None:
            self._check_complete(found)
        if not clips:
            what = "no clip of it has a sample" if self._where is None else f"no clip for which {self._where!r} holds"
            raise UserError(f"{self._reader.url}: {what}; choose other clips")
        return Subset(clips, shards, digest.hexdigest(), self._where or "")

    def rows(self) -> Iterator[Row]:
        for batch in self._batches(SCHEMA.names):
            for start in range(0, len(batch), _ROWS_HELD):
                yield from batch.slice(start, _ROWS_HELD).to_pylist()

    def _check_complete(self, found: list[pa.Array]) -> None:
        assert self._keys is not None
        missing = np.ones(len(self._keys), bool)
        for places in found:
            missing[places.to_numpy(zero_copy_only=False)] = False
        if missing.any():
            first = self._keys[int(np.argmax(missing))].as_py()
            raise UserError(
                f"list {self._listed}: {int(missing.sum()):,} of its clips have no sample in {self._reader.url}, "
                f"such as {first}; make the list again with `factorportrait select`"
            )
        if not len(self._keys):
            raise UserError(f"list {self._listed}: holds no clip of {self._reader.url}; make it from this corpus")

    def _batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        if self._where is not None:
            with open_database(clips=self._reader) as database:
                yield from database.filter("clips", [f"status = '{OK}'", self._where], columns)
            return
        for batch in self._reader.batches(columns):
            chosen = pc.fill_null(pc.equal(batch.column("status"), OK), False)
            if self._keys is not None:
                chosen = pc.and_(chosen, pc.is_in(batch.column("key"), value_set=self._keys))
            yield batch.filter(chosen)


_ROWS_HELD: Final = 256
"""Rows that are Python objects at once; one of a clip with many views has hundreds of members."""


def _check_apart(source: Storage, out: Storage) -> None:
    """Raises UserError if one lies within the other."""
    places = [os.path.realpath(storage.url) if storage.local else storage.url for storage in (source, out)]
    first, second = (f"{place.rstrip('/')}/" for place in places)
    if first.startswith(second) or second.startswith(first):
        raise UserError(f"output {out.url} and the corpus {source.url} lie within each other; choose another --to")


def _begin(storage: Storage, corpus: Corpus) -> None:
    """Make the folder that of the subset, or see that it is already."""
    names = storage.names()
    if CORPUS_FILE in names:
        if read_corpus(storage) != corpus:
            raise UserError(f"output {storage.url} holds another corpus or another subset; choose another --to")
    elif HALF_EXPORT_FILE in names:
        begun = read_corpus(storage, HALF_EXPORT_FILE)
        if begun != corpus:
            chosen = f" ({shown(begun.subset.where)})" if begun.subset and begun.subset.where else ""
            raise UserError(
                f"output {storage.url} holds half an export of another corpus or other clips{chosen}; "
                "run that one again, delete the folder, or choose another --to"
            )
    elif names:
        raise UserError(f"output {storage.url} is not empty ({names[0]}); choose another --to")
    else:
        write_corpus(storage, corpus, HALF_EXPORT_FILE)
    for folder in ("", SHARDS, MANIFEST):
        storage.clean(folder)


def _copy_shards(
    reader: CorpusReader, storage: Storage, layout: Layout, rows: Iterable[Row], shards: int, progress: Progress | None
) -> int:
    """Copy and commit one shard after the other. Returns how many were committed before, and so passed over."""
    there = {shard for item in manifest_files(storage) for shard in range(item.first, item.last + 1)}
    found = 0
    for done, (shard, group) in enumerate(itertools.groupby(rows, key=lambda row: layout.shard_of(row["index"]))):
        if shard in there:
            found += 1
        else:
            write_part(storage, shard, _copy_shard(reader, storage, layout, shard, group))
            if progress is not None:
                progress(done + 1, shards)
    return found


def _copy_shard(reader: CorpusReader, storage: Storage, layout: Layout, shard: int, rows: Iterable[Row]) -> list[Row]:
    """Write a shard's chosen clips; their rows there."""
    source = reader.sources[0].storage
    path = layout.shard_path(shard)
    copied: list[Row] = []
    behind = start = 0
    try:
        with source.open(path) as file, storage.stream(path) as sink:
            for row in rows:
                with _row_named(f"{source.url}/{path}", row):
                    members = _entries(layout, row, behind)
                    copied.append(_copy_clip(file, sink, row, members, start))
                    behind, start = row["offset"] + row["size"], start + row["size"]
            sink.write(tar.END)
    except FileNotFoundError:
        raise UserError(f"{source.url}/{path} is missing; put it back, or leave its clips out") from None
    except IsADirectoryError as error:
        why = f"is {error.strerror}; put the file itself there, or leave its clips out"
        raise UserError(f"{source.url}/{path} {why}") from None
    return copied


def _entries(layout: Layout, row: Row, behind: int) -> list[tuple[tar.Entry, str]]:
    """Where a clip's members lie, and their hashes. Raises ValueError or TypeError unless they follow one another
    just as a shard holds them, `behind` bytes or later: so that no byte is copied twice."""
    if (row["key"], row["shard"]) != (layout.key(row["index"]), layout.shard_of(row["index"])):
        raise ValueError("its key or shard is another clip's")
    position = row["offset"]
    if position < behind:
        raise ValueError("it lies within another clip")
    found: list[tuple[tar.Entry, str]] = []
    for member in row["members"]:
        entry = tar.Entry(f"{row['key']}.{member['name']}", position, position + tar.BLOCK, member["size"])
        if member["offset"] != entry.offset or entry.size < 0:
            raise ValueError(f"{member['name']} is not where a shard holds it")
        found.append((entry, member["sha256"]))
        position = entry.end
    names = {entry.name for entry, _ in found}
    if position != row["offset"] + row["size"] or len(names) != len(found):
        raise ValueError("its members do not fill its part of the shard")
    return found


def _copy_clip(file: IO[bytes], sink: IO[bytes], row: Row, members: list[tuple[tar.Entry, str]], start: int) -> Row:
    """Copy a clip's members behind `start` bytes that are there. Raises ValueError if they are not those of the row."""
    moved = start - row["offset"]
    stored = []
    for entry, sha256 in members:
        sink.write(tar.header(entry.name, entry.size))
        if copy_data(file, entry, sink) != sha256:
            raise ValueError(f"the bytes of {entry.name} are not those that were written")
        sink.write(bytes(tar.padding(entry.size)))
        name = entry.name.removeprefix(f"{row['key']}.")
        stored.append(dataclasses.asdict(StoredMember(name, entry.offset + moved, entry.size, sha256)))
    return {**{name: row[name] for name in SCHEMA.names}, "offset": start, "members": stored}


@contextlib.contextmanager
def _row_named(where: str, row: Row) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{where}: {str(row['key'])[:100]}: {reason}; audit the corpus, or leave the clip out"
        ) from None


def _describe(storage: Storage, corpus: Corpus) -> None:
    """Write the card, the notice and a picture of the first clips, if they can be shown."""
    reader = CorpusReader(storage, corpus)
    picture = None
    with contextlib.suppress(Exception):  # decoders raise what they like, and a corpus is whole without a picture
        picture = corpus_sheet(reader)
    if picture is not None:
        storage.write(CONTACT_SHEET, picture)
    storage.write(NOTICE_FILE, notice(reader).encode())
    storage.write(CARD_FILE, card(reader, CONTACT_SHEET if picture else None).encode())
