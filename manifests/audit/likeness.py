"""Clips that are nearly the same, and people who are in two splits: across all clips, with bounded memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from manifests.audit.fingerprint import alike, bucket
from manifests.audit.report import Findings
from manifests.audit.row_checks import MEASURES
from manifests.conventions import SPLITS
from manifests.rows import Rows

Array = NDArray[Any]

MOST_REMEMBERED: Final = 1 << 24
"""Values of 8 bytes; with more clips than this, a share of them is compared."""
MOST_FINGERPRINTS: Final = 1 << 20
_ALL_PAIRS: Final = 3000
_BUCKET: Final = 64

SUMMARY: Final = ("identity", "seed", *MEASURES)
"""Columns that no two clips share all of unless they are the same clip: most follow from streams of their own."""
COLUMNS: Final = ("index", "key", "status", "split", *SUMMARY)


class Sieve:
    """Remembers 64-bit hashes; when they are too many, only those below a falling mark.

    Equal hashes share their fate, so what is found among the remembered is right, and always the same.
    """

    def __init__(self, unique: bool, most: int = MOST_REMEMBERED) -> None:
        self._unique, self._most = unique, most
        self._spare = max(most // 8, 1)
        self._held = np.empty(most + self._spare, np.uint64)  # the system gives memory only for what is written
        self._count = self._settled = 0
        self._below = 1 << 64

    @property
    def share(self) -> float:
        """Of all hashes, those that were remembered."""
        return self._below / 2**64

    def add(self, hashes: Array) -> None:
        for start in range(0, len(hashes), self._spare):
            new = hashes[start : start + self._spare]
            new = np.unique(new) if self._unique else new
            if self._count + len(new) > (self._settled if self._unique else self._most) + self._spare:
                self._settle()
            new = new[new < np.uint64(self._below)] if self._below < 1 << 64 else new
            self._held[self._count : self._count + len(new)] = new
            self._count += len(new)

    def values(self) -> Array:
        """uint64 [N], rising."""
        self._settle()
        return self._held[: self._count]

    def _settle(self) -> None:
        held = self._held[: self._count]
        held.sort()
        if self._unique and self._count:
            kept = held[np.r_[True, held[1:] != held[:-1]]]
            held[: len(kept)] = kept
            self._count = len(kept)
        while self._count > self._most and self._below > 8:
            self._below //= 2
            self._count = int(np.searchsorted(self._held[: self._count], np.uint64(self._below)))
        self._settled = self._count


class Likeness:
    """Fed with the rows of all sources; then says which need a second look, and is fed again to name their clips."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._people, self._clips = Sieve(True, most), Sieve(False, most)

    def add(self, rows: Rows) -> None:
        at = np.flatnonzero(rows.ok)
        self._people.add(_people(rows)[at])
        self._clips.add(_summaries(rows)[at])

    def suspects(self) -> tuple[Array, Array]:
        """Hashes of people in several splits and of clips that occur more than once; uint64, rising."""
        people = self._people.values() >> np.uint64(2)
        clips = self._clips.values()
        return np.unique(people[1:][people[1:] == people[:-1]]), np.unique(clips[1:][clips[1:] == clips[:-1]])

    def name(self, batches: Iterable[tuple[str, Rows]], found: Findings) -> None:
        """From the same rows, each batch behind the name of its source, make the findings."""
        people, clips = self.suspects()
        if not len(people) and not len(clips):
            return
        splits: dict[int, dict[str, tuple[str, int]]] = defaultdict(dict)
        first: dict[int, str] = {}
        for source, rows in batches:
            who = _people(rows) >> np.uint64(2)
            for at in np.flatnonzero(np.isin(who, people) & rows.ok):
                person = int(who[at])
                if person in splits or len(splits) < found.room("identity-in-two-splits"):
                    clip = f"{source}{rows.text('key', at)}", int(rows.number("identity")[at])
                    splits[person].setdefault(rows.text("split", at), clip)
            same = _summaries(rows)
            twins = np.flatnonzero(np.isin(same, clips) & rows.ok)
            if not found.room("clips-alike"):
                found.more("clips-alike", len(twins))
                continue
            for at in twins:
                key = f"{source}{rows.text('key', at)}"
                twin = first.setdefault(int(same[at]), key)
                if twin != key:
                    found.add("clips-alike", _key(key), "manifest", "parameters of its own", f"those of {twin}")
        for places in splits.values():
            (key, identity), *_ = places.values()
            seen = ", ".join(f"{split} ({clip})" for split, (clip, _) in places.items())
            found.add("identity-in-two-splits", _key(key), f"identity {identity}", "one split", seen)
        found.more("identity-in-two-splits", len(people) - len(splits))

    def skipped(self) -> list[str]:
        """What memory did not allow to check."""
        named = (("people in two splits", self._people), ("clips alike by their parameters", self._clips))
        return [
            f"{what}: a share of {sieve.share:.3g} of them was compared" for what, sieve in named if sieve.share < 1
        ]


def check_fingerprints(prints: list[tuple[str, bytes]], found: Findings) -> None:
    """Find clips (name, fingerprint) that look and move nearly the same.

    All are compared with all while they are few. Of many, only those that share the motion to the step, so that
    rounding may hide a pair.
    """
    groups: dict[bytes, list[tuple[str, bytes]]] = defaultdict(list)
    for name, made in prints:
        if made:
            groups[bucket(made) if len(prints) > _ALL_PAIRS else b""].append((name, made))
    for group in groups.values():
        most = len(group) if len(prints) <= _ALL_PAIRS else _BUCKET
        for at, (name, made) in enumerate(group):
            twin = next((other for other, known in group[max(0, at - most) : at] if alike(known, made)), None)
            if twin is not None:
                found.add(
                    "clips-alike", _key(name), "pictures and motion", "pictures of its own", f"nearly those of {twin}"
                )


def _key(name: str) -> str:
    """A clip's key without the name of its source."""
    return name.rsplit("/", 1)[-1]


def _people(rows: Rows) -> Array:
    """uint64 [N]: a hash of who is in the clip, and in the last two bits the split."""
    mixed = _mix(rows.number("seed").view(np.uint64)) ^ rows.number("identity").view(np.uint64)
    codes, values = rows.codes("split")
    number = np.array([SPLITS.index(value) if value in SPLITS else 3 for value in values], np.uint64)
    return np.asarray((_mix(mixed) & ~np.uint64(3)) | number[codes])


def _summaries(rows: Rows) -> Array:
    """uint64 [N]: a hash of the clip's parameters."""
    mixed = np.zeros(len(rows), np.uint64)
    for name in SUMMARY:
        values = rows.number(name)
        mixed = _mix(mixed ^ values.view(np.uint64))
    return mixed


def _mix(values: Array) -> Array:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators")."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(values ^ (values >> np.uint64(31)))
