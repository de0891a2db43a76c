"""SQL over a manifest, which is the table `clips`."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

import pyarrow as pa

from manifests.database import open_database
from manifests.errors import UserError
from manifests.reader import CorpusReader

Style = Literal["table", "csv", "json"]

MAX_BYTES: Final = 256 << 20
"""Largest result that is held."""

SHOWN_ROWS: Final = 200
"""Rows of a table for a terminal; csv and json have them all."""
_SHOWN_LETTERS: Final = 60


def query(out: str, sql: str) -> pa.Table:
    """The result of one SELECT over the table `clips`: all rows of a corpus folder or URL, or of a view, with the
    columns of `READER_SCHEMA`.

    Only the columns, and of them the row groups, that the SELECT needs are read. It can read nothing but that
    table, and write nothing. Raises UserError if there is no corpus, its manifest is damaged, the SQL is wrong
    or no SELECT, or the result is larger than `MAX_BYTES`.
    """
    batches, size = [], 0
    with open_database(clips=CorpusReader(out)) as database:
        for batch in database.select(sql):
            size += batch.nbytes
            if size > MAX_BYTES:
                raise UserError(
                    f"SQL: the result is larger than {MAX_BYTES >> 20} MiB; ask for fewer columns, or add a LIMIT"
                )
            batches.append(batch)
    return pa.Table.from_batches(batches)


def format_table(table: pa.Table, style: Style = "table") -> str:
    """A result as text: columns in line and the first `SHOWN_ROWS` rows, or all rows as CSV (RFC 4180, lists
    and structs as JSON within), or as a JSON array of objects."""
    if style == "csv":
        return _as_csv(table)
    if style == "json":
        return _as_json(table)
    return _as_text(table)


def _as_text(table: pa.Table) -> str:
    cells = [[_cell(name) for name in table.column_names]]
    cells += [[_cell(value) for value in row] for row in _rows(table.slice(0, SHOWN_ROWS))]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    to_right = [_is_number(kind) for kind in table.schema.types]

    def line(row: list[str]) -> str:
        aligned = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, to_right, strict=True)
        )
        return "  ".join(aligned).rstrip()

    lines = [line(cells[0]), "  ".join("-" * width for width in widths), *map(line, cells[1:])]
    more = len(table) - SHOWN_ROWS
    if more > 0:
        lines.append(f"... and {more:,} more rows; --format csv or json prints all")
    return "\n".join(lines)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _as_csv(table: pa.Table) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    for row in _rows(table):
        writer.writerow([json.dumps(value) if isinstance(value, (list, dict)) else value for value in row])
    return text.getvalue().rstrip("\n")


def _as_json(table: pa.Table) -> str:
    lines = (json.dumps(dict(zip(table.column_names, row, strict=True)), allow_nan=False) for row in _rows(table))
    return "[\n" + ",\n".join(lines) + "\n]"


def _rows(table: pa.Table) -> Iterator[list[Any]]:
    """Rows of plain values; columns may share a name, as in SQL they may."""
    for batch in table.to_batches(max_chunksize=10_000):
        columns = (map(_plain, column.to_pylist()) for column in batch.columns)
        yield from map(list, zip(*columns, strict=True))


def _plain(value: Any) -> Any:
    """What JSON can hold: sums of integers come as decimals, and there are dates, intervals and bytes."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return str(value) if isinstance(value, timedelta) or not isinstance(value, (str, int, type(None))) else value


def _cell(value: Any) -> str:
    """One cell of a terminal: no escape sequence of a stranger's text gets there."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else str(value)
    text = _printable(text)
    return text if len(text) <= _SHOWN_LETTERS else f"{text[: _SHOWN_LETTERS - 1]}…"


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
