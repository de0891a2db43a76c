"""Markdown of anybody's text: tables in which neither HTML nor Markdown of theirs takes effect."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from manifests.text import printable


def table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Cells are escaped, titles are our own."""
    lines = [f"| {' | '.join(titles)} |", f"| {' | '.join('---' for _ in titles)} |"]
    lines += [f"| {' | '.join(escaped(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines)


def escaped(value: object, most: int = 300) -> str:
    """One cell or phrase."""
    text = f"{value:,}" if isinstance(value, int) else printable("" if value is None else str(value))
    text = text if len(text) <= most else f"{text[:most]}..."
    return re.sub(r"([\\`*_{}\[\]()#+!|~])", r"\\\1", html.escape(text, quote=False))
