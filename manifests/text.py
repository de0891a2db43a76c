"""Anybody's text, made fit to be shown: no control character of a stranger's corpus reaches a terminal or a page."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with a space for each character that does not print, line ends included."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def shown(value: object, most: int = 200) -> str:
    """A value as one line of at most so many characters."""
    try:
        text = value if isinstance(value, str) else str(value)
    except RecursionError:
        text = "a deeply nested value"
    # Only what may be shown is looked at: a stranger's text can be of any length.
    line = " ".join(printable(text[: 4 * most]).split())
    return line if len(line) <= most else f"{line[: most - 3]}..."
