"""How fast a corpus came to be, from the records of its runs."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from manifests.layout import LOG
from manifests.storage import Storage
from manifests.text import shown

Array = NDArray[Any]

MOST_RUNS: Final = 100
_MOST_BYTES: Final = 1 << 20
_MOST_POINTS: Final = 1000
_POINTS: Final = 60
_FEWEST_POINTS: Final = 3
_CLIPS_A_POINT: Final = 8
"""Clips end in bunches, as workers take turns: a rate over fewer jumps about."""
_MOST_CLIPS: Final = 1 << 53
_LATEST: Final = 253402300799.0
"""The last second of the year 9999."""


@dataclass(frozen=True)
class Run:
    """One run of the driver, as far as it concerns a reader. Times are seconds since the epoch."""

    started: float
    updated: float
    state: str
    workers: int
    quarantined: int
    failures: int
    points: tuple[tuple[float, int], ...]
    """(time, clips of the corpus done by then), ascending."""

    @property
    def seconds(self) -> float:
        return max(0.0, self.updated - self.started)

    @property
    def clips(self) -> int:
        """Done in this run."""
        return self.points[-1][1] - self.points[0][1] if self.points else 0


@dataclass(frozen=True)
class Throughput:
    """Runs one behind the other, the time between them left out."""

    hours: Array
    """[N] of work."""
    clips: Array
    """[N] done by then, in these runs."""
    middles: Array
    """[M] hours of work."""
    rate: Array
    """[M] clips an hour around then."""
    breaks: tuple[float, ...]
    """Hours of work at which a later run begins."""


def read_runs(storage: Storage) -> list[Run]:
    """The last `MOST_RUNS` runs that can be read, oldest first."""
    names = [name for name in storage.names(LOG) if name.startswith("run-") and name.endswith(".json")]
    numbered = sorted((int(name[4:-5]), name) for name in names if name[4:-5].isdecimal() and len(name) < 32)
    runs = (_read(storage, f"{LOG}/{name}") for _, name in numbered[-MOST_RUNS:])
    return [run for run in runs if run is not None]


def throughput(runs: Sequence[Run]) -> Throughput | None:
    """None where nothing was made in a measurable time."""
    hours, clips, breaks = [0.0], [0], []
    for run in runs:
        if len(run.points) > 1:
            if len(hours) > 1:
                breaks.append(hours[-1])
            for (before, had), (now, has) in itertools.pairwise(run.points):
                hours.append(hours[-1] + (now - before) / 3600)
                clips.append(clips[-1] + max(0, has - had))
    if hours[-1] <= 0 or clips[-1] <= 0:
        return None
    points = max(_FEWEST_POINTS, min(_POINTS, clips[-1] // _CLIPS_A_POINT))
    edges = np.linspace(0, hours[-1], points + 1)
    done = np.interp(edges, hours, clips)
    return Throughput(
        np.array(hours), np.array(clips), (edges[:-1] + edges[1:]) / 2, np.diff(done) / np.diff(edges), tuple(breaks)
    )


def _read(storage: Storage, path: str) -> Run | None:
    try:
        if storage.size(path) > _MOST_BYTES:
            return None
        record = json.loads(storage.read(path))
        started, updated = float(record["started"]), float(record["updated"])
        workers, quarantined, failures = (int(record[name]) for name in ("workers", "quarantined", "failures"))
        points = sorted((float(at), int(done)) for at, done in record["history"][:_MOST_POINTS])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, OSError):
        return None
    times = (started, updated, *(at for at, _ in points))
    counts = (workers, quarantined, failures, *(done for _, done in points))
    if not all(0 <= at <= _LATEST for at in times) or not all(0 <= count <= _MOST_CLIPS for count in counts):
        return None
    return Run(started, updated, shown(str(record["state"])), workers, quarantined, failures, tuple(points))
