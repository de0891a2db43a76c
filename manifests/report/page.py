"""The page itself: its head, with a policy that lets nothing in from outside, and its sections."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from manifests.report.html import Html, join, tag


@dataclass(frozen=True)
class Section:
    """A titled part of the page, and its name in links."""

    name: str
    title: str
    content: Html


def page(title: str, lead: Html, parts: Sequence[Section]) -> str:
    """A whole HTML document without scripts. The policy admits its own style sheet and its own pictures only."""
    style = resources.files("manifests.report").joinpath("report.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{title}: corpus report"),
        tag("style", Html(style)),
    )
    links = tag("nav", *(tag("a", part.title, href=f"#{part.name}") for part in parts))
    written = (tag("section", tag("h2", part.title), part.content, id=part.name) for part in parts)
    header = tag("header", tag("h1", title), lead)
    body = tag("body", tag("main", header, links, join(written)))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"
