"""What is held in memory of every clip: a few numbers each, filtered from the manifest."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from manifests.conventions import SPLITS
from manifests.errors import UserError
from manifests.layout import ManifestFile
from manifests.manifest import iter_file, manifest_files
from manifests.reader import CorpusReader
from manifests.select import read_selection
from manifests.table import OK

Array = NDArray[Any]

_NUMBERS: Final = {
    "index": np.int64,
    "shard": np.int32,
    "identity": np.int64,
    "frames": np.int32,
    "views": np.int32,
    "width": np.int32,
    "height": np.int32,
    "fps": np.float64,
}
_READ: Final = (*_NUMBERS, "status", "split", "recipe")


@dataclass(frozen=True)
class Columns:
    """N clips in the order of sources and manifest, an array a column."""

    files: tuple[ManifestFile, ...]
    """The manifest's."""
    recipes: tuple[str, ...]
    resolution: tuple[int, int]
    """(height, width) of them all."""
    fps: float
    """Of them all."""
    source: Array
    """int16 [N]: which of the reader's sources."""
    file: Array
    """int32 [N]: an index into `files`."""
    row: Array
    """int32 [N]: within that file."""
    index: Array
    shard: Array
    identity: Array
    recipe: Array
    """int16 [N]: an index into `recipes`."""
    frames: Array
    views: Array
    shard_starts: Array
    """int64 [S + 1]: where each shard's clips start."""
    person: Array
    """int32 [N]: a number for each pair of source and identity."""
    by_person: Array
    """int32 [N]: the clips, those of one person together and ascending."""
    person_starts: Array
    """int64 [P + 1]: where each person's start in `by_person`."""


def read_columns(
    reader: CorpusReader,
    split: str | None,
    subset: str | None,
    frames: int,
    views: int,
    without_recipes: Collection[str] = (),
) -> Columns:
    """The sound clips of a split and a list with at least so many frames and views, but of some recipes none.

    Raises UserError as `training.data.clips.Clips` says.
    """
    if split is not None and split not in SPLITS:
        raise UserError(f"split: {split!r} is none; choose among {', '.join(SPLITS)}, or null for all")
    listed = None if subset is None else _listed(reader, subset)
    files: list[ManifestFile] = []
    recipes: dict[str, int] = {}
    kept: dict[str, list[Array]] = {name: [] for name in (*_NUMBERS, "source", "file", "row", "recipe")}
    seen = _Seen()
    for source, stored in enumerate(reader.sources):
        wanted = None if listed is None else listed[source]
        for item in manifest_files(stored.storage):
            first = 0
            for batch in iter_file(stored.storage, item, _READ):
                rows = np.arange(first, first + len(batch), dtype=np.int32)
                first += len(batch)
                sound = np.asarray(pc.fill_null(pc.equal(batch["status"], OK), False))
                number = {name: _numbers(batch, name)[sound] for name in _NUMBERS}
                names = batch["recipe"].filter(pa.array(sound)).dictionary_encode()
                fits = seen.add(batch.filter(pa.array(sound)), number, split, wanted, frames, views)
                if without_recipes:
                    chosen = pc.is_in(names, pa.array(sorted(without_recipes)))
                    of_them = np.asarray(pc.fill_null(chosen, False))
                    seen.of_recipes += int((fits & of_them).sum())
                    fits &= ~of_them
                for name, values in number.items():
                    kept[name].append(values[fits])
                count = int(fits.sum())
                kept["source"].append(np.full(count, source, np.int16))
                kept["file"].append(np.full(count, len(files), np.int32))
                kept["row"].append(rows[sound][fits])
                codes = np.array(
                    [recipes.setdefault(str(n), len(recipes)) for n in names.dictionary.to_pylist()] or [0]
                )
                kept["recipe"].append(codes[_filled(names.indices)[fits]].astype(np.int16))
            files.append(item)
    column = {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in kept.items()}
    if seen.listed < sum(len(part) for part in listed or ()):
        missing = sum(len(part) for part in listed or ()) - seen.listed
        raise UserError(f"subset {subset}: {missing} of its clips are not in {reader.url}; make the list anew of it")
    if len(column["index"]) == 0:
        raise UserError(f"{reader.url}: no clip is left: {seen.why(split, subset, frames, views)}")
    by_person = np.lexsort((column["identity"], column["source"]))  # stable
    person_starts = _starts(column["source"][by_person], column["identity"][by_person])
    person = np.empty(len(by_person), np.int32)
    person[by_person] = np.repeat(np.arange(len(person_starts) - 1), np.diff(person_starts))
    return Columns(
        files=tuple(files),
        recipes=tuple(recipes),
        resolution=_resolution(reader, column),
        fps=_fps(reader, column),
        shard_starts=_starts(column["source"], column["shard"]),
        person=person,
        by_person=by_person.astype(np.int32),
        person_starts=person_starts,
        **{name: column[name] for name in ("source", "file", "row", "index", "shard", "identity", "recipe")},
        frames=column["frames"],
        views=column["views"],
    )


