"""The second pass of a full audit: every shard, spread over processes or a cluster, resumed by a journal."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from manifests.audit.journal import journal_path, open_journal, state_of
from manifests.audit.likeness import MOST_FINGERPRINTS, check_fingerprints
from manifests.audit.pool import AHEAD, Submit, Wait, in_order, in_processes
from manifests.audit.probe import GeometryProbe
from manifests.audit.report import Findings
from manifests.audit.shard_check import ShardTask
from manifests.audit.sources import AuditedSource
from manifests.corpus import PROGRAM, installed_version
from manifests.table import OK, SCHEMA, Row

_ROWS = 1000
"""Rows held as Python objects at once, beside those of shards in work."""
_NEEDED = [name for name in SCHEMA.names if name != "error"]


def check_contents(
    sources: Sequence[AuditedSource],
    found: Findings,
    circumstances: Sequence[str | float],
    sample: float,
    workers: int | None,
    address: str | None,
    probe: GeometryProbe | None,
    journal: str | None,
    progress: Callable[[int, int], None] | None,
) -> tuple[int, list[str]]:
    """The number of clips that were read, and what could not be checked."""
    corpora = [source.corpus for source in sources]
    hashes = [corpus.config_hash for corpus in corpora]
    path = journal or journal_path(*circumstances, *hashes, installed_version(PROGRAM))
    shards = sum(source.shards for source in sources)
    if not shards:
        return 0, []
    read = done = made = 0
    prints: list[tuple[str, bytes]] = []
    with contextlib.ExitStack() as stack:
        notes = stack.enter_context(open_journal(path))
        submit, room = stack.enter_context(_spread(corpora, probe, workers, address, shards))

        def resumed(task: ShardTask) -> Wait:
            known = notes.result(task, _state(task, sources))
            return submit(task) if known is None else lambda: known

        for task, result in in_order(_tasks(sources, sample), resumed, room * AHEAD):
            state = _state(task, sources)
            if notes.result(task, state) is None:
                notes.add(task, state, result)
            for finding in result.findings:
                found.take(finding)
            for check, count in result.counts.items():
                found.more(check, count - sum(finding.check == check for finding in result.findings))
            read += result.clips_read
            made += len(result.fingerprints)
            prints += result.fingerprints[: MOST_FINGERPRINTS - len(prints)]
            done += 1
            if progress is not None:
                progress(done, shards)
    check_fingerprints(prints, found)
    few = [f"clips alike by their pictures: the first {len(prints)} were compared"] if len(prints) < made else []
    return read, few


@contextlib.contextmanager
def _spread(
    corpora: Sequence[Any], probe: GeometryProbe | None, workers: int | None, address: str | None, shards: int
) -> Iterator[tuple[Submit, int]]:
    """Where shards are checked, and how many at once."""
    if address is not None:
        from manifests.audit.on_ray import on_ray

        with on_ray(address, corpora, probe) as (submit, cpus):
            yield submit, min(workers or cpus, cpus)
        return
    count = min(workers or os.cpu_count() or 1, shards)
    with in_processes(corpora, probe, count) as submit:
        yield submit, count


def _tasks(sources: Sequence[AuditedSource], sample: float) -> Iterator[ShardTask]:
    """One for each shard that has rows, in their order. Of each corpus at least the first clip is read."""
    for source in sources:
        first = None
        for shard, rows in itertools.groupby(_rows(source), key=lambda row: row["shard"]):
            if shard is not None and 0 <= shard < source.corpus.layout.shards:
                readable = tuple(row for row in rows if row["status"] == OK and _whole(row))
                always = str(readable[0]["key"]) if readable and first is None else None
                first = first or always
                yield ShardTask(source.number, source.storage.url, shard, readable, sample, always, source.prefix)


def _rows(source: AuditedSource) -> Iterator[Row]:
    for batch in source.batches(SCHEMA.names):
        for start in range(0, len(batch), _ROWS):
            yield from batch.batch.slice(start, _ROWS).to_pylist()


def _whole(row: Row) -> bool:
    """Whether nothing is missing of a row; the first pass has named those that are not."""
    members = row["members"]
    return (
        all(row[name] is not None for name in _NEEDED)
        and None not in row["labels"]
        and all(member is not None and None not in member.values() for member in members)
    )


def _state(task: ShardTask, sources: Sequence[AuditedSource]) -> str:
    """Stands for the shard's rows, size and time of change."""
    source = sources[task.source]
    try:
        info = source.storage.fs.info(f"{source.storage.url}/{source.corpus.layout.shard_path(task.shard)}")
    except OSError:
        return state_of(task, None, None)
    changed = [info.get(name) for name in ("mtime", "LastModified", "last_modified", "updated", "ETag", "created")]
    return state_of(task, info.get("size"), changed)
