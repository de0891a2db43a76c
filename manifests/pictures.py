"""Labels as pictures a person can look at, and sheets of them."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from manifests.conventions import SEGMENTATION_CLASSES

Picture = NDArray[np.uint8]
"""[H, W, 3], display-referred RGB."""

MARGIN, CAPTION_HEIGHT = 4, 16
PAPER, INK = (24, 24, 26), (220, 220, 220)


@dataclass(frozen=True)
class Row:
    """One captioned line of equally large pictures."""

    caption: str
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Tile:
    """One picture with lines of text beneath it."""

    picture: Picture
    lines: tuple[str, ...]


def gallery(tiles: Sequence[Tile], size: int) -> Image.Image:
    """Tiles in a grid wider than tall, each picture `size` pixels wide."""
    small = [Image.fromarray(tile.picture) for tile in tiles]
    small = [
        image.resize((size, round(image.height * size / image.width)), Image.Resampling.LANCZOS) for image in small
    ]
    edge = math.sqrt(len(tiles))
    columns = min(range(math.ceil(edge), math.ceil(2 * edge) + 1), key=lambda wide: -len(tiles) % wide)  # fewest gaps
    font = ImageFont.load_default(size=max(8, min(11, size // 16)))
    line_height = max(10, min(14, size // 13))
    wide = size + MARGIN
    high = max(image.height for image in small) + line_height * max(len(tile.lines) for tile in tiles) + 2 * MARGIN
    page = Image.new("RGB", (MARGIN + columns * wide, MARGIN + -(-len(tiles) // columns) * high), PAPER)
    for k, (tile, image) in enumerate(zip(tiles, small, strict=True)):
        cell = Image.new("RGB", (size, high), PAPER)  # so that a long line is cut at its own picture
        cell.paste(image)
        pen = ImageDraw.Draw(cell)
        for row, line in enumerate(tile.lines):
            pen.text((0, image.height + 2 + row * line_height), line, fill=INK, font=font)
        page.paste(cell, (MARGIN + k % columns * wide, MARGIN + k // columns * high))
    return page


def sheet(rows: Sequence[Row]) -> Image.Image:
    """Rows of pictures under each other, each with its caption above it."""
    width = max(MARGIN + sum(p.shape[1] + MARGIN for p in row.pictures) for row in rows)
    height = MARGIN + sum(CAPTION_HEIGHT + row.pictures[0].shape[0] + MARGIN for row in rows)
    page = Image.new("RGB", (width, height), PAPER)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=12)
    y = MARGIN
    for row in rows:
        pen.text((MARGIN, y), row.caption, fill=INK, font=font)
        x, y = MARGIN, y + CAPTION_HEIGHT
        for picture in row.pictures:
            page.paste(Image.fromarray(picture), (x, y))
            x += picture.shape[1] + MARGIN
        y += row.pictures[0].shape[0] + MARGIN
    return page


def mask_picture(mask: NDArray[np.uint8]) -> Picture:
    """[H, W] coverage -> grey."""
    return np.repeat(mask[..., None], 3, axis=-1)


def normals_picture(normals: NDArray[np.floating]) -> Picture:
    """[H, W, 3] unit normals -> the usual (n + 1) / 2 colours; black where there is no normal."""
    hit = np.any(normals != 0, axis=-1, keepdims=True)
    return np.where(hit, np.rint((normals + 1) * 127.5), 0).astype(np.uint8)


def depth_picture(depth: NDArray[np.floating]) -> Picture:
    """[H, W] metres -> near white, far dark grey; black where nothing was hit."""
    hit = depth > 0
    if not hit.any():
        return np.zeros((*depth.shape, 3), np.uint8)
    near, far = float(depth[hit].min()), float(depth[hit].max())
    grey = 255 - 200 * (depth - near) / max(far - near, 1e-6)
    return mask_picture(np.where(hit, grey, 0).astype(np.uint8))


def segmentation_picture(segmentation: NDArray[np.uint8]) -> Picture:
    """[H, W] class indices -> one colour a class, black for the background."""
    return _CLASS_COLOURS[segmentation]


def uv_picture(uv: NDArray[np.floating]) -> Picture:
    """[H, W, 2] texture coordinates -> red and green."""
    return np.rint(np.concatenate([uv, np.zeros_like(uv[..., :1])], -1).clip(0, 1) * 255).astype(np.uint8)


def flow_picture(flow: NDArray[np.floating]) -> Picture:
    """[H, W, 2] pixels -> hue by direction, brightness by length against the frame's longest."""
    length = np.linalg.norm(flow, axis=-1)
    angle = np.arctan2(flow[..., 1], flow[..., 0]) / (2 * np.pi) % 1
    bins = np.array([colorsys.hsv_to_rgb(i / 64, 1, 255) for i in range(64)])
    hue = bins[(angle * 64).astype(int) % 64]
    return (hue * (length / max(float(length.max()), 1e-6))[..., None]).astype(np.uint8)


def landmarks_picture(colour: Picture, points: NDArray[np.floating], visible: NDArray[np.bool_]) -> Picture:
    """Landmarks [N, 2] in pixels drawn on a picture: green where visible, red where hidden."""
    image = Image.fromarray(colour)
    pen = ImageDraw.Draw(image)
    radius = max(0.5, colour.shape[1] / 256)
    for (x, y), seen in zip(points, visible, strict=True):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(0, 255, 80) if seen else (255, 40, 40))
    return np.asarray(image)


def _class_colours() -> NDArray[np.uint8]:
    golden_ratio = 0.618034
    hues = [colorsys.hsv_to_rgb(i * golden_ratio % 1, 0.55, 0.95) for i in range(len(SEGMENTATION_CLASSES))]
    return np.rint(np.array([(0, 0, 0), *hues[1:]]) * 255).astype(np.uint8)


_CLASS_COLOURS = _class_colours()
