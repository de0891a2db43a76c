"""Lost or damaged files of a manifest, made again from the shards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests import spool, tar
from manifests.corpus import MOST, Corpus, read_corpus
from manifests.errors import UserError
from manifests.layout import MANIFEST, SHARDS, VIEW_FILE, Layout, ManifestFile, parse_manifest_name, part_path
from manifests.manifest import SHARDS_PER_FILE, compact, iter_file, write_part
from manifests.rows import OtherVersionError
from manifests.shard import copy_data
from manifests.storage import Storage
from manifests.table import OK, QUARANTINED, SCHEMA, Row, StoredMember, clip_row, quarantined_row

MOST_SPEC_BYTES: Final = 1 << 20
"""True ones have some kilobytes."""
MOST_ENTRIES, MOST_CLIPS = 1_000_000, 100_000
"""Of one shard that is believed: true ones have thousands and hundreds."""
LISTED: Final = 1000
DAMAGED: Final = ".damaged"
"""Ends the name of a file of the manifest that was set aside."""
LOST: Final = "its row was lost and the shard holds no sample of it: it had been given up, or was left out"
"""The error of a clip that a whole shard does not hold."""


@dataclass
class ReindexReport:
    """What was done."""

    url: str
    kept: int = 0
    """Files of the manifest that were sound."""
    damaged: int = 0
    """Files of the manifest that were not."""
    set_aside: list[str] = field(default_factory=list)
    """Those of them that no rows replace: they lie beside themselves under another name."""
    shards: list[int] = field(default_factory=list)
    """Whose rows were made again."""
    clips: int = 0
    """In those shards, with a sample."""
    lost: int = 0
    """Clips in those shards without one: written as given up, for an error that nothing records any more."""
    problems: list[tuple[str, str]] = field(default_factory=list)
    """(shard, why it was not indexed)."""


def reindex(out: str) -> ReindexReport:
    """Make the rows of every shard that no sound file of the manifest covers. The shards are only read.

    Where no clip was given up, the files are byte for byte those that were lost. A shard that is cut short, holds
    anything but clips of its own, or waits for its spool is left alone and reported. A damaged file goes only when
    rows of all its shards stand elsewhere; until then it is kept under a name that no reader takes. Raises UserError,
    with nothing changed, if there is no corpus, it is a view, or another version of this program wrote it; and if its
    manifest cannot be written.
    """
    storage = Storage(out)
    if storage.exists(VIEW_FILE):
        raise UserError(f"{storage.url} is a view; reindex its corpora one by one")
    corpus = read_corpus(storage)
    report = ReindexReport(storage.url)
    with storage.problems(), storage.lock():
        covered, lost, damaged = _manifest(storage, corpus, report)
        there = _shards_there(storage, corpus.layout, report)
        in_the_making = spool.spooled_shards(storage)
        for shard in sorted((there | lost) - covered):
            path = corpus.layout.shard_path(shard)
            if shard in in_the_making:
                _note(report, path, "in the making: its clips wait in the spool; run generate")
            elif shard not in there:
                again = "generate" if corpus.subset is None else "the same export again"
                _note(report, path, f"missing, and its rows are lost as well; run {again}")
            else:
                _index_shard(storage, corpus, shard, report)
        for item in damaged:
            _clear(storage, item, covered, report)
        compact(storage, corpus.layout, gaps=corpus.subset is not None)
    return report


def format_reindex(report: ReindexReport, most: int = 10) -> str:
    """A few lines for a person."""
    lines = [
        f"{report.url}: {report.kept:,} files of the manifest are sound, {report.damaged:,} were damaged",
        f"rows made again for {report.clips:,} clips in {len(report.shards):,} shards",
    ]
    if report.lost:
        lines.append(
            f"{report.lost:,} clips of them have no sample and nothing says why: they stand as given up; to render "
            "them, delete their shards and the manifest files that have their rows, reindex, and run generate"
        )
    lines += [f"kept as {path}: not all its rows could be made again" for path in report.set_aside[:most]]
    lines += [f"not indexed: {shard}: {why}" for shard, why in report.problems[:most]]
    if len(report.problems) > most:
        lines.append(f"and {len(report.problems) - most:,} more")
    return "\n".join(lines)


def _clear(storage: Storage, item: ManifestFile, covered: set[int], report: ReindexReport) -> None:
    """Take a damaged file out of the manifest; what may still be of use is set aside, not deleted."""
    remade = set(report.shards)
    if item.first == item.last and item.path == part_path(item.first) and item.first in remade:
        return  # the new rows were written over it
    if not set(range(item.first, item.last + 1)) <= covered | remade:
        aside = f"{item.path}{DAMAGED}"
        try:
            with storage.open(item.path) as file:
                storage.write(aside, iter(lambda: file.read(1 << 20), b""))
        except IsADirectoryError as error:
            _note(report, item.path, f"{error.strerror}; put the file itself there")
            return
        report.set_aside.append(aside)
    storage.delete(item.path)


def _manifest(storage: Storage, corpus: Corpus, report: ReindexReport) -> tuple[set[int], set[int], list[ManifestFile]]:
    """The shards that sound files of the manifest cover, those that damaged ones do, and the damaged files."""
    covered: set[int] = set()
    lost: set[int] = set()
    damaged: list[ManifestFile] = []
    for item in filter(None, map(parse_manifest_name, storage.names(MANIFEST))):
        if not (0 <= item.last - item.first < SHARDS_PER_FILE and item.last < corpus.layout.shards):
            _note(report, item.path, "names shards that the corpus does not have; left as it is")
        elif _is_sound(storage, corpus, item):
            report.kept += 1
            covered.update(range(item.first, item.last + 1))
        else:
            report.damaged += 1
            damaged.append(item)
            lost.update(range(item.first, item.last + 1))
    return covered, lost, damaged


def _is_sound(storage: Storage, corpus: Corpus, item: ManifestFile) -> bool:
    """Whether a file can be read to its end and has the rows of its shards' clips, in order, each in its place."""
    layout = corpus.layout
    clips = range(layout.clips_of(item.first).start, layout.clips_of(item.last).stop)
    following = clips.start
    try:
        for batch in iter_file(storage, item):
            if len(batch) == 0:
                continue
            index = _numbers(batch, "index")
            steps = np.diff(index, prepend=following - 1)
            in_order = (steps > 0).all() if corpus.subset is not None else (steps == 1).all()
            if not (in_order and index[-1] < clips.stop and _rows_fit(batch, index, layout)):
                return False
            following = int(index[-1]) + 1
    except OtherVersionError:  # whole, and perhaps more than this version could make of the shards
        raise
    except UserError:
        return False
    return corpus.subset is not None or following == clips.stop


