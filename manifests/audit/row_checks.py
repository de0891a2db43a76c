"""Whether manifest rows say what clips of their corpus can be: keys, places, settings, members."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from manifests.audit.promise import FIXED, MOST_VIEWS, Promise, member_names
from manifests.audit.report import Findings
from manifests.conventions import RECIPES, SPLITS
from manifests.layout import ManifestFile
from manifests.rows import Rows
from manifests.table import OK, QUARANTINED, SCHEMA
from manifests.tar import BLOCK

Array = NDArray[Any]

MOST_OFFSET: Final = 1 << 50
"""No shard is a petabyte; sums of two of these do not overflow."""
MEASURES: Final = tuple(field.name for field in SCHEMA if pa.types.is_floating(field.type) and field.name != "fps")
_PAIRS: Final = tuple(name.removesuffix("_min") for name in MEASURES if name.endswith("_min"))


class RowChecks:
    """Checks the rows of one manifest file, batch by batch in their order."""

    def __init__(self, promise: Promise, item: ManifestFile, found: Findings, place: Callable[[str], str]) -> None:
        self._promise, self._item, self._found, self._place = promise, item, found, place
        layout = promise.corpus.layout
        self._clips = range(layout.clips_of(item.first).start, layout.clips_of(item.last).stop)
        self._next = self._clips.start
        self._last_end = (-1, 0)
        self.ends: dict[int, int] = {}
        """Shard -> byte behind its last sample; 0 where all its clips were given up."""

    def check(self, rows: Rows) -> None:
        if len(rows) == 0:
            return
        sound = self._check_order(rows)
        self._check_settings(rows)
        self._check_extents(rows, sound)
        self._check_members(rows)

    def finish(self) -> None:
        """Call behind the last batch."""
        self._miss(self._next, self._clips.stop)

    def _check_order(self, rows: Rows) -> Array:
        """bool [N]: rows that stand where they should. Clips of a file follow one another without a gap."""
        layout = self._promise.corpus.layout
        index = rows.number("index")
        seen = np.maximum.accumulate(np.r_[self._next - 1, np.where(self._inside(index), index, -1)])
        outside = ~self._inside(index)
        twice = ~outside & (index <= seen[:-1])
        expected = f"clips {self._clips.start} to {self._clips.stop - 1}, each once"
        self._report("row-invalid", outside, rows, "index", expected)
        self._report("key-duplicate", twice, rows, "index", "each clip once")
        for at in np.flatnonzero(~outside & (index > seen[:-1] + 1)):
            self._miss(int(seen[at]) + 1, int(index[at]))
        self._next = int(seen[-1]) + 1

        keys = pc.utf8_lpad(pc.cast(pa.array(index), pa.string()), 9, "0")
        right = pc.binary_join_element_wise(layout.corpus, keys, "-")
        given = pc.fill_null(pc.cast(rows.batch.column("key"), pa.string()), "")
        wrong = ~pc.equal(given, right).to_numpy(zero_copy_only=False) & ~outside
        other = np.zeros(len(rows), bool)
        for at in np.flatnonzero(wrong):
            number = rows.text("key", at).removeprefix(f"{layout.corpus}-")
            other[at] = number.isdecimal() and len(number) < 12 and layout.key(int(number)) == rows.text("key", at)
        self._report("key-duplicate", wrong & other, rows, "key", "each clip's own key")
        self._report("row-invalid", wrong & ~other, rows, "key", f"{layout.corpus}- and the clip's number")
        misplaced = ~outside & (rows.number("shard") != index // layout.clips_per_shard)
        self._report("row-invalid", misplaced, rows, "shard", "the shard that the clip's number gives")
        return np.asarray(~outside & ~twice & ~misplaced)

    def _check_settings(self, rows: Rows) -> None:
        promise, corpus, ok = self._promise, self._promise.corpus, rows.ok
        given_up = rows.is_text("status", [QUARANTINED])
        self._report("row-invalid", ~ok & ~given_up, rows, "status", f"{OK} or {QUARANTINED}")
        self._report("clip-quarantined", given_up, rows, "error", "a sample")
        differs = ~rows.is_text("config_hash", [corpus.config_hash])
        self._report("config-differs", differs, rows, "config_hash", corpus.config_hash)
        for column, field in FIXED.items():
            if (number := promise.number(field)) is not None:
                self._report("config-differs", ok & (rows.number(column) != number), rows, column, number)
        if (labels := promise.names("labels")) is not None:
            self._report(
                "config-differs", ok & _other_lists(rows.batch.column("labels"), labels), rows, "labels", labels
            )
        for column, path, most in (
            ("recipe", "recipes", RECIPES),
            ("split", "splits", SPLITS),
            ("template", "templates", None),
        ):
            names = promise.names(path)
            allowed = [name for name in names or most or () if most is None or name in most]
            if allowed:
                known = rows.is_text(column, allowed)
                self._report("row-invalid", ok & ~known, rows, column, f"one of {', '.join(allowed)}")
        identities = promise.number("identities") or float("inf")
        identity = rows.number("identity")
        beyond = ok & ((identity < 0) | (identity >= identities))
        self._report("row-invalid", beyond, rows, "identity", f"0 to {identities - 1:g}")
        for column in MEASURES:
            self._report("row-invalid", ok & ~np.isfinite(rows.number(column)), rows, column, "a finite number")
        for pair in _PAIRS:
            swapped = ok & (rows.number(f"{pair}_min") > rows.number(f"{pair}_max"))
            self._report("row-invalid", swapped, rows, f"{pair}_min", f"at most {pair}_max")

    def _check_extents(self, rows: Rows, sound: Array) -> None:
        """Samples lie in whole blocks, one behind the other."""
        at = np.flatnonzero(rows.ok & sound)
        offset, size, shard = (rows.number(name)[at] for name in ("offset", "size", "shard"))
        inside = (offset >= 0) & (offset < MOST_OFFSET) & (size >= BLOCK) & (size < MOST_OFFSET)
        whole = inside & (offset % BLOCK == 0) & (size % BLOCK == 0)
        end = np.where(whole, offset + size, 0)
        if len(at):
            before = np.r_[self._last_end[1], end[:-1]] * (np.r_[self._last_end[0], shard[:-1]] == shard)
            self._last_end = (int(shard[-1]), int(end[-1]))
            self._mark(rows, at, ~whole, "offset", "a stretch of whole blocks of 512 bytes")
            self._mark(rows, at, whole & (offset < before), "offset", "behind the sample before it")
        for number in np.unique(rows.number("shard")[sound]):
            self.ends[int(number)] = max(self.ends.get(int(number), 0), int(end[shard == number].max(initial=0)))

    def _check_members(self, rows: Rows) -> None:
        """Each row lists what a sample of its views and labels holds, within its stretch of the shard."""
        at = np.flatnonzero(rows.ok)
        if len(at) == 0:
            return
        ok = rows if len(at) == len(rows) else Rows(rows.batch.take(pa.array(at)))
        lists = ok.batch.column("members")
        views, labels = self._promise.number("views"), self._promise.names("labels")
        usual = member_names(int(min(views, MOST_VIEWS)), labels) if views is not None and labels is not None else []
        counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
        flat = lists.flatten()
        names = flat.field("name")
        if not _repeats(names, counts, usual):
            for row in range(len(at)):
                self._check_names(ok, row)
        offset = pc.fill_null(flat.field("offset"), -1).to_numpy(zero_copy_only=False)
        size = pc.fill_null(flat.field("size"), -1).to_numpy(zero_copy_only=False)
        row_of = np.repeat(np.arange(len(at)), counts)
        begin, length = ok.number("offset")[row_of], ok.number("size")[row_of]
        sane = (offset >= 0) & (offset < MOST_OFFSET) & (size >= 0) & (size < MOST_OFFSET)
        sane &= (begin >= 0) & (begin < MOST_OFFSET) & (length >= 0) & (length < MOST_OFFSET)
        end = np.where(sane, offset + size, 0)
        lowest = np.where(np.r_[True, row_of[1:] != row_of[:-1]], begin, np.r_[0, end[:-1]]) if len(end) else begin
        sane &= (offset >= lowest) & (end <= np.where(sane, begin + length, 0))
        bad = np.zeros(len(at), bool)
        bad[row_of[~sane]] = True
        self._mark(rows, at, bad, "members", "members one behind the other within the sample")

    def _check_names(self, rows: Rows, at: int) -> None:
        views = int(rows.number("views")[at])
        wanted = member_names(views, [str(label) for label in rows.value("labels", at) or []])
        listed = [str(member["name"]) for member in rows.value("members", at) or []]
        key = rows.text("key", at)
        for name in wanted:
            if name not in listed:
                self._found.add("member-missing", key, self._place(self._item.path), name, "no such member in its row")
        for name in dict.fromkeys(listed):
            if name not in wanted:
                self._found.add("member-unknown", key, self._place(self._item.path), "a member of a known kind", name)
            if listed.count(name) > 1:
                self._found.add("row-invalid", key, "members", f"{name} once", f"{listed.count(name)} times")

    def _inside(self, index: Array) -> Array:
        return np.asarray((index >= self._clips.start) & (index < self._clips.stop))

    def _miss(self, first: int, stop: int) -> None:
        if first < stop and not self._promise.subset:
            expected = f"rows of clips {first} to {stop - 1}" if stop - first > 1 else f"a row of clip {first}"
            self._found.add("manifest-missing", "", self._place(self._item.path), expected, "none")

    def _mark(self, rows: Rows, at: Array, bad: Array, column: str, expected: str) -> None:
        """`_report` for a mask over the rows `at`."""
        mask = np.zeros(len(rows), bool)
        mask[at[bad]] = True
        self._report("row-invalid", mask, rows, column, expected)

    def _report(self, check: str, bad: Array, rows: Rows, column: str, expected: object) -> None:
        at = np.flatnonzero(bad)
        kept = at[: self._found.room(check)]
        for row in kept:
            seen = "no place for them" if column == "members" else rows.value(column, int(row))
            self._found.add(
                check, rows.text("key", int(row)), f"{self._place(self._item.path)} {column}", expected, seen
            )
        self._found.more(check, len(at) - len(kept))


def _repeats(texts: pa.DictionaryArray, counts: Array, values: Sequence[str]) -> bool:
    """Whether lists of these lengths, one behind the other in `texts`, hold these values each."""
    if (counts != len(values)).any() or texts.null_count:
        return False
    place = {value: number for number, value in enumerate(values)}
    known = np.array([place.get(text, -1) for text in texts.dictionary.to_pylist()], np.int64)
    indices = texts.indices.to_numpy(zero_copy_only=False)
    return bool((known[indices].reshape(len(counts), -1) == np.arange(len(values))).all()) if len(indices) else True


def _other_lists(column: pa.ListArray, values: list[str]) -> Array:
    """bool [N]: which lists are not these values."""
    counts = pc.fill_null(pc.list_value_length(column), -1).to_numpy(zero_copy_only=False)
    if _repeats(column.flatten(), counts[counts >= 0], values):
        return np.asarray(counts < 0)
    return np.array([item != values for item in column.to_pylist()], bool)
