"""How far a long piece of work is: a live bar on a terminal, else a line every ten seconds."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from manifests.status import duration

_LINE_S = 10.0

Show = Callable[[float, float, str], None]
"""Takes what is done, all there is to do, and a few words."""


def silent(_done: float, _total: float, _words: str) -> None:
    """Shows nothing."""


@contextlib.contextmanager
def display(stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> Iterator[Show]:
    """Something that shows how far it is, with the time left; to ``stream``, or the standard error.

    What was done when it is first called does not count for the speed: an earlier run did it.
    """
    stream = stream or sys.stderr
    console = Console(file=stream)
    remaining = _Remaining(clock)
    if not console.is_terminal:
        yield _lines(stream, remaining, clock)
        return
    with Progress(BarColumn(), TextColumn("{task.fields[words]}"), console=console, refresh_per_second=4) as bar:
        task = bar.add_task("", total=None, words="starting")

        def show(done: float, total: float, words: str) -> None:
            bar.update(task, total=total, completed=done, words=f"{words}{remaining(done, total)}")

        yield show


class _Remaining:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._first: tuple[float, float] | None = None
        self._total = 0.0

    def __call__(self, done: float, total: float) -> str:
        now = self._clock()
        if self._first is None or done < self._first[1] or total != self._total:  # another piece of work
            self._first, self._total = (now, done), total
        since, before = self._first
        if done <= before or now <= since:
            return ""
        return f", {duration((total - done) * (now - since) / (done - before))} left"


def _lines(stream: TextIO, remaining: _Remaining, clock: Callable[[], float]) -> Show:
    last = clock()

    def show(done: float, total: float, words: str) -> None:
        nonlocal last
        left = remaining(done, total)
        if clock() - last >= _LINE_S:
            last = clock()
            stream.write(f"{words}{left}\n")
            stream.flush()

    return show