class _Seen:
    """Counts of what was passed over, to say why nothing is left."""

    def __init__(self) -> None:
        self.sound = self.in_split = self.listed = self.in_both = self.most_frames = self.most_views = 0
        self.of_recipes = 0
        self.splits: dict[str, int] = {}

    def add(
        self,
        batch: pa.RecordBatch,
        number: dict[str, Array],
        split: str | None,
        wanted: Array | None,
        frames: int,
        views: int,
    ) -> Array:
        """bool [N]: which clips of a batch of sound ones are to be kept."""
        everyone = np.ones(len(batch), bool)
        for value in pc.value_counts(batch["split"]).to_pylist():
            self.splits[str(value["values"])] = self.splits.get(str(value["values"]), 0) + value["counts"]
        in_split = everyone if split is None else np.asarray(pc.fill_null(pc.equal(batch["split"], split), False))
        listed = everyone if wanted is None else np.isin(number["index"], wanted)
        both = in_split & listed
        self.sound += len(batch)
        self.in_split += int(in_split.sum())
        self.listed += 0 if wanted is None else int(listed.sum())
        self.in_both += int(both.sum())
        self.most_frames = max(self.most_frames, int(number["frames"][both].max(initial=0)))
        self.most_views = max(self.most_views, int(number["views"][both].max(initial=0)))
        fits: Array = both & (number["frames"] >= max(frames, 1)) & (number["views"] >= max(views, 1))
        return fits

    def why(self, split: str | None, subset: str | None, frames: int, views: int) -> str:
        if self.sound == 0:
            return "it has none with a sample; let `factorportrait generate` finish a shard first"
        if self.in_split == 0:
            there = ", ".join(f"{name} {count}" for name, count in sorted(self.splits.items()))
            return f"split {split!r} holds none of the {self.sound} clips ({there}); choose another split"
        if self.in_both == 0:
            return f"none of the {self.listed} clips in the list {subset} is in split {split!r}; choose another split"
        if self.of_recipes:
            return f"all {self.of_recipes} that would do are of recipes that are left out; leave out fewer"
        return (
            f"frames: {frames} and views: {views} are asked for, of {self.in_both} clips the longest has "
            f"{self.most_frames} frames and the most views are {self.most_views}; ask for fewer"
        )


def _listed(reader: CorpusReader, subset: str) -> list[Array]:
    """For each source the indices of its clips in the list. Raises UserError where a key says not which clip."""
    names = [source.corpus.name for source in reader.sources]
    if len(set(names)) < len(names):
        raise UserError(f"subset {subset}: corpora of {reader.url} share a name, so keys are not enough; use one alone")
    numbers: dict[str, list[int]] = {name: [] for name in names}
    for key in read_selection(subset):
        name, _, number = key.rpartition("-")
        if name not in numbers:
            raise UserError(f"subset {subset}: clip {key!r} is not in {reader.url}; make the list of this corpus")
        numbers[name].append(int(number))
    if not any(numbers.values()):
        raise UserError(f"subset {subset}: holds no clip; make it with a condition that some clips meet")
    return [np.array(sorted(numbers[name]), np.int64) for name in names]


def _resolution(reader: CorpusReader, column: dict[str, Array]) -> tuple[int, int]:
    sizes = np.unique(np.stack([column["height"], column["width"]], axis=1), axis=0).tolist()
    if len(sizes) > 1:
        found = ", ".join(f"{width}x{height}" for height, width in sizes[:4])
        raise UserError(f"{reader.url}: clips of several resolutions ({found}); select those of one as a subset")
    return int(sizes[0][0]), int(sizes[0][1])


def _fps(reader: CorpusReader, column: dict[str, Array]) -> float:
    rates = np.unique(column["fps"]).tolist()
    if len(rates) > 1:
        found = ", ".join(f"{rate:g}" for rate in rates[:4])
        raise UserError(f"{reader.url}: clips of several frame rates ({found} fps); select those of one as a subset")
    return float(rates[0])


def _starts(source: Array, number: Array) -> Array:
    """int64: where a run of equal pairs starts, and the end."""
    changes = np.flatnonzero((np.diff(source) != 0) | (np.diff(number) != 0)) + 1
    return np.concatenate([[0], changes, [len(source)]]).astype(np.int64)


def _numbers(batch: pa.RecordBatch, name: str) -> Array:
    return _filled(batch[name]).astype(_NUMBERS[name], copy=False)


def _filled(column: pa.Array) -> Array:
    """A column of numbers; 0 for null."""
    return np.asarray(pc.fill_null(column, 0).to_numpy(zero_copy_only=False))
