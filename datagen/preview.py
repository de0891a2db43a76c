"""One clip looked at before a corpus is paid for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from datagen.config import load_config
from datagen.pipeline import Pipeline
from manifests.clip import Clip, Motion
from manifests.contact_sheet import clip_sheet, spread
from manifests.errors import UserError

COLUMNS = 8
MOVING = tuple(field.name for field in fields(Motion) if field.name != "shape")


def preview(corpus: str, clip: int, file: str, *, overrides: Mapping[str, str] | None = None) -> str:
    """Render some frames of clip `clip` of a configuration and draw all views and labels into a PNG file.

    Flow leads from one frame shown to the next. Returns the file's path. Raises UserError for what the user can mend.
    """
    path = Path(file)
    if path.suffix.lower() != ".png":
        raise UserError(f"--out {file}: the sheet is a PNG; give a name that ends in .png")
    if not path.parent.is_dir():
        raise UserError(f"--out {file}: there is no folder {path.parent}; make it first")
    config = load_config(corpus, overrides)
    if not 0 <= clip < config.clips:
        raise UserError(f"--clip {clip}: the corpus has clips 0 to {config.clips - 1}")
    pipeline = Pipeline(config.to_json(), threads=os.cpu_count() or 1)
    sheet = clip_sheet(pipeline.render(_some_frames(pipeline.sample(clip))), COLUMNS)
    try:
        sheet.save(path)
    except OSError as error:
        raise UserError(f"--out {file}: cannot be written ({error.strerror}); choose another place") from error
    return str(path)


def _some_frames(clip: Clip) -> Clip:
    """The clip with no more frames than a sheet shows: rendering all would cost far more than a look."""
    shown = spread(clip.spec.frames, COLUMNS)
    moving = {name: getattr(clip.motion, name)[shown] for name in MOVING}
    cameras = clip.cameras
    return Clip(
        replace(clip.spec, frames=len(shown)),
        replace(clip.motion, **moving),
        replace(
            cameras,
            intrinsics=cameras.intrinsics[:, shown],
            world_to_camera=cameras.world_to_camera[:, shown],
        ),
    )
