"""One clip looked at before a corpus is paid for."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Mapping
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
    _check_writable(path)
    config = load_config(corpus, overrides)
    if not 0 <= clip < config.clips:
        raise UserError(f"--clip {clip}: the corpus has clips 0 to {config.clips - 1}")
    with _ctrl_c_ends_the_process():
        pipeline = Pipeline(config.to_json(), threads=os.cpu_count() or 1)
        sheet = clip_sheet(pipeline.render(_some_frames(pipeline.sample(clip))), COLUMNS)
    try:
        sheet.save(path)
    except OSError as error:
        raise UserError(f"--out {file}: cannot be written ({error.strerror}); choose another place") from error
    return str(path)


@contextlib.contextmanager
def _ctrl_c_ends_the_process() -> Iterator[None]:
    """Blender swallows the KeyboardInterrupt that Ctrl-C raises within a render. Nothing is half written here."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _check_writable(path: Path) -> None:
    """Find out before the rendering, not after it."""
    new = not path.exists()
    try:
        path.open("ab").close()
        if new:
            path.unlink()
    except OSError as error:
        raise UserError(f"--out {path}: cannot be written ({error.strerror}); choose another place") from error


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
