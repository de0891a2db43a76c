"""HTML and SVG in which text cannot become markup: what is not built by `tag` is escaped by it."""

from __future__ import annotations

import html
from collections.abc import Iterable

from manifests.text import printable


class Html(str):
    """Markup that may stand in a page as it is."""


def tag(element: str, *content: str | int, **attributes: object) -> Html:
    """An element. Content that is no `Html` is escaped, and so is every attribute's value.

    Attributes are written with ``_`` for ``-`` and a ``_`` behind Python's own words; those that are None are
    left out.
    """
    written = (
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(_text(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    opened = f"<{element}{''.join(written)}>"
    return Html(opened if element in _VOID else f"{opened}{join(content)}</{element}>")


def join(parts: Iterable[str | int]) -> Html:
    """Several pieces of a page, one after the other."""
    return Html("".join(part if isinstance(part, Html) else html.escape(_text(part)) for part in parts))


def _text(value: object) -> str:
    """Coordinates with no more digits than a screen shows, and no character that XML forbids."""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return "\n".join(printable(line) for line in str(value).split("\n"))


_VOID = {"br", "img", "link", "meta"}
