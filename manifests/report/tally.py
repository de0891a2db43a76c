"""One pass over the manifest: all that a report says of the rows, in memory that does not grow with them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from manifests.contact_sheet import spread
from manifests.conventions import SPLITS
from manifests.manifest import manifest_files
from manifests.reader import CorpusReader, Source
from manifests.report.axes import AXES, MAPS, Histogram, Map
from manifests.rows import PLACES, DamagedFileError, Rows, read_rows
from manifests.table import QUARANTINED
from manifests.text import shown

Array = NDArray[Any]
Cell = tuple[str, str]

SHEET_CLIPS: Final = 18
"""Clips on the contact sheet, evenly over the corpus."""
MOST_CELLS: Final = 10
"""Recipes, and templates, in the montage."""
MOST_NAMES: Final = 200
"""Different values of a column that are counted apart; a corpus has a dozen."""
MOST_SHOWN: Final = 20
STRETCHES: Final = 80
"""Stretches of shards, or single shards if there are fewer, whose sizes are kept apart."""
OTHER: Final = "(others)"

COUNTED: Final = ("split", "recipe", "template", "ancestry", "hair_style", "trajectory", "background")

_MOST_IDENTITIES: Final = 1 << 23
_COLUMNS: Final = (
    "index", "shard", "status", "error", "identity", "frames", "fps", "views", "size", "head", "head_sha256",
    *COUNTED, *(column for axis in AXES.values() for column in axis.columns), *PLACES,
)  # fmt: skip


@dataclass(frozen=True)
class Picked:
    """A clip to be shown: its row, but for the members' hashes."""

    source: int
    key: str
    row: dict[str, Any]


class Stretches:
    """Sizes of shards: of single ones, or of stretches of many. A view's shards are counted through."""

    def __init__(self, shards: int) -> None:
        stretches = min(shards, STRETCHES)
        self.edges = np.linspace(0, shards, stretches + 1).astype(np.int64)
        """First shard of each stretch, and behind the last one."""
        self.shards, self.bytes = np.zeros(stretches, np.int64), np.zeros(stretches, np.int64)
        """Of each stretch: shards that have rows, and the bytes of their samples."""

    def add(self, shard: Array, begins: Array, size: Array) -> None:
        """Rows [N] of shards: whether a shard begins there, and the sample's bytes."""
        stretch = np.searchsorted(self.edges, shard, side="right") - 1
        np.add.at(self.shards, stretch, begins)
        np.add.at(self.bytes, stretch, size)


@dataclass
class Tally:
    """What the rows of a corpus, or of a view, add up to."""

    clips: int = 0
    """With a sample."""
    quarantined: int = 0
    expected: int = 0
    """Clips that the corpora shall hold."""
    seconds: float = 0.0
    frames: int = 0
    pictures: int = 0
    bytes: int = 0
    """Of all samples, tar headers included."""
    identities: int = 0
    identities_by_split: Counter[str] = field(default_factory=Counter)
    counts: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in COUNTED})
    cells: Counter[Cell] = field(default_factory=Counter)
    """Clips by (recipe, template)."""
    heads: dict[Cell, Picked] = field(default_factory=dict)
    """A clip of each head, by its name and its file's SHA-256."""
    histograms: dict[str, Histogram] = field(
        default_factory=lambda: {name: Histogram(axis) for name, axis in AXES.items()}
    )
    maps: dict[Cell, Map] = field(default_factory=lambda: {pair: Map(AXES[pair[0]], AXES[pair[1]]) for pair in MAPS})
    member_bytes: Counter[str] = field(default_factory=Counter)
    """By kind: all views of a label are one."""
    member_count: Counter[str] = field(default_factory=Counter)
    shards: int = 0
    """That have rows."""
    stretches: Stretches = field(default_factory=lambda: Stretches(1))
    sheet: list[Picked] = field(default_factory=list)
    montage: dict[Cell, Picked] = field(default_factory=dict)
    errors: list[tuple[str, str]] = field(default_factory=list)
    """Key and error of the first quarantined clips."""
    damaged: list[str] = field(default_factory=list)
    """The first files of the manifest that cannot be read, and why."""
    damaged_files: int = 0
    """How many there are."""


