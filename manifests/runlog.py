"""What each run says of itself in ``log/``: the only place in a corpus where clock times stand."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field

from manifests.layout import LOG
from manifests.storage import Storage

RUNNING = "running"
FINISHED = "finished"
INTERRUPTED = "interrupted"
FAILED = "failed"

HEARTBEAT_S = 5.0
"""A running driver writes its record this often."""

_HISTORY = 240


@dataclass
class RunRecord:
    """One run of the driver. Times are seconds since the epoch; counts are of the whole corpus."""

    started: float
    updated: float
    state: str
    workers: int
    clips: int
    done: int = 0
    """Clips rendered or given up, in this run or before."""
    quarantined: int = 0
    """Clips given up in this run."""
    failures: int = 0
    """Attempts that failed in this run."""
    errors: list[str] = field(default_factory=list)
    """The last few of them."""
    history: list[tuple[float, int]] = field(default_factory=list)
    """(time, done) now and then: at most 240 points, evenly thinned as the run goes on."""

    def note(self, now: float) -> None:
        """Stamp the record, and add to the history."""
        self.updated = now
        self.history.append((now, self.done))
        if len(self.history) > _HISTORY:
            self.history = self.history[:-1:2] + self.history[-1:]


def new_run_path(storage: Storage) -> str:
    """A name for the next run's record; later runs sort later."""
    runs = _runs(storage)
    number = int(runs[-1].removeprefix("run-").removesuffix(".json")) + 1 if runs else 0
    return f"{LOG}/run-{number:04d}.json"


def write_run(storage: Storage, path: str, record: RunRecord) -> None:
    storage.write(path, json.dumps(dataclasses.asdict(record)).encode())


def read_last_run(storage: Storage) -> RunRecord | None:
    """The newest run's record; None if there is none that can be read."""
    for name in reversed(_runs(storage)):
        try:
            record = RunRecord(**json.loads(storage.read(f"{LOG}/{name}")))
            record.history = [(float(time), int(done)) for time, done in record.history]
            record.errors = [" ".join(str(error).split())[:400] for error in record.errors]
            numbers = (record.started, record.updated, record.workers, record.done, record.quarantined, record.failures)
            if all(isinstance(number, (int, float)) and math.isfinite(number) for number in numbers):
                return record
        except (ValueError, TypeError, OverflowError, RecursionError, OSError):
            continue
    return None


def _runs(storage: Storage) -> list[str]:
    names = [name for name in storage.names(LOG) if name.startswith("run-") and name.endswith(".json")]
    names = [name for name in names if name[4:-5].isdecimal()]
    return sorted(names, key=lambda name: int(name[4:-5]))
