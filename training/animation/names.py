"""What a command calls a clip of a corpus: ``CORPUS:faces-000000012.v01[3]``."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CLIP = re.compile(r"(?P<corpus>.+):(?P<key>[\w.-]*\w-\d{9,})(?:\.v(?P<view>\d\d))?(?:\[(?P<frame>\d{1,9})\])?")


@dataclass(frozen=True)
class ClipName:
    """A view of a clip, and a frame where one is asked for."""

    corpus: str
    key: str
    view: int = 0
    frame: int = 0


def parse_clip(text: str) -> ClipName | None:
    """None for what names no clip."""
    found = _CLIP.fullmatch(text)
    if found is None:
        return None
    return ClipName(found["corpus"], found["key"], int(found["view"] or 0), int(found["frame"] or 0))