def take(reader: CorpusReader) -> Tally:
    """Read all rows once. A file of the manifest that cannot be read is named in the result and left out."""
    layouts = [source.corpus.layout for source in reader.sources]
    clips, shards = sum(layout.clips for layout in layouts), sum(layout.shards for layout in layouts)
    tally = Tally(expected=clips, stretches=Stretches(shards))
    wanted = spread(clips, SHEET_CLIPS)
    clips = shards = 0
    for number, (source, layout) in enumerate(zip(reader.sources, layouts, strict=True)):
        targets = [index - clips for index in wanted if clips <= index < clips + layout.clips]
        _Pass(tally, number, source, targets, shards).run()
        clips, shards = clips + layout.clips, shards + layout.shards
    return tally


class _Pass:
    """One corpus of the report."""

    def __init__(self, tally: Tally, number: int, source: Source, targets: list[int], shards: int) -> None:
        self._tally, self._number, self._source = tally, number, source
        self._layout = source.corpus.layout
        self._targets, self._shards_before = targets, shards
        people = min(self._layout.clips, _MOST_IDENTITIES)
        self._seen = np.zeros((len(SPLITS) + 1, people), bool)
        self._last_shard = -1

    def run(self) -> None:
        for rows in self._batches():
            at = np.flatnonzero(rows.ok)
            self._count_clips(rows, at)
            self._count_identities(rows, at)
            self._count_parameters(rows, at)
            self._count_bytes(rows, at)
            self._pick(rows, at)
            self._keep_errors(rows)
        self._tally.identities += int(self._seen.any(axis=0).sum())
        for split, seen in zip((*SPLITS, OTHER), self._seen, strict=True):
            self._tally.identities_by_split[split] += int(seen.sum())

    def _batches(self) -> Iterator[Rows]:
        for item in manifest_files(self._source.storage):
            try:
                yield from read_rows(self._source.storage, item, self._layout, _COLUMNS)
            except DamagedFileError as error:
                self._tally.damaged_files += 1
                if len(self._tally.damaged) < MOST_SHOWN:
                    self._tally.damaged.append(f"{item.path}: {shown(str(error))}")

    def _count_clips(self, rows: Rows, at: Array) -> None:
        tally = self._tally
        tally.clips += len(at)
        tally.quarantined += int(np.count_nonzero(rows.is_text("status", [QUARANTINED])))
        frames, views, fps = (rows.number(name)[at] for name in ("frames", "views", "fps"))
        frames, views = np.clip(frames, 0, 1 << 20), np.clip(views, 0, 1 << 10)
        tally.frames += int(frames.sum())
        tally.pictures += int((frames * views).sum())
        tally.seconds += float((frames / np.where(fps > 1e-3, fps, np.inf)).sum())
        for name in COUNTED:
            codes, values = rows.codes(name)
            for code, count in enumerate(np.bincount(codes[at], minlength=len(values))):
                if count:
                    _add(tally.counts[name], _name(values[code]), int(count))

    def _count_identities(self, rows: Rows, at: Array) -> None:
        identity = rows.number("identity")[at]
        codes, values = rows.codes("split")
        split = np.array([SPLITS.index(v) if v in SPLITS else len(SPLITS) for v in values])[codes[at]]
        known = (identity >= 0) & (identity < self._seen.shape[1])
        self._seen[split[known], identity[known]] = True

    def _count_parameters(self, rows: Rows, at: Array) -> None:
        bins = {}
        for name, axis in AXES.items():
            values = [rows.number(column)[at] for column in axis.columns]
            bins[name] = axis.bins_of(values[0], values[-1])
            self._tally.histograms[name].add(*bins[name])
        for across, up in MAPS:
            self._tally.maps[across, up].add(bins[across], bins[up])

    def _count_bytes(self, rows: Rows, at: Array) -> None:
        shard, size = rows.number("shard"), np.clip(rows.number("size"), 0, 1 << 40)
        self._tally.bytes += int(size[at].sum())
        # Rows lie in the order of shards, so a shard begins where its number changes.
        begins = np.diff(shard, prepend=self._last_shard) != 0
        self._last_shard = int(shard[-1]) if len(shard) else self._last_shard
        known = (shard >= 0) & (shard < self._layout.shards)
        self._tally.shards += int(np.count_nonzero(begins & known))
        size = np.where(rows.ok, size, 0)
        self._tally.stretches.add(shard[known] + self._shards_before, begins[known], size[known])
        members = pc.list_flatten(rows.batch.column("members"))
        if len(members):
            names = pc.dictionary_encode(pc.fill_null(members.field("name"), ""))
            sizes = np.clip(pc.fill_null(members.field("size"), 0).to_numpy(zero_copy_only=False), 0, 1 << 40)
            codes = names.indices.to_numpy()
            kinds = [_kind(name) for name in names.dictionary.to_pylist()]
            totals = np.zeros(len(kinds), np.int64)
            np.add.at(totals, codes, sizes)
            for kind, total, count in zip(kinds, totals, np.bincount(codes, minlength=len(kinds)), strict=True):
                _add(self._tally.member_bytes, kind, int(total))
                _add(self._tally.member_count, kind, int(count))

    def _pick(self, rows: Rows, at: Array) -> None:
        index = rows.number("index")
        at = at[index[at] >= 0]
        while self._targets:
            later = at[index[at] >= self._targets[0]]
            if not len(later):
                break
            picked = self._picked(rows, int(later[0]))
            self._tally.sheet.append(picked)
            self._targets = [target for target in self._targets[1:] if target > picked.row["index"]]
        for pair, first, count in _pairs(rows, at, "recipe", "template"):
            if pair in self._tally.cells or len(self._tally.cells) < MOST_NAMES:
                self._tally.cells[pair] += count
            recipes = {recipe for recipe, _ in self._tally.montage} | {pair[0]}
            templates = {template for _, template in self._tally.montage} | {pair[1]}
            if pair not in self._tally.montage and max(len(recipes), len(templates)) <= MOST_CELLS:
                self._tally.montage[pair] = self._picked(rows, first)
        for pair, first, _ in _pairs(rows, at, "head", "head_sha256"):
            if pair not in self._tally.heads and len(self._tally.heads) < MOST_SHOWN:
                self._tally.heads[pair] = self._picked(rows, first)

    def _picked(self, rows: Rows, at: int) -> Picked:
        row = rows.batch.slice(at, 1).to_pylist()[0]
        key = self._layout.key(row["index"])
        return Picked(self._number, key, {**row, "key": key, "source": self._number})

    def _keep_errors(self, rows: Rows) -> None:
        room = MOST_SHOWN - len(self._tally.errors)
        for at in np.flatnonzero(rows.is_text("status", [QUARANTINED]))[:room] if room else ():
            key = self._layout.key(int(rows.number("index")[at]))
            self._tally.errors.append((key, shown(rows.text("error", int(at)))))


def _pairs(rows: Rows, at: Array, first: str, second: str) -> list[tuple[Cell, int, int]]:
    """Each pair of values that stands in two columns: the pair, the first row that has it, and how many have."""
    (codes, values), (others, names) = rows.codes(first), rows.codes(second)
    both = codes[at] * len(names) + others[at]
    found, where, counts = np.unique(both, return_index=True, return_counts=True)
    return [
        ((_name(values[pair // len(names)]), _name(names[pair % len(names)])), int(at[place]), int(count))
        for pair, place, count in zip(found[:MOST_NAMES], where, counts, strict=False)
    ]


def _add(counter: Counter[str], name: str, count: int) -> None:
    counter[name if name in counter or len(counter) < MOST_NAMES else OTHER] += count


def _name(value: str | None) -> str:
    return shown(value) if value else "(none)"


def _kind(name: str) -> str:
    """``v01.rgb.mp4`` -> ``rgb``; ``spec.json`` stays."""
    match = _VIEW_MEMBER.fullmatch(name)
    return match[1] if match else shown(name)


_VIEW_MEMBER: Final = re.compile(r"v\d{1,6}\.(\w{1,40})\.\w{1,8}")
