"""Small pictures of clips as data: URIs, bounded in number and size whatever the corpus holds."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from manifests.contact_sheet import spread
from manifests.decode import read_frames, read_json
from manifests.errors import UserError
from manifests.pictures import Picture
from manifests.reader import CorpusReader
from manifests.report.tally import Picked
from manifests.text import shown

TILE: Final = (320, 224)
"""Largest width and height of one picture, in pixels."""
TILES: Final = 4
_MOST_MEMBER_BYTES: Final = 256 << 20
_MOST_PICTURE_BYTES: Final = 128 << 20
_MOST_RECORD_BYTES: Final = 1 << 20
_MOST_FRAMES: Final = 1 << 12
_QUALITY: Final = 82

_COLOUR: Final = re.compile(r"v\d\d\.rgb\.mp4")


@dataclass(frozen=True)
class Thumbnail:
    """One picture file."""

    uri: str
    width: int
    height: int


class UnreadableError(Exception):
    """A clip that cannot be shown; its text says why, and names no folder."""


def strip(reader: CorpusReader, picked: Picked) -> Thumbnail:
    """Moments of a clip side by side, of its first two views. Raises UnreadableError."""
    views = _views(picked)[:2]
    moments = spread(_frames(picked), TILES // len(views))
    return _encoded([_tile(picture) for view in views for picture in _pictures(reader, picked, view, moments)])


def still(reader: CorpusReader, picked: Picked) -> Thumbnail:
    """The middle of a clip in its first view. Raises UnreadableError."""
    return _encoded([_tile(p) for p in _pictures(reader, picked, _views(picked)[0], [_frames(picked) // 2])])


def head_licence(reader: CorpusReader, picked: Picked) -> str:
    """The licence of a clip's head, from its record. Raises UnreadableError."""
    data = _member(reader, picked, "spec.json", _MOST_RECORD_BYTES)
    try:
        head = read_json("spec.json", data).get("head")
    except UserError as error:
        raise UnreadableError(f"{picked.key}: {shown(str(error))}") from None
    if not isinstance(head, dict) or not isinstance(head.get("licence"), str):
        raise UnreadableError(f"{picked.key}.spec.json names no licence")
    return shown(head["licence"])


def _views(picked: Picked) -> list[str]:
    names = [str(member["name"]) for member in picked.row["members"] or [] if member]
    views = sorted(name for name in set(names) if _COLOUR.fullmatch(name))
    if not views:
        raise UnreadableError(f"{picked.key} has no colour")
    return views


def _frames(picked: Picked) -> int:
    return max(1, min(picked.row["frames"] or 1, _MOST_FRAMES))


def _pictures(reader: CorpusReader, picked: Picked, view: str, moments: Sequence[int]) -> list[Picture]:
    data = _member(reader, picked, view, _MOST_MEMBER_BYTES)
    try:
        return [read_frames(view, data, t, t + 1, _MOST_PICTURE_BYTES)[0] for t in moments]
    except UserError as error:
        raise UnreadableError(f"{picked.key}: {shown(str(error))}") from None


def _member(reader: CorpusReader, picked: Picked, name: str, most: int) -> bytes:
    members = [member for member in picked.row["members"] or [] if member and member["name"] == name]
    try:
        if len(members) != 1 or not 0 <= members[0]["size"] <= most:
            raise UnreadableError(f"{picked.key}.{name} is missing, or too large to be shown")
        return reader.members({**picked.row, "members": members})[name]
    except (UserError, TypeError, ValueError, OSError) as error:
        folder = f"{reader.sources[picked.source].url}/"
        raise UnreadableError(shown(str(error).replace(folder, ""))) from None


def _tile(picture: Picture) -> Picture:
    image = Image.fromarray(picture)
    image.thumbnail(TILE, Image.Resampling.LANCZOS)
    return np.asarray(image)


def _encoded(tiles: Sequence[Picture]) -> Thumbnail:
    height = min(tile.shape[0] for tile in tiles)
    page = np.concatenate([tile[:height] for tile in tiles], axis=1)
    content = io.BytesIO()
    Image.fromarray(page).save(content, "WEBP", quality=_QUALITY, method=4)
    data = base64.b64encode(content.getvalue()).decode()
    return Thumbnail(f"data:image/webp;base64,{data}", page.shape[1], page.shape[0])
