"""Pages of the manifest: rows that match a filter, few at a time, however many there are."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from manifests.browse.filters import COLUMNS, Condition, where
from manifests.database import open_database
from manifests.errors import UserError
from manifests.layout import MANIFEST
from manifests.reader import CorpusReader
from manifests.table import Row

PAGE_ROWS: Final = 60
MAX_VALUES: Final = 60
MAX_MEMBERS: Final = 1024
_MAX_LETTERS: Final = 1000
_MAX_LABELS: Final = 32
_COUNTS_KEPT: Final = 64


@dataclass(frozen=True)
class Page:
    """Rows `number` * `PAGE_ROWS` and after of the `total` that match; all columns but members."""

    number: int
    total: int
    rows: list[Row]

    @property
    def pages(self) -> int:
        return max(1, math.ceil(self.total / PAGE_ROWS))


@dataclass(frozen=True)
class ValueCount:
    """How many rows hold a value of a column."""

    value: str | None
    count: int


class Listing:
    """Asks the manifest as it is now, so a run that still writes is seen. One question at a time: each may use
    what memory the database has."""

    def __init__(self, reader: CorpusReader) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._counts: OrderedDict[tuple[str, ...], int] = OrderedDict()

    def page(self, conditions: Sequence[Condition], sort: str = "", descending: bool = False, number: int = 0) -> Page:
        """Raises UserError if a condition or the column to sort by is wrong, or the manifest is damaged.

        Rows are found by two columns alone; the others are then read where they lie.
        """
        matching = where(list(conditions))
        order = _order(sort, descending)
        total = self._count(matching)
        number = min(number, max(0, math.ceil(total / PAGE_ROWS) - 1))
        found = self._rows(
            f'SELECT source, "index" FROM clips WHERE {matching} {order} LIMIT {PAGE_ROWS} OFFSET {number * PAGE_ROWS}'
        )
        return Page(number, total, self._whole_rows([(row["source"], row["index"]) for row in found]))

    def values(self, column: str) -> list[ValueCount]:
        """The most frequent values of a text column. Raises UserError if it is none."""
        if COLUMNS.get(column) != "text":
            raise UserError(f"column {column[:60]!r}: not a text column; values are listed of those alone")
        rows = self._rows(
            f'SELECT left("{column}", {_MAX_LETTERS}) AS value, count(*) AS count FROM clips '
            f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {MAX_VALUES}"
        )
        return [ValueCount(row["value"], row["count"]) for row in rows]

    def row(self, source: int, key: str) -> Row | None:
        """The row of a clip with its members, or None. Raises UserError if two clips have that key."""
        columns = ", ".join([*_bounded_columns(), f"members[1:{MAX_MEMBERS}] AS members"])
        same_key = Condition("key", "is", key).sql()
        rows = self._rows(f"SELECT {columns} FROM clips WHERE source = {int(source)} AND {same_key} LIMIT 2")
        if len(rows) > 1:
            raise UserError(f"clip {key!r}: more than one row of the manifest has this key; audit the corpus")
        return rows[0] if rows else None

    def _count(self, matching: str) -> int:
        files = [str(sorted(source.storage.sizes(MANIFEST).items())) for source in self._reader.sources]
        asked = (matching, *files)
        count = self._counts.get(asked)
        if count is None:
            count = int(self._rows(f"SELECT count(*) AS count FROM clips WHERE {matching}")[0]["count"])
            with self._lock:
                self._counts[asked] = count
                while len(self._counts) > _COUNTS_KEPT:
                    self._counts.popitem(last=False)
        return count

    def _whole_rows(self, wanted: Sequence[tuple[int, int]]) -> list[Row]:
        sound = [(source, index) for source, index in wanted if index is not None]
        if not sound:
            return []
        of_source: dict[int, set[int]] = defaultdict(set)
        for source, index in sound:
            of_source[source].add(index)
        places = " OR ".join(
            f'(source = {source} AND "index" IN ({", ".join(map(str, sorted(indices)))}))'
            for source, indices in sorted(of_source.items())
        )
        found: dict[tuple[int, int], list[Row]] = defaultdict(list)
        columns = ", ".join(_bounded_columns())
        for row in self._rows(f"SELECT {columns} FROM clips WHERE {places} LIMIT {2 * PAGE_ROWS}"):
            found[row["source"], row["index"]].append(row)
        return [found[pair].pop(0) for pair in sound if found[pair]]

    def _rows(self, sql: str) -> list[Row]:
        with self._lock, open_database(clips=self._reader) as database:
            return [row for batch in database.select(sql) for row in batch.to_pylist()]


def _order(sort: str, descending: bool) -> str:
    """Nothing to sort by leaves the manifest's own order, which costs nothing."""
    if not sort:
        return ""
    if COLUMNS.get(sort) not in ("number", "text"):
        raise UserError(f"sort by {sort[:60]!r}: not a column of numbers or text; sort by another")
    return f'ORDER BY "{sort}" {"DESC" if descending else "ASC"} NULLS LAST, source, "index"'


def _bounded_columns() -> list[str]:
    """All columns but members; a stranger's manifest may hold texts of any length."""
    columns = []
    for name, kind in COLUMNS.items():
        if kind == "text":
            columns.append(f'left("{name}", {_MAX_LETTERS}) AS "{name}"')
        elif kind == "list":
            columns.append(f'[left(label, 100) for label in "{name}"[1:{_MAX_LABELS}]] AS "{name}"')
        elif kind == "number":
            columns.append(f'"{name}"')
    return columns
