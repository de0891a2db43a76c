"""How far a corpus is, read from nothing but its folder: from any machine, while it is made or later."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow.compute as pc

from manifests import runlog, spool
from manifests.corpus import Subset, is_half_export, read_corpus
from manifests.layout import CORPUS_FILE, HALF_EXPORT_FILE, Layout
from manifests.manifest import committed_shards, iter_manifest
from manifests.storage import Storage
from manifests.table import QUARANTINED

STALE_S = 6 * runlog.HEARTBEAT_S
"""A run that has said nothing for this long is taken for dead."""

_RECENT_S = 300.0
_ERRORS = 5
_TRIES = 3


@dataclass(frozen=True)
class Status:
    """The state of a corpus."""

    out: str
    name: str
    state: str
    """``new``, ``running``, ``finished``, ``interrupted``, ``failed`` or ``killed`` (a run that fell silent); of a
    subset ``exported``, or ``half exported``."""
    clips: int
    shards: int
    committed_clips: int
    committed_shards: int
    spooled_clips: int
    """Finished clips of shards that are not committed yet."""
    quarantined: int
    """Clips given up, in committed and open shards."""
    failures: int
    """Failed attempts of the last run."""
    workers: int
    clips_per_second: float | None
    seconds_left: float | None
    errors: tuple[str, ...]

    @property
    def done(self) -> int:
        return self.committed_clips + self.spooled_clips


def status(out: str, clock: Callable[[], float] = time.time) -> Status:
    """Raises UserError if `out` holds no corpus."""
    storage = Storage(out)
    for _ in range(_TRIES - 1):
        with contextlib.suppress(FileNotFoundError):  # a run under way has just moved on
            return _read(storage, clock())
    return _read(storage, clock())


def format_status(status: Status) -> str:
    """A few lines for a person."""
    share = 100 * status.done / status.clips
    lines = [
        f"{status.name}: {status.state}, {status.done} of {status.clips} clips ({share:.1f}%)  {status.out}",
        f"  {status.committed_shards} of {status.shards} shards committed, "
        f"{status.spooled_clips} clips of open shards in the spool",
        f"  {status.quarantined} clips given up, {status.failures} failed attempts in the last run",
    ]
    if status.clips_per_second:
        speed = f"  {status.clips_per_second:.3g} clips/s with {status.workers} workers"
        left = f", {duration(status.seconds_left)} left" if status.seconds_left is not None else ""
        lines.append(speed + left)
    if status.state in (runlog.INTERRUPTED, runlog.FAILED, "killed"):
        lines.append("  run the same `generate` command again to go on")
    if status.state == "half exported":
        lines.append("  run the same `export` command again to go on")
    return "\n".join(lines + [f"  {error}" for error in status.errors])


def duration(seconds: float) -> str:
    """``2 d 3 h``, ``4 h 5 min``, ``6 min 7 s`` or ``8 s``."""
    whole = round(seconds)
    for size, unit, small, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // small} {name}"
    return f"{whole} s"


def _read(storage: Storage, now: float) -> Status:
    half = is_half_export(storage)
    corpus = read_corpus(storage, HALF_EXPORT_FILE if half else CORPUS_FILE)
    if corpus.subset is not None:
        return _read_subset(storage, corpus.name, corpus.subset, half)
    layout = corpus.layout
    committed = committed_shards(storage, layout)
    committed_clips = sum(committed) * layout.clips_per_shard
    if committed[-1]:
        committed_clips += len(layout.clips_of(layout.shards - 1)) - layout.clips_per_shard
    spools = [
        spool.read_spool(storage, layout, shard)
        for shard in sorted(spool.spooled_shards(storage))
        if shard < layout.shards and not committed[shard]
    ]
    spooled = sum(len(found.clips) for found in spools)
    quarantined, errors = _quarantined(storage)
    for found in spools:
        quarantined += len(found.quarantined)
        for clip in sorted(found.quarantined)[: _ERRORS - len(errors)]:
            errors.append(f"{layout.key(clip)}: {_error(storage, layout, clip)}")
    record = runlog.read_last_run(storage)
    state = _state(record, all(committed), now)
    rate = _rate(record)
    running = state == runlog.RUNNING
    return Status(
        out=storage.url,
        name=corpus.name,
        state=state,
        clips=layout.clips,
        shards=layout.shards,
        committed_clips=committed_clips,
        committed_shards=sum(committed),
        spooled_clips=spooled,
        quarantined=quarantined,
        failures=record.failures if record else 0,
        workers=record.workers if record else 0,
        clips_per_second=rate,
        seconds_left=(layout.clips - committed_clips - spooled) / rate if running and rate else None,
        errors=tuple(errors or (record.errors[-_ERRORS:] if record else ())),
    )


def _read_subset(storage: Storage, name: str, subset: Subset, half: bool) -> Status:
    """A subset has no runs, and only the shards of its clips."""
    shards: set[int] = set()
    clips = 0
    for batch in iter_manifest(storage, ["shard"]):
        clips += len(batch)
        shards.update(pc.unique(batch["shard"]).to_pylist())
    return Status(
        out=storage.url,
        name=name,
        state="half exported" if half or clips < subset.clips else "exported",
        clips=subset.clips,
        shards=subset.shards,
        committed_clips=clips,
        committed_shards=len(shards),
        spooled_clips=0,
        quarantined=0,
        failures=0,
        workers=0,
        clips_per_second=None,
        seconds_left=None,
        errors=(),
    )


def _error(storage: Storage, layout: Layout, clip: int) -> str:
    try:
        return spool.read_error(storage, layout, clip)
    except (ValueError, RecursionError, IsADirectoryError):
        return "(its record cannot be read)"


def _quarantined(storage: Storage) -> tuple[int, list[str]]:
    count = 0
    errors: list[str] = []
    for batch in iter_manifest(storage, ["status"]):
        count += pc.sum(pc.equal(batch["status"], QUARANTINED)).as_py() or 0
    if count:
        for batch in iter_manifest(storage, ["key", "status", "error"]):
            bad = batch.filter(pc.equal(batch["status"], QUARANTINED))
            errors += [f"{row['key']}: {row['error']}" for row in bad.slice(0, _ERRORS - len(errors)).to_pylist()]
            if len(errors) == min(count, _ERRORS):
                break
    return count, errors


def _state(record: runlog.RunRecord | None, complete: bool, now: float) -> str:
    if record is not None and record.state == runlog.RUNNING and now - record.updated < STALE_S:
        return runlog.RUNNING
    if complete:
        return runlog.FINISHED
    if record is None:
        return "new"
    return "killed" if record.state in (runlog.RUNNING, runlog.FINISHED) else record.state


def _rate(record: runlog.RunRecord | None) -> float | None:
    """Clips a second over the last minutes of a run that is under way, or over all of one that has ended."""
    if record is None or len(record.history) < 2:
        return None
    recent = record.updated - _RECENT_S if record.state == runlog.RUNNING else record.started
    points = [point for point in record.history if point[0] >= recent]
    if len(points) < 2 or points[-1][0] <= points[0][0]:
        return None
    return (points[-1][1] - points[0][1]) / (points[-1][0] - points[0][0])
