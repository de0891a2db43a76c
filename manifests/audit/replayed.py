"""Clips rendered again, and compared byte by byte with what is stored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np

from manifests.audit.probe import Rerender
from manifests.audit.report import Findings
from manifests.audit.sources import AuditedSource
from manifests.errors import UserError
from manifests.reader import CorpusReader
from manifests.table import SCHEMA, Row


def check_replays(
    reader: CorpusReader, sources: Sequence[AuditedSource], found: Findings, count: int, rerender: Rerender
) -> int:
    """Render `count` clips that are evenly spread over those with a sample, or all; the number of them.

    Raises UserError if this machine cannot render them.
    """
    replayed = 0
    for source, row in _chosen(sources, count):
        replayed += 1
        key = str(row["key"])
        try:
            stored = reader.members({**row, "source": source.number})
        except UserError as error:
            found.add("replay-differs", key, source.place("shards"), "members to compare with", error)
            continue
        made = {member.name: member.data for member in rerender(source.corpus.config, int(row["index"]), None)}
        for name in sorted(stored.keys() | made.keys()):
            if stored.get(name) != made.get(name):
                found.add("replay-differs", key, source.place(name), _said(made.get(name)), _said(stored.get(name)))
    return replayed


def _chosen(sources: Sequence[AuditedSource], count: int) -> Iterator[tuple[AuditedSource, Row]]:
    ends = list(accumulate(source.with_sample for source in sources))
    total = ends[-1]
    wanted = {int((i + 0.5) * total / count) for i in range(count)} if count < total else set(range(total))
    passed = 0
    for source in sources:
        for item in source.files:
            if item.path in source.damaged:
                continue
            inside = sum(int(rows.ok.sum()) for rows in source.read(item, ["status"]))
            if any(passed <= place < passed + inside for place in wanted):
                at = passed
                for rows in source.read(item, SCHEMA.names):
                    for number, row in enumerate(np.flatnonzero(rows.ok), at):
                        if number in wanted:
                            yield source, rows.batch.slice(int(row), 1).to_pylist()[0]
                    at += int(rows.ok.sum())
            passed += inside


def _said(data: bytes | None) -> str:
    return "no such member" if data is None else f"{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}"
