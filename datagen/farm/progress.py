"""What a person sees of a run, and what the run leaves in ``log/`` for `status`."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from manifests import runlog
from manifests.runlog import RunRecord
from manifests.status import duration
from manifests.storage import Storage

_LINE_S = 10.0
_RATE_S = 120.0
_ERRORS = 5


class Reporter:
    """Counts what happens, and tells of it now and then."""

    def __init__(self, storage: Storage, clips: int, done: int, clock: Callable[[], float] = time.time) -> None:
        now = clock()
        self.record = RunRecord(now, now, runlog.RUNNING, 0, clips, done)
        self._storage = storage
        self._path = runlog.new_run_path(storage)
        self._clock = clock
        self._recent: deque[tuple[float, int]] = deque([(now, done)])
        self._written = 0.0

    def failed(self, error: str) -> None:
        """An attempt at a clip failed."""
        self.record.failures += 1
        self.record.errors = [*self.record.errors, error][-_ERRORS:]

    def quarantined(self) -> None:
        """A clip was given up."""
        self.record.quarantined += 1

    def tick(self, done: int, workers: int) -> None:
        """Say how far it is. Called often; does little unless it is time."""
        now = self._clock()
        self.record.done, self.record.workers = done, workers
        self._recent.append((now, done))
        while now - self._recent[0][0] > _RATE_S:
            self._recent.popleft()
        if now - self._written >= runlog.HEARTBEAT_S:
            self._write(now)

    def end(self, state: str) -> None:
        """The last word of the run."""
        self.record.state = state
        self._write(self._clock())

    def text(self) -> str:
        """Speed, time left, workers and failures in one line."""
        workers = f"{self.record.workers} workers" if self.record.workers else "waiting for workers"
        parts = [self._speed() or "starting", workers]
        if self.record.failures:
            parts.append(f"{self.record.failures} failed attempts, {self.record.quarantined} clips given up")
        return ", ".join(parts)

    def _speed(self) -> str:
        (first, before), (last, after) = self._recent[0], self._recent[-1]
        if after <= before or last <= first:
            return ""
        rate = (after - before) / (last - first)
        return f"{rate:.3g} clips/s, {duration((self.record.clips - after) / rate)} left"

    def _write(self, now: float) -> None:
        self._written = now
        self.record.note(now)
        with contextlib.suppress(Exception):  # storage at fault stops the run where data is written, not here
            runlog.write_run(self._storage, self._path, self.record)


Show = Callable[[Reporter], None]


@contextlib.contextmanager
def display(stream: TextIO | None = None, clock: Callable[[], float] = time.time) -> Iterator[Show]:
    """A live bar on a terminal, else a line every ten seconds; to `stream`, or the standard error."""
    stream = stream or sys.stderr
    console = Console(file=stream)
    if not console.is_terminal:
        yield _lines(stream, clock)
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("clips  {task.fields[text]}"))
    with Progress(*columns, console=console, refresh_per_second=4) as bar:
        task = bar.add_task("", total=None, text="starting")

        def show(reporter: Reporter) -> None:
            record = reporter.record
            bar.update(task, total=record.clips, completed=record.done, text=reporter.text())

        yield show


def _lines(stream: TextIO, clock: Callable[[], float]) -> Show:
    last = clock()

    def show(reporter: Reporter) -> None:
        nonlocal last
        if clock() - last >= _LINE_S:
            last = clock()
            stream.write(f"{reporter.record.done} of {reporter.record.clips} clips, {reporter.text()}\n")
            stream.flush()

    return show
