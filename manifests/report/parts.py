"""Pieces that several sections are made of."""

from __future__ import annotations

from collections.abc import Sequence

from manifests.report.html import Html, tag
from manifests.report.numbers import whole


def note(text: str, kind: str = "") -> Html:
    """A line aside; `kind` may be ``warning`` or ``error``."""
    return tag("p", text, class_=f"aside {kind}".strip())


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int] = ()) -> Html:
    """Rows of cells; `numeric` are the columns set flush right."""

    def row(cell: str, values: Sequence[str]) -> Html:
        return tag(
            "tr", *(tag(cell, value, class_="number" if i in numeric else None) for i, value in enumerate(values))
        )

    body = tag("tbody", *(row("td", values) for values in rows))
    return tag("div", tag("table", tag("thead", row("th", head)), body), class_="wide")


def figure(title: str, note: str, chart: Html) -> Html:
    """A chart below its title and a line about it."""
    return tag("figure", tag("figcaption", tag("b", title), tag("small", note)), chart)


def plural(count: int, name: str) -> str:
    """``1 clip``, ``2 clips``."""
    return f"1 {name}" if count == 1 else f"{whole(count)} {name}s"
