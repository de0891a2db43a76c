"""Keys that two corpora of a view share, without holding any: a key is its corpus' name and a number."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.audit.report import Findings
from manifests.audit.sources import AuditedSource
from manifests.layout import MANIFEST
from manifests.rows import Rows

Array = NDArray[Any]


class SharedKeys:
    """Stretches of clips of the corpora that share a name with another; a corpus without gaps is one stretch."""

    def __init__(self, sources: Sequence[AuditedSource]) -> None:
        names = Counter(source.corpus.name for source in sources)
        self._sources = [source for source in sources if names[source.corpus.name] > 1]
        self._stretches: dict[int, list[Array]] = {source.number: [] for source in self._sources}
        """int64 [N, 2] each: first clip, and the one behind the last."""

    def add(self, source: AuditedSource, rows: Rows) -> None:
        if source.number not in self._stretches:
            return
        index = np.unique(rows.number("index"))
        index = index[(index >= 0) & (index < source.corpus.clips)]
        if len(index) == 0:
            return
        ends = np.flatnonzero(np.diff(index, append=index[-1] + 2) != 1)
        made = np.stack([index[np.r_[0, ends[:-1] + 1]], index[ends] + 1], axis=1)
        held = self._stretches[source.number]
        if held and held[-1][-1, 1] == made[0, 0]:
            held[-1][-1, 1] = made[0, 1]
            made = made[1:]
        if len(made):
            held.append(made)

    def report(self, found: Findings) -> None:
        """Call behind all rows of all corpora."""
        by_name: dict[str, list[AuditedSource]] = defaultdict(list)
        for source in self._sources:
            by_name[source.corpus.name].append(source)
        for sources in by_name.values():
            stretches = [np.concatenate([*self._stretches[s.number], np.zeros((0, 2), np.int64)]) for s in sources]
            owner = np.repeat(np.arange(len(sources)), [len(held) for held in stretches])
            _report(sources, np.concatenate(stretches), owner, found)


def _report(sources: Sequence[AuditedSource], stretches: Array, owner: Array, found: Findings) -> None:
    """Every clip of a stretch [start, stop) that one with a lower start reaches into is there twice."""
    order = np.lexsort((owner, stretches[:, 0]))
    start, stop, owner = stretches[order, 0], stretches[order, 1], owner[order]
    reached = np.maximum.accumulate(stop)
    farthest = np.maximum.accumulate(np.where(stop == reached, np.arange(len(stop)), 0))
    shared = np.zeros(len(stop), np.int64)
    shared[1:] = np.minimum(stop[1:], reached[:-1]) - start[1:]
    for at in np.flatnonzero(shared > 0):
        here, other = sources[owner[at]], sources[owner[farthest[at - 1]]]
        if here is other:
            continue  # a fault of that corpus alone, which its own rows have told
        kept = min(int(shared[at]), found.room("key-duplicate"))
        for clip in range(int(start[at]), int(start[at]) + kept):
            key, where = here.corpus.layout.key(clip), here.place(MANIFEST)
            found.add("key-duplicate", key, where, "each key once in a view", f"also in {other.storage.url}")
        found.more("key-duplicate", int(shared[at]) - kept)
