"""How much of a corpus a codec keeps: pictures in decibels, normals in degrees, and a sheet to look at."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from training.codec.codec import Codec
from training.data.batch import Sample
from training.measures import psnr

Array = NDArray[Any]

ERROR_GAIN: Final = 8
"""How much brighter than they are a sheet shows errors."""


@dataclass(frozen=True)
class Fidelity:
    """Means over windows of video."""

    windows: int
    psnr_db: float
    """Of whole pictures."""
    foreground_psnr_db: float
    """Of pixels by how far the person covers them."""
    normal_error_deg: float
    """Angle between normals where there is a surface."""
    latent_mean: float
    """Of pictures, over all channels."""
    latent_deviation: float


class Sheet:
    """Rows of original, reconstruction and error (times `ERROR_GAIN`), of the picture and of its normals."""

    def __init__(self, rows: int) -> None:
        self._left = rows
        self._rows: list[Array] = []

    def add(self, frames: Sample, pictures: Tensor, normals: Tensor) -> None:
        if self._left == 0:
            return
        self._left -= 1
        tiles = []
        for true, made in ((frames.video, pictures), (frames.pose_normals, normals)):
            error = (true[:, -1] - made[:, -1]).abs() * ERROR_GAIN - 1
            tiles += [true[:, -1], made[:, -1], error]
        row = torch.cat(tiles, dim=2).clamp(-1, 1)  # [3, H, 6 W]
        self._rows.append(((row + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy())

    def save(self, file: str | Path) -> None:
        Image.fromarray(np.concatenate(self._rows)).save(file)


def measure(codec: Codec, windows: Iterable[Sample], sheet: Sheet | None = None, device: str = "cpu") -> Fidelity:
    """What is left of windows after encoding and decoding. There must be at least one."""
    figures: list[tuple[float, ...]] = []
    for frames in windows:
        latents = codec.encode(frames.video[None].to(device))
        pictures = codec.decode(latents)[0].cpu()
        normals = codec.decode(codec.encode(frames.pose_normals[None].to(device)))[0].cpu()
        if sheet is not None:
            sheet.add(frames, pictures, normals)
        figures.append(
            (
                float(psnr(frames.video[None], pictures[None])),
                float(psnr(frames.video[None], pictures[None], frames.alpha[None])),
                normal_error_deg(frames.pose_normals, normals),
                float(latents.mean()),
                float(latents.square().mean()),
            )
        )
    whole, foreground, angle, mean, square = np.nanmean(np.array(figures), axis=0).tolist()
    return Fidelity(len(figures), whole, foreground, angle, mean, math.sqrt(max(square - mean * mean, 0.0)))


def normal_error_deg(true: Tensor, made: Tensor) -> float:
    """Mean angle between normals [3, ...] where the true ones are not zero; NaN where all of them are."""
    surface = true.norm(dim=0) > 0.5
    if not surface.any():
        return math.nan
    cosine = torch.cosine_similarity(true, made, dim=0)[surface].clamp(-1, 1)
    return float(cosine.arccos().mean().rad2deg())