def _rows_fit(batch: pa.RecordBatch, index: np.ndarray, layout: Layout) -> bool:
    keys = pc.utf8_lpad(pc.cast(pa.array(index), pa.string()), 9, "0")
    sound_keys = pc.equal(batch.column("key"), pc.binary_join_element_wise(layout.corpus, keys, "-"))
    given_up = pc.fill_null(pc.equal(batch.column("status"), QUARANTINED), False).to_numpy(zero_copy_only=False)
    ok = pc.fill_null(pc.equal(batch.column("status"), OK), False).to_numpy(zero_copy_only=False)
    placed = (_numbers(batch, "offset") >= 0) & (_numbers(batch, "size") > 0)
    return bool(
        pc.all(pc.fill_null(sound_keys, False)).as_py()
        and (_numbers(batch, "shard") == index // layout.clips_per_shard).all()
        and (given_up | (ok & placed)).all()
    )


def _numbers(batch: pa.RecordBatch, column: str) -> np.ndarray:
    return np.asarray(pc.fill_null(batch.column(column), -1).to_numpy(zero_copy_only=False), np.int64)


def _shards_there(storage: Storage, layout: Layout, report: ReindexReport) -> set[int]:
    there: set[int] = set()
    for name in storage.names(SHARDS):
        shard = _number(name.removeprefix(f"{layout.corpus}-").removesuffix(".tar"))
        if shard < layout.shards and layout.shard_path(shard) == f"{SHARDS}/{name}":
            there.add(shard)
        else:
            _note(report, name, "no shard of this corpus")
    return there


def _index_shard(storage: Storage, corpus: Corpus, shard: int, report: ReindexReport) -> None:
    layout = corpus.layout
    path = layout.shard_path(shard)
    try:
        if len(layout.clips_of(shard)) > MOST_CLIPS:
            raise ValueError(f"corpus.json gives it more than {MOST_CLIPS} clips")
        with storage.open(path) as file:
            found = {row["index"]: row for row in _rows(file, storage.size(path), corpus, shard)}
    except (ValueError, TypeError, RecursionError, OverflowError, IsADirectoryError) as error:
        _note(report, path, " ".join(str(error).split())[:300])
        return
    missing = [] if corpus.subset else [clip for clip in layout.clips_of(shard) if clip not in found]
    rows = {**found, **{clip: quarantined_row(layout, clip, LOST, corpus.config_hash) for clip in missing}}
    if not rows:
        _note(report, path, "holds no clip")
        return
    write_part(storage, shard, [rows[clip] for clip in sorted(rows)])
    report.shards.append(shard)
    report.clips += len(found)
    report.lost += len(missing)


def _rows(file: IO[bytes], size: int, corpus: Corpus, shard: int) -> Iterator[Row]:
    """The rows of a shard's clips. Raises ValueError or TypeError, and what parsing JSON raises, if it holds
    anything else or ends early."""
    layout = corpus.layout
    begun: _Clip | None = None
    last = layout.clips_of(shard).start - 1
    for count, entry in enumerate(tar.entries(file, size)):
        if count == MOST_ENTRIES:
            raise ValueError(f"it has more than {MOST_ENTRIES} entries")
        key, _, name = entry.name.partition(".")
        if begun is None or key != begun.key:
            if begun is not None:
                yield begun.row(file, corpus)
            begun = _Clip(_clip_of(key, layout, shard), key, entry.header_offset)
            if begun.number <= last:
                raise ValueError(f"{entry.name} stands behind a later clip")
            last = begun.number
        begun.entries.append((name, entry))
    if begun is not None:
        yield begun.row(file, corpus)


@dataclass
class _Clip:
    """A clip's entries in a tar, as they are walked over."""

    number: int
    key: str
    start: int
    entries: list[tuple[str, tar.Entry]] = field(default_factory=list)

    def row(self, file: IO[bytes], corpus: Corpus) -> Row:
        specs = [entry for name, entry in self.entries if name == spool.SPEC]
        if len(specs) != 1 or specs[0].size > MOST_SPEC_BYTES:
            raise ValueError(f"{self.key} has no {spool.SPEC}, or one beyond {MOST_SPEC_BYTES} bytes")
        file.seek(specs[0].offset)
        spec = json.loads(file.read(specs[0].size))
        members = [
            StoredMember(name, entry.offset, entry.size, copy_data(file, entry, None)) for name, entry in self.entries
        ]
        size = self.entries[-1][1].end - self.start
        row = clip_row(corpus.layout, self.number, spec, self.start, size, members)
        if (spec.get("corpus"), spec.get("index"), row["config_hash"]) != (
            corpus.name,
            self.number,
            corpus.config_hash,
        ):
            raise ValueError(f"{self.key}: its {spool.SPEC} is of another clip or another configuration")
        pa.Table.from_pylist([row], schema=SCHEMA)
        return row


def _clip_of(key: str, layout: Layout, shard: int) -> int:
    clip = _number(key.removeprefix(f"{layout.corpus}-"))
    if clip in layout.clips_of(shard) and layout.key(clip) == key:
        return clip
    raise ValueError(f"it holds {key!r}, which is no clip of it")


def _number(text: str) -> int:
    """A clip's or shard's number; one that none has if it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else MOST


def _note(report: ReindexReport, shard: str, why: str) -> None:
    if len(report.problems) < LISTED:
        report.problems.append((shard.rpartition("/")[2], why))
