"""Pictures of what a model does: beside the truth, and under each swapped condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from datagen.geometry.cameras import plucker_rays
from manifests.errors import UserError
from manifests.pictures import INK, MARGIN, PAPER, Picture, normals_picture
from training.data.batch import Sample
from training.swap_report import UNSWAPPED
from training.swaps import Trial

Array = NDArray[Any]

SMALL_PX: Final = 64
"""Pictures of this edge are shown three times as large; those of up to twice it, twice."""

_STRIP_HEIGHT, _FONT_SIZE = 17, 12


@dataclass(frozen=True)
class CaseVideos:
    """One case on a sheet."""

    title: str
    reference: Tensor
    """[3, H, W] in [-1, 1]."""
    videos: Mapping[str, Tensor]
    """[3, T, H, W] in [-1, 1], by their labels."""


def case_videos(trial: Trial, predicted: Mapping[str, Tensor]) -> CaseVideos:
    """A trial with the videos [3, T, H, W] predicted under each of its conditions: truth, generated, and swaps.

    The title names clip and partner; the partner's own video stands last, for its expression is the swapped one.
    """
    swapped = {f"swapped {name.replace('_', ' ')}": video for name, video in predicted.items() if name != UNSWAPPED}
    videos = {"truth": trial.truth.video, "generated": predicted[UNSWAPPED], **swapped}
    videos["the other clip"] = trial.given["expression"].driver.video
    return CaseVideos(f"{trial.truth.key[0]}, swapped with {trial.partner}", trial.truth.reference, videos)


def case_sheet(cases: Sequence[CaseVideos], frames: int = 3, scale: int | None = None) -> Image.Image:
    """A sheet of cases below each other: the reference, and a labelled column of up to ``frames`` moments a video.

    Pictures are enlarged ``scale`` times without smoothing; None: by their size. Raises UserError for no case.
    """
    if not cases:
        raise UserError("sheet: no cases given; give at least one")
    blocks = [_block(case, frames, scale or enlargement(*case.reference.shape[-2:])) for case in cases]
    page = Image.new("RGB", (max(block.shape[1] for block in blocks), sum(len(block) for block in blocks)), PAPER)
    y = 0
    for block in blocks:
        page.paste(Image.fromarray(block), (0, y))
        y += len(block)
    return page


def condition_videos(sample: Sample, driver: Sample, generated: Tensor) -> dict[str, Picture]:
    """uint8 [T, H, W, 3] of what a prediction was made from, beside the truth and what was generated.

    The samples have no batch axis. Normals are coloured as usual in camera space (x right, y down, z forward), rays
    by their unit direction in world space.
    """
    video = sample.video
    frames, height, width = video.shape[1:]
    rays = plucker_rays(sample.intrinsics.cpu().numpy(), sample.world_to_camera.cpu().numpy(), height, width)[:, :3]
    return {
        "reference": np.repeat(as_pictures(sample.reference[:, None]), frames, axis=0),
        "normals": normals_picture(np.moveaxis(sample.pose_normals.cpu().numpy(), 0, -1)),
        "rays": normals_picture(np.moveaxis(rays, 1, -1)),
        "driver": as_pictures(driver.video),
        "truth": as_pictures(video),
        "generated": as_pictures(generated),
    }


def video_grid(rows: Sequence[Mapping[str, Picture]], scale: int | None = None) -> Picture:
    """uint8 [T, H', W', 3]: a row of labelled videos uint8 [T, H, W, 3] for each case, side by side.

    Raises UserError where rows are missing, or videos differ in length or resolution.
    """
    shapes = {video.shape for row in rows for video in row.values()}
    if len(shapes) != 1:
        raise UserError(f"video grid: videos of shapes {sorted(shapes)}; all must have one length and resolution")
    frames, height, width, _ = shapes.pop()
    scale = scale or enlargement(height, width)
    columns = max(len(row) for row in rows)
    pitch = width * scale + MARGIN
    strips = [_strip([*row], pitch, columns) for row in rows]
    return np.stack([
        np.concatenate([
            part
            for strip, row in zip(strips, rows, strict=True)
            for part in (strip, _line([video[t] for video in row.values()], scale, columns))
        ])
        for t in range(frames)
    ])  # fmt: skip


def as_pictures(video: Tensor) -> Picture:
    """[3, T, H, W] in [-1, 1] -> uint8 [T, H, W, 3]."""
    pixels = ((video.detach().float().clamp(-1, 1) + 1) * 127.5).round().byte()
    return np.ascontiguousarray(pixels.permute(1, 2, 3, 0).cpu().numpy())


def enlargement(height: int, width: int) -> int:
    """How many times larger small pictures are shown."""
    return max(1, min(3, 4 - -(-min(height, width) // SMALL_PX)))


def _block(case: CaseVideos, frames: int, scale: int) -> Picture:
    shown = next(iter(case.videos.values())).shape[1]
    moments = sorted({int(t) for t in np.linspace(0, shown - 1, min(frames, shown)).round()})
    reference = as_pictures(case.reference[:, None])[0]
    columns = [as_pictures(video[:, moments]) for video in case.videos.values()]
    blank = np.full_like(reference, PAPER)
    pitch = reference.shape[1] * scale + MARGIN
    count = 1 + len(columns)
    lines = [
        _line([blank if k else reference, *(column[k] for column in columns)], scale, count)
        for k in range(len(moments))
    ]
    title = _strip([case.title], pitch * count, 1)
    return np.concatenate([title, _strip(["reference", *case.videos], pitch, count), *lines])


def _line(pictures: Sequence[Picture], scale: int, columns: int) -> Picture:
    """Pictures side by side, each pixel as a square of ``scale``, on paper for that many columns."""
    height, width = (edge * scale for edge in pictures[0].shape[:2])
    line = np.empty((height + MARGIN, columns * (width + MARGIN), 3), np.uint8)
    line[:] = PAPER
    for k, picture in enumerate(pictures):
        left = k * (width + MARGIN)
        line[:height, left : left + width] = picture.repeat(scale, axis=0).repeat(scale, axis=1)
    return line


def _strip(labels: Sequence[str], pitch: int, columns: int) -> Picture:
    """A line of text above each column."""
    strip = Image.new("RGB", (pitch * columns, _STRIP_HEIGHT), PAPER)
    pen, font = ImageDraw.Draw(strip), ImageFont.load_default(size=_FONT_SIZE)
    for k, label in enumerate(labels):
        pen.text((k * pitch + 2, 1), label, fill=INK, font=font)
    return np.asarray(strip)
