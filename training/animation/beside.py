"""A generated video for people: beside what it was made from, and saying that it is synthetic."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from datagen.heads.model import HeadModel
from manifests.pictures import Picture, normals_picture
from training.animation.shot import Shot
from training.data.samples import colours
from training.footage import Footage
from training.sheets import as_pictures


def beside(shot: Shot, head: HeadModel, footage: Footage, videos: Mapping[str, Picture]) -> dict[str, Picture]:
    """uint8 [T, H, W, 3] of what a shot is made from, and behind them ``videos`` of it, by their labels."""
    frames, size = len(shot.times), (footage.height, footage.width)
    shown = {"portrait": np.repeat(as_pictures(shot.face.picture[:, None]), frames, axis=0)}
    if shot.expressions.pictures is not None:
        nearest = np.minimum((shot.times * shot.expressions.fps).round().astype(int), len(shot.expressions.codes) - 1)
        shown["expression"] = as_pictures(_letterboxed(colours(shot.expressions.pictures[nearest]), size))
    normals = shot.normals(head, np.arange(frames), size, footage.subdivision)
    shown["pose, camera"] = normals_picture(np.moveaxis(normals, 0, -1))
    return {**shown, **videos}


def _letterboxed(video: Tensor, size: tuple[int, int]) -> Tensor:
    """[3, T, H, W] as large as fits into ``size``, over black."""
    height, width = video.shape[2:]
    scale = min(size[0] / height, size[1] / width)
    inner = max(1, round(height * scale)), max(1, round(width * scale))
    small = torch.nn.functional.interpolate(video.transpose(0, 1), inner, mode="area").transpose(0, 1)
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    edges = (left, size[1] - inner[1] - left, top, size[0] - inner[0] - top)
    return torch.nn.functional.pad(small, edges, value=-1)
