"""Conditions that a person picks on the page, as SQL made of known columns, known operators and quoted values."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
from duckdb import ConstantExpression

from manifests.errors import UserError
from manifests.reader import READER_SCHEMA

MAX_CONDITIONS: Final = 16
MAX_VALUE_LETTERS: Final = 200


@dataclass(frozen=True)
class Condition:
    """One line of the filter: column, operator and value as the page sends them."""

    column: str
    operator: str
    value: str

    def sql(self) -> str:
        """One expression. Raises UserError if the column, operator or value is none that there is."""
        kind = COLUMNS.get(self.column)
        if kind is None:
            raise UserError(f"column {_shown(self.column)}: not in the manifest; take one of {', '.join(COLUMNS)}")
        made = OPERATORS[kind].get(self.operator)
        if made is None:
            operators = ", ".join(OPERATORS[kind])
            raise UserError(f"operator {_shown(self.operator)}: not for {self.column}; take one of {operators}")
        if self.operator in WITHOUT_VALUE:
            return made(f'"{self.column}"', "")
        return made(f'"{self.column}"', self._literal(kind))

    def _literal(self, kind: str) -> str:
        """The value as DuckDB itself quotes it."""
        if len(self.value) > MAX_VALUE_LETTERS or "\0" in self.value:
            raise UserError(f"value for {self.column}: too long, or not text; give up to {MAX_VALUE_LETTERS} letters")
        return str(ConstantExpression(self._number() if kind == "number" else self.value))

    def _number(self) -> int | float:
        try:
            number = float(self.value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise UserError(f"value {_shown(self.value)} for {self.column}: not a number; give one such as 0.5")
        return int(number) if number.is_integer() and abs(number) < 1 << 53 else number


def parse_conditions(text: str) -> list[Condition]:
    """``[[column, operator, value], ...]`` as JSON, all of them texts. Raises UserError for anything else."""
    try:
        found = json.loads(text or "[]")
    except (ValueError, RecursionError):
        found = None
    if not _are_triples(found):
        raise UserError(f"where: must be up to {MAX_CONDITIONS} of [column, operator, value] as JSON")
    return [Condition(*item) for item in found]


def where(conditions: list[Condition]) -> str:
    """All of them, as what follows WHERE."""
    return " AND ".join(f"({condition.sql()})" for condition in conditions) or "true"


def _are_triples(found: object) -> bool:
    return (
        isinstance(found, list)
        and len(found) <= MAX_CONDITIONS
        and all(
            isinstance(item, list) and len(item) == 3 and all(isinstance(part, str) for part in item) for item in found
        )
    )


def _shown(text: str) -> str:
    return repr(text[:60])


def _kind(field: pa.DataType) -> str:
    if pa.types.is_list(field):
        return "members" if pa.types.is_struct(field.value_type) else "list"
    return "text" if pa.types.is_string(field) else "number"


COLUMNS: Final[Mapping[str, str]] = {field.name: _kind(field.type) for field in READER_SCHEMA}
"""Every column of the manifest, and its kind."""

_Make = Callable[[str, str], str]

_MISSING: Final[dict[str, _Make]] = {
    "is missing": lambda column, _: f"{column} IS NULL",
    "is there": lambda column, _: f"{column} IS NOT NULL",
}
_NAMES: Final = "[m.name for m in {}]"

OPERATORS: Final[Mapping[str, Mapping[str, _Make]]] = {
    "number": {
        "=": lambda column, value: f"{column} = {value}",
        "≠": lambda column, value: f"{column} IS DISTINCT FROM {value}",
        "<": lambda column, value: f"{column} < {value}",
        "≤": lambda column, value: f"{column} <= {value}",
        ">": lambda column, value: f"{column} > {value}",
        "≥": lambda column, value: f"{column} >= {value}",
        **_MISSING,
    },
    "text": {
        "is": lambda column, value: f"{column} = {value}",
        "is not": lambda column, value: f"{column} IS DISTINCT FROM {value}",
        "contains": lambda column, value: f"contains({column}, {value})",
        "starts with": lambda column, value: f"starts_with({column}, {value})",
        **_MISSING,
    },
    "list": {
        "has": lambda column, value: f"list_contains({column}, {value})",
        "has not": lambda column, value: f"NOT coalesce(list_contains({column}, {value}), false)",
        **_MISSING,
    },
    "members": {
        "has": lambda column, value: f"list_contains({_NAMES.format(column)}, {value})",
        "has not": lambda column, value: f"NOT coalesce(list_contains({_NAMES.format(column)}, {value}), false)",
        **_MISSING,
    },
}
"""By kind of column: what the page offers, and the SQL it stands for."""

WITHOUT_VALUE: Final = frozenset(_MISSING)
