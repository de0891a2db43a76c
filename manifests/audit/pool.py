"""Checking shards in processes of this machine, each result in the order of the shards."""

from __future__ import annotations

import collections
import contextlib
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from manifests.audit.findings import Finding
from manifests.audit.probe import GeometryProbe
from manifests.audit.shard_check import ShardResult, ShardTask, check_shard
from manifests.corpus import Corpus

Check = Callable[[ShardTask], ShardResult]
Wait = Callable[[], ShardResult]
Submit = Callable[[ShardTask], Wait]

AHEAD = 4
"""Shards begun before the one waited for, for each worker."""


def in_order(
    tasks: Iterable[ShardTask], submit: Callable[[ShardTask], Wait], window: int
) -> Iterator[tuple[ShardTask, ShardResult]]:
    """Results one after the other, with at most `window` tasks begun."""
    begun: collections.deque[tuple[ShardTask, Wait]] = collections.deque()
    for task in tasks:
        begun.append((task, submit(task)))
        if len(begun) >= window:
            first, wait = begun.popleft()
            yield first, wait()
    for task, wait in begun:
        yield task, wait()


@contextlib.contextmanager
def in_processes(corpora: Sequence[Corpus], probe: GeometryProbe | None, workers: int) -> Iterator[Submit]:
    """Something that hands a shard to one of the workers; with a single one, to this process."""
    if workers == 1:
        yield lambda task: lambda: check_shard(task, corpora[task.source], probe)
        return
    pool = _Pool(corpora, probe, workers)
    try:
        yield pool.submit
    finally:
        pool.close()


def reading_ended_worker(task: ShardTask, corpus: Corpus) -> ShardResult:
    """The result of a shard that no worker survives: the decoders are foreign code, and some bytes crash them."""
    where = f"{task.place}{corpus.layout.shard_path(task.shard)}"
    seen = "the process that read it died, out of memory or by a fault in a decoder"
    finding = Finding("shard-malformed", "", where, "a shard that can be read", seen)
    return ShardResult(0, {finding.check: 1}, (finding,), ())


class _Pool:
    """A pool of processes that outlives the death of its workers."""

    def __init__(self, corpora: Sequence[Corpus], probe: GeometryProbe | None, workers: int) -> None:
        self._corpora, self._probe, self._workers = corpora, probe, workers
        self._executor = self._start(workers)

    def submit(self, task: ShardTask) -> Wait:
        try:
            future = self._executor.submit(_in_worker, task)
        except BrokenProcessPool:
            self._executor = self._start(self._workers)
            future = self._executor.submit(_in_worker, task)
        return lambda: self._result(task, future)

    def close(self) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _result(self, task: ShardTask, future: Future[ShardResult]) -> ShardResult:
        try:
            return future.result()
        except BrokenProcessPool:  # some task's doing: this one gets a process of its own to show whether it is its own
            try:
                with self._start(1) as alone:
                    return alone.submit(_in_worker, task).result()
            except BrokenProcessPool:
                return reading_ended_worker(task, self._corpora[task.source])

    def _start(self, workers: int) -> ProcessPoolExecutor:
        # Forked children would share the threads' locks of Arrow and of the decoders.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(workers, context, _set_up, (tuple(self._corpora), self._probe))


_check: Check | None = None
"""Of a worker process: set once when it starts."""


def _set_up(corpora: Sequence[Corpus], probe: GeometryProbe | None) -> None:
    global _check
    _check = lambda task: check_shard(task, corpora[task.source], probe)  # noqa: E731


def _in_worker(task: ShardTask) -> ShardResult:
    assert _check is not None
    return _check(task)
