"""A corpus looked at before it is paid for: one clip's views and labels, or a gallery of its people."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from datagen.config import CorpusConfig, load_config
from datagen.pipeline import Pipeline
from datagen.sampling.streams import rng
from manifests.clip import Clip, ClipSpec, Motion
from manifests.contact_sheet import clip_sheet, spread
from manifests.decode import decode
from manifests.errors import UserError
from manifests.pictures import Tile, gallery

COLUMNS = 8
MOVING = tuple(field.name for field in fields(Motion) if field.name != "shape")
_EDGE_STEP = 8
"""Edges of pictures are multiples of it."""
MOST_PEOPLE, SMALLEST_TILE, LARGEST_TILE = 400, 16, 2048
MOST_PIXELS = 200_000_000


def preview(corpus: str, clip: int, file: str, *, overrides: Mapping[str, str] | None = None) -> str:
    """Render some frames of clip `clip` of a configuration and draw all views and labels into a PNG or JPEG file.

    Flow leads from one frame shown to the next. Returns the file's path. Raises UserError for what the user can mend.
    """
    path = _output(file)
    config = load_config(corpus, overrides)
    if not 0 <= clip < config.clips:
        raise UserError(f"--clip {clip}: the corpus has clips 0 to {config.clips - 1}")
    with _ctrl_c_ends_the_process():
        pipeline = Pipeline(config.to_json(), threads=os.cpu_count() or 1)
        whole = pipeline.sample(clip)
        shown = spread(whole.spec.frames, COLUMNS)
        sheet = clip_sheet(pipeline.render(_part(whole, shown, list(range(whole.spec.views)))), COLUMNS)
    _save(sheet, path)
    return str(path)


def preview_people(
    corpus: str, count: int, file: str, *, size: int = 256, overrides: Mapping[str, str] | None = None
) -> str:
    """Render `count` random people of a configuration, a clip each, and draw them into one PNG or JPEG file.

    Of a clip the first frame is shown, from the view nearest to the face's front, `size` pixels wide and rendered so
    unless `overrides` has another resolution. Who is chosen follows from the corpus' seed. Returns the file's path.
    Raises UserError for what the user can mend.
    """
    path = _output(file)
    if not SMALLEST_TILE <= size <= LARGEST_TILE:
        raise UserError(f"--size {size}: must be between {SMALLEST_TILE} and {LARGEST_TILE}")
    config = load_config(corpus, overrides)
    if "resolution" not in (overrides or {}):
        config = _as_wide_as(config, size)
    most = min(config.identities, config.clips, MOST_PEOPLE)
    if not 1 <= count <= most:
        raise UserError(f"--grid {count}: must be between 1 and {most}, the people that can be shown")
    if count * size * size > MOST_PIXELS:
        raise UserError(
            f"--grid {count} --size {size}: the sheet would have over 200 megapixels; show fewer, or smaller"
        )
    tiles: list[Tile] = []
    with _ctrl_c_ends_the_process(), _progress(count) as advance:
        pipeline = Pipeline(config.to_json(), threads=os.cpu_count() or 1)
        for index in _some_people(config, count):
            clip = pipeline.sample(index)
            members = pipeline.render(_part(clip, [0], [_most_frontal(clip)]))
            (data,) = (member for member in members if ".rgb." in member.name)
            tiles.append(Tile(decode(data.name, data.data)[0], _caption(clip.spec)))
            advance()
    _save(gallery(tiles, size), path)
    return str(path)


def _as_wide_as(config: CorpusConfig, width: int) -> CorpusConfig:
    """The configuration with pictures of nearly the same shape, at least ``width`` pixels wide."""
    wide, high = config.resolution
    edges = (-(-edge // _EDGE_STEP) * _EDGE_STEP for edge in (width, width * high // wide))
    return config.model_copy(update={"resolution": tuple(edges)})


def _some_people(config: CorpusConfig, count: int) -> list[int]:
    """Clips of so many different identities."""
    generator = rng(config.seed, "preview.people")
    people = min(config.identities, config.clips)
    chosen: dict[int, int] = {}
    while len(chosen) < count:
        identity, turn = int(generator.random() * people), generator.random()
        clips = (config.clips - 1 - identity) // config.identities + 1
        chosen.setdefault(identity, identity + config.identities * int(turn * clips))
    return list(chosen.values())


def _most_frontal(clip: Clip) -> int:
    """The view whose camera looks most against the direction of the face, in the first frame."""
    from scipy.spatial.transform import Rotation

    motion, cameras = clip.motion, clip.cameras
    turn = Rotation.from_rotvec(motion.root[0]) * Rotation.from_rotvec(motion.neck[0])
    face = turn.apply([0.0, 0.0, 1.0])
    return int(np.argmin(cameras.world_to_camera[:, 0, 2, :3] @ face))


def _caption(spec: ClipSpec) -> tuple[str, ...]:
    look = spec.appearance
    worn = [look.facial_hair, look.glasses, look.head_covering]
    style = [look.hair_style, *(name for name in worn if name != "none"), look.clothing]
    return spec.key, f"{spec.traits.age_years:.0f} years, {spec.template}", ", ".join(style).replace("_", " ")


def _output(file: str) -> Path:
    """Where the sheet goes, found to be possible before the rendering, not after it."""
    path = Path(file)
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UserError(f"--out {file}: the sheet is a PNG or JPEG; give a name that ends in .png or .jpg")
    if not path.parent.is_dir():
        raise UserError(f"--out {file}: there is no folder {path.parent}; make it first")
    _check_writable(path)
    return path


def _save(sheet: Image.Image, path: Path) -> None:
    try:
        sheet.save(path, quality=90)
    except OSError as error:
        raise UserError(f"--out {path}: cannot be written ({error.strerror}); choose another place") from error


@contextlib.contextmanager
def _progress(count: int) -> Iterator[Callable[[], None]]:
    """A bar with the time left, on a terminal alone."""
    console = Console(file=sys.stderr)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("people, left:"), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, refresh_per_second=2) as bar:
        task = bar.add_task("", total=count)
        yield lambda: bar.advance(task)


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


def _part(clip: Clip, frames: list[int], views: list[int]) -> Clip:
    """Some frames and views of a clip: rendering all would cost far more than a look."""
    cameras = clip.cameras
    return Clip(
        replace(clip.spec, frames=len(frames), views=len(views)),
        replace(clip.motion, **{name: getattr(clip.motion, name)[frames] for name in MOVING}),
        replace(
            cameras,
            intrinsics=cameras.intrinsics[views][:, frames],
            world_to_camera=cameras.world_to_camera[views][:, frames],
        ),
    )
