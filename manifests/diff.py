"""What two corpora do not share: configuration, software and clips."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from manifests.database import Database, open_database
from manifests.errors import UserError
from manifests.reader import CorpusReader
from manifests.table import QUARANTINED
from manifests.text import shown

LISTED: Final = 1000
"""Clips of each kind that are named; the counts say all."""
WINDOW: Final = 1_000_000
"""About how many clips are compared at once: so memory stays flat."""

_KINDS: Final = {
    "only in A": "a.key IS NOT NULL AND b.key IS NULL",
    "only in B": "a.key IS NULL AND b.key IS NOT NULL",
    "given up in A alone": "a.given_up > b.given_up",
    "given up in B alone": "a.given_up < b.given_up",
    "with other members": "a.members <> b.members OR a.rows <> b.rows",
}
"""How a clip may differ, as a condition over the two rows of one key; the first that holds counts."""


@dataclass(frozen=True)
class CorpusDiff:
    """What differs between the corpora or views A and B."""

    a: str
    b: str
    fields: dict[str, tuple[str | None, str | None]]
    """Dotted field of corpus.json -> its value in A and in B, as JSON; None where it is absent."""
    counts: dict[str, int]
    """How many clips differ, by kind: only in one, given up in one alone, with other members."""
    clips: dict[str, tuple[str, ...]]
    """The keys of the first `LISTED` clips of each kind."""

    @property
    def equal(self) -> bool:
        return not self.fields and not any(self.counts.values())


def diff(a: str, b: str) -> CorpusDiff:
    """Compare two corpora or views by their manifests: no shard is read.

    Two clips of one key are the same if they have members of the same names and SHA-256; where these lie in
    which shard does not matter. Raises UserError if either cannot be read.
    """
    readers = CorpusReader(a), CorpusReader(b)
    counts = dict.fromkeys(_KINDS, 0)
    clips: dict[str, list[str]] = {kind: [] for kind in _KINDS}
    last = max(source.corpus.clips for reader in readers for source in reader.sources)
    with open_database(a=readers[0], b=readers[1]) as database:
        step = max(1, WINDOW // max(len(reader.sources) for reader in readers))
        for start in range(0, last, step):
            for kind, count, keys in _differences(database, start, start + step, last):
                counts[kind] += count
                clips[kind] += keys[: LISTED - len(clips[kind])]
    try:
        fields = dict(_differing(_fields(readers[0]), _fields(readers[1])))
    except RecursionError:
        raise UserError(f"{a} or {b}: corpus.json is nested too deeply; put back a good copy") from None
    return CorpusDiff(readers[0].url, readers[1].url, fields, counts, {kind: tuple(clips[kind]) for kind in clips})


def format_diff(found: CorpusDiff, most: int = 10) -> str:
    """What differs, for a terminal, with the first `most` clips of each kind."""
    lines = [f"A  {found.a}", f"B  {found.b}"]
    if found.equal:
        lines.append("equal")
    for name, values in found.fields.items():
        there, here = ("absent" if value is None else shown(value) for value in values)
        lines.append(f"{name}: {there} in A, {here} in B")
    for kind, count in found.counts.items():
        if count:
            keys = found.clips[kind][:most]
            more = f" and {count - len(keys):,} more" if count > len(keys) else ""
            lines.append(f"{count:,} clips {kind}: {', '.join(keys)}{more}")
    return "\n".join(lines)


def _differences(database: Database, start: int, stop: int, last: int) -> Iterator[tuple[str, int, list[str]]]:
    """Kind, number and first keys of the clips with an index in [start, stop) that differ. The first and the last
    window have no end: a manifest may hold an index that no clip has."""
    bounds = [f'"index" >= {start}'] * (start > 0) + [f'"index" < {stop}'] * (stop < last)
    where = f"WHERE {' AND '.join(bounds)}" if bounds else ""
    kinds = " ".join(f"WHEN {condition} THEN '{kind}'" for kind, condition in _KINDS.items())
    sql = f"""
        WITH a AS ({_one_row_a_key("a", where)}), b AS ({_one_row_a_key("b", where)}),
        different AS (SELECT coalesce(a.key, b.key) AS key, CASE {kinds} END AS kind
                      FROM a FULL JOIN b ON a.key = b.key)
        SELECT kind, count(*) AS count, min(key, {LISTED}) AS keys FROM different WHERE kind IS NOT NULL GROUP BY kind
    """
    for batch in database.select(sql):
        for row in batch.to_pylist():
            yield row["kind"], row["count"], [shown(key) for key in row["keys"]]


def _one_row_a_key(table: str, where: str) -> str:
    """The rows of a table by key, each with a number for its members that no order of theirs changes. Several
    rows of one key, which no sound corpus has, count as one, so that a join of them stays small."""
    members = "list_sort(list_transform(members, lambda member: [member.name, member.sha256]))::VARCHAR"
    return f"""
        SELECT coalesce(key, '') AS key, count(*) AS rows,
               coalesce(bool_or(status = '{QUARANTINED}'), false) AS given_up,
               bit_xor(coalesce(md5_number({members}), 0)) AS members
        FROM {table} {where} GROUP BY ALL
    """


def _fields(reader: CorpusReader) -> dict[str, Any]:
    """What corpus.json says, or those of a view's corpora by their places in it."""
    contents = [dataclasses.asdict(source.corpus) for source in reader.sources]
    for content in contents:
        for name in ("name", "clips", "clips_per_shard"):
            content["config"].pop(name, None)  # the corpus has them too
    return {f"source {number}": content for number, content in enumerate(contents)} if reader.is_view else contents[0]


_Values = tuple[str | None, str | None]


def _differing(a: dict[str, Any], b: dict[str, Any], path: str = "") -> Iterator[tuple[str, _Values]]:
    """Fields that differ; one that is a whole section on one side alone is named once."""
    for name in sorted(a.keys() | b.keys()):
        field = shown(f"{path}{name}")
        if isinstance(a.get(name), dict) and isinstance(b.get(name), dict):
            yield from _differing(a[name], b[name], f"{field}.")
        else:
            values = _json(a, name), _json(b, name)
            if values[0] != values[1]:
                yield field, values


def _json(section: dict[str, Any], name: str) -> str | None:
    return json.dumps(section[name], sort_keys=True) if name in section else None
