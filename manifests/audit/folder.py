"""Whether the manifest's files and the shards in the folder are those of the corpus, and of the right sizes."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests import runlog
from manifests.audit.report import Findings
from manifests.corpus import Corpus
from manifests.layout import MANIFEST, SHARDS, ManifestFile, parse_manifest_name
from manifests.manifest import manifest_files
from manifests.storage import Storage
from manifests.tar import END

Array = NDArray[Any]

_ODD, _LINK = -1, -2
"""The sizes of what is no plain file."""


@dataclass(frozen=True)
class ShardFiles:
    """The shards that are there."""

    numbers: Array
    """int64 [N], rising."""
    sizes: Array
    """int64 [N], bytes; negative for what is no plain file."""
    others: tuple[str, ...]
    """Names in the folder that no shard of the corpus has; the first thousand."""
    others_count: int

    def size(self, shard: int) -> int | None:
        """Bytes of a shard; None if it is not there."""
        at = int(np.searchsorted(self.numbers, shard))
        return int(self.sizes[at]) if at < len(self.numbers) and self.numbers[at] == shard else None

    def within(self, first: int, stop: int) -> Array:
        """Numbers of the shards in [first, stop) that are there."""
        return np.asarray(self.numbers[np.searchsorted(self.numbers, first) : np.searchsorted(self.numbers, stop)])


def list_shards(storage: Storage, corpus: Corpus) -> ShardFiles:
    """What is in the folder of shards; memory is 16 bytes a shard."""
    pattern = re.compile(re.escape(corpus.name) + r"-(\d{6,9})\.tar")
    numbers, sizes = _Numbers(), _Numbers()
    others: list[str] = []
    count = 0
    for name, size in _listing(storage):
        match = pattern.fullmatch(name)
        shard = int(match[1]) if match else -1
        if match and shard < corpus.layout.shards and corpus.layout.shard_path(shard) == f"{SHARDS}/{name}":
            numbers.add(shard)
            sizes.add(size)
        else:
            count += 1
            if len(others) < 1000:
                others.append(name)
    order = np.argsort(numbers.array(), kind="stable")
    return ShardFiles(numbers.array()[order], sizes.array()[order], tuple(sorted(others)), count)


def check_shards(item: ManifestFile, ends: dict[int, int], there: ShardFiles, corpus: Corpus, found: Findings,
                 place: Callable[[str], str]) -> None:  # fmt: skip
    """Compare the shards that a manifest file names (shard -> byte behind its last sample) with those there."""
    for shard, end in sorted(ends.items()):
        where, size = place(corpus.layout.shard_path(shard)), there.size(shard)
        if size is None:
            found.add("shard-missing", "", where, f"the shard that {item.path} names", "no such file")
        elif size < 0:
            seen = "a link, which is not followed" if size == _LINK else "a folder, pipe or device"
            found.add("shard-malformed", "", where, "a plain file", seen)
        elif size < end + len(END):
            found.add("shard-truncated", "", where, f"{end + len(END)} bytes", f"{size} bytes")
        elif size > end + len(END):
            found.add("shard-malformed", "", where, f"{end + len(END)} bytes", f"{size} bytes")


def check_cover(
    storage: Storage, corpus: Corpus, there: ShardFiles, found: Findings, place: Callable[[str], str], subset: bool
) -> None:
    """Find shards without rows and rows that were never written.

    A corpus whose last run did not end, and a subset, may lack both of a shard; a shard without rows is then what
    a crash left behind.
    """
    finished = not subset and _finished(storage)
    for first, stop in _gaps(storage, corpus):
        orphans = there.within(first, stop)
        if finished:
            clips = range(corpus.layout.clips_of(first).start, corpus.layout.clips_of(stop - 1).stop)
            seen = f"none; {len(orphans)} of its {stop - first} shards are there"
            found.add("manifest-missing", "", place(MANIFEST), f"rows of clips {clips[0]} to {clips[-1]}", seen)
            continue
        for shard in orphans[: found.room("shard-extra")]:
            path = place(corpus.layout.shard_path(int(shard)))
            found.add("shard-extra", "", path, "rows of its clips", "none: not committed")
        found.more("shard-extra", len(orphans) - found.room("shard-extra"))
        if not subset:
            found.add("corpus-unfinished", "", place(SHARDS), f"shards {first} to {stop - 1}", "not generated yet")
    kept = there.others[: found.room("file-extra")]
    for name in kept:
        found.add("file-extra", "", place(f"{SHARDS}/{name}"), "shards of this corpus alone", name)
    found.more("file-extra", there.others_count - len(kept))
    used = {item.path for item in manifest_files(storage)}
    for name in storage.names(MANIFEST):
        known = parse_manifest_name(name)
        if known is None:
            found.add("file-extra", "", place(f"{MANIFEST}/{name}"), "files of the manifest alone", name)
        elif known.first >= corpus.layout.shards:
            found.add("manifest-damaged", "", place(known.path), f"shards below {corpus.layout.shards}", name)
        elif known.path not in used and known.last - known.first >= 0 and not _within(known, used):
            found.add("manifest-damaged", "", place(known.path), "files that do not overlap", "one that overlaps")


def _within(item: ManifestFile, used: set[str]) -> bool:
    """Whether another file holds all of this one's shards, as a crash while compacting leaves it."""
    held = (parse_manifest_name(path.removeprefix(f"{MANIFEST}/")) for path in used)
    return any(other is not None and other.first <= item.first and item.last <= other.last for other in held)


def _gaps(storage: Storage, corpus: Corpus) -> Iterator[tuple[int, int]]:
    """Stretches [first, stop) of shards that no manifest file covers; memory does not follow their number."""
    position = 0
    for item in manifest_files(storage):
        if item.first > position:
            yield position, min(item.first, corpus.layout.shards)
        position = max(position, item.last + 1)
        if position >= corpus.layout.shards:
            return
    if position < corpus.layout.shards:
        yield position, corpus.layout.shards


def _finished(storage: Storage) -> bool:
    """Whether nothing says that clips are still to come. A corpus copied without its log counts as finished."""
    last = runlog.read_last_run(storage)
    return last is None or last.state == runlog.FINISHED


def _listing(storage: Storage) -> Iterator[tuple[str, int]]:
    if not storage.local:
        yield from storage.sizes(SHARDS).items()
        return
    storage.check_folder(SHARDS)
    try:
        entries = os.scandir(f"{storage.url}/{SHARDS}")
    except (FileNotFoundError, NotADirectoryError):
        return
    with entries:
        for entry in entries:
            if entry.name.startswith(".") and entry.name.endswith(".tmp"):
                continue  # a writer's temporary
            if entry.is_symlink():
                yield entry.name, _LINK
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                yield entry.name, _ODD
                continue
            yield entry.name, status.st_size if stat.S_ISREG(status.st_mode) else _ODD


class _Numbers:
    """A growing array of int64."""

    def __init__(self) -> None:
        self._values = np.zeros(1024, np.int64)
        self._count = 0

    def add(self, value: int) -> None:
        if self._count == len(self._values):
            self._values = np.concatenate([self._values, np.zeros_like(self._values)])
        self._values[self._count] = value
        self._count += 1

    def array(self) -> Array:
        return self._values[: self._count]
