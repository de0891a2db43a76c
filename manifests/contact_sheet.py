"""Contact sheets: what a clip, or a whole corpus, looks like at a glance."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from PIL import Image

from manifests import pictures
from manifests.clip import Member
from manifests.decode import decode
from manifests.pictures import Picture, Row
from manifests.reader import CorpusReader
from manifests.storage import Storage
from manifests.table import OK

CONTACT_SHEET = "contact_sheet.png"

MOST_PICTURE_BYTES, MOST_SHEET_BYTES = 12 << 20, 256 << 20
"""Of one frame and of all that are shown: a stranger's corpus may hold any."""

_DRAW: dict[str, Callable[[Any], Picture]] = {
    "rgb": lambda picture: picture,
    "alpha": pictures.mask_picture,
    "pose_normals": pictures.normals_picture,
    "normals": pictures.normals_picture,
    "depth": pictures.depth_picture,
    "segmentation": pictures.segmentation_picture,
    "uv": pictures.uv_picture,
    "flow": pictures.flow_picture,
}


def clip_sheet(members: Iterable[Member], columns: int = 8) -> Image.Image:
    """One clip: each view's colour, landmarks and labels, `columns` frames spread over its length."""
    sample = {member.name: member.data for member in members}
    landmarks = decode("landmarks.npz", sample["landmarks.npz"])
    rows: list[Row] = []
    for name, data in sample.items():
        view, _, rest = name.partition(".")
        label = rest.partition(".")[0]
        if label not in _DRAW:
            continue
        frames = decode(name, data)
        shown = spread(len(frames), columns)
        rows.append(Row(f"{view} {label}", [_DRAW[label](frames[t]) for t in shown]))
        if label == "rgb":
            v = int(view[1:])
            points, visible = landmarks["pixels"][v], landmarks["visible"][v]
            drawn = [pictures.landmarks_picture(frames[t], points[t], visible[t]) for t in shown]
            rows.append(Row(f"{view} landmarks (green visible, red hidden)", drawn))
    return pictures.sheet(rows)


def corpus_sheet(reader: CorpusReader, clips: int = 12, frames: int = 4) -> bytes | None:
    """The first clips of a corpus as a PNG, a row each: up to two views, `frames` moments. None if there is no clip."""
    rows = []
    for row in _finished(reader, clips):
        sample = reader.members(row, lambda name: ".rgb." in name)
        tiles: list[Picture] = []
        for name in sorted(sample)[:2]:
            moments = spread(row["frames"], frames)
            tiles += [decode(name, sample[name], t, t + 1, MOST_PICTURE_BYTES)[0] for t in moments]
        caption = f"{row['key']}  {row['recipe']}  identity {row['identity']}  {row['split']}  {row['template']}"
        rows.append(Row(caption, tiles))
        if sum(tile.nbytes for shown in rows for tile in shown.pictures) > MOST_SHEET_BYTES:
            break
    if not rows:
        return None
    data = io.BytesIO()
    pictures.sheet(rows).save(data, "PNG")
    return data.getvalue()


def write_corpus_sheet(out: str) -> str | None:
    """Draw the corpus sheet into the corpus folder. Returns where it lies, or None if there is no clip.

    Raises UserError if the folder cannot be read or written.
    """
    storage = Storage(out)
    with storage.problems():
        picture = corpus_sheet(CorpusReader(storage))
        if picture is None:
            return None
        storage.write(CONTACT_SHEET, picture)
    return f"{storage.url}/{CONTACT_SHEET}"


def spread(count: int, wanted: int) -> list[int]:
    """Up to `wanted` indices, first and last among them, evenly over `count`."""
    return sorted({int(i) for i in np.linspace(0, count - 1, min(count, wanted)).round()})


def _finished(reader: CorpusReader, clips: int) -> Iterable[dict[str, Any]]:
    return itertools.islice((row for row in reader.rows() if row["status"] == OK), clips)
