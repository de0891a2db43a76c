"""The faces of a corpus with some of what is around them, in memory, and where their points are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from manifests.errors import UserError
from training.data.clips import Clips
from training.streams import rng

Array = NDArray[Any]

SIZE: Final = 96
"""Of the pictures held, in pixels."""
MARGIN: Final = 2.0
"""Edge of such a picture, in edges of the face's box."""


@dataclass(frozen=True)
class Portraits:
    """N square pictures about faces, on the CPU."""

    pictures: Tensor
    """uint8 [N, 3, SIZE, SIZE]."""
    alpha: Tensor
    """uint8 [N, 1, SIZE, SIZE]: how far the person covers a pixel."""
    points: Tensor
    """[N, 70, 2]: -1 to 1 from edge to edge."""
    visible: Tensor
    """bool [N, 70]."""

    def __len__(self) -> int:
        return len(self.pictures)


def read_portraits(
    corpus: str, split: str, most: int, seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> Portraits:
    """Of all clips of a split, in all views; of more than ``most`` each clip gives as many frames as fit, drawn by
    ``seed``. Raises UserError for a split without clips, or with more views than that."""
    clips = Clips(corpus, split=split)
    views = int(clips.views.sum())
    if most < views:
        raise UserError(f"landmarks.most_faces: {most} given, split {split!r} has {views} views; give at least as many")
    parts = []
    for i in range(len(clips)):
        info = clips.info(i)
        count = min(info.frames, most // views)
        frames = np.sort(rng(seed, "portraits", split, i).permutation(info.frames)[:count])
        whole = [(view, range(info.frames)) for view in range(info.views)]
        for window in clips.windows(i, whole, members=("rgb", "alpha")):
            assert window.rgb is not None
            assert window.alpha is not None
            layers = np.concatenate([window.rgb[frames], window.alpha[frames][..., None]], axis=-1)
            points = torch.from_numpy(window.landmarks[frames]).float()
            pictures = torch.from_numpy(layers).permute(0, 3, 1, 2).float()
            centre, edge = square(points)
            cut = cut_out(pictures, centre, edge * MARGIN, torch.zeros(len(edge)), SIZE).round().byte()
            inside = (points - centre[:, None]) / (edge * MARGIN / 2)[:, None, None]
            parts.append((cut[:, :3], cut[:, 3:], inside, torch.from_numpy(window.visible[frames])))
        if progress is not None:
            progress(i + 1, len(clips))
    return Portraits(*(torch.cat(column) for column in zip(*parts, strict=True)))


def square(points: Tensor) -> tuple[Tensor, Tensor]:
    """Centre [N, 2] and edge [N] of the squares about points [N, P, 2]."""
    low, high = points.amin(dim=1), points.amax(dim=1)
    return (low + high) / 2, (high - low).amax(dim=1).clamp_min(1e-3)


def cut_out(pictures: Tensor, centre: Tensor, edge: Tensor, turn: Tensor, size: int) -> Tensor:
    """Squares [N, C, size, size] of pictures [N, C, H, W]: about ``centre`` [N, 2], of ``edge`` [N] pixels, turned by
    ``turn`` [N] radians clockwise. Beyond the picture is 0. Large pictures are averaged, not sampled."""
    height, width = pictures.shape[-2:]
    samples = int(min(max(torch.ceil(edge.max() / size).item(), 1), 4))
    fine = size * samples
    steps = ((torch.arange(fine, device=pictures.device) + 0.5) / fine - 0.5) * edge[:, None]  # [N, fine]
    cosine, sine = torch.cos(turn)[:, None, None], torch.sin(turn)[:, None, None]
    x, y = steps[:, None, :], steps[:, :, None]
    grid = torch.stack([
        (centre[:, 0, None, None] + cosine * x - sine * y) * (2 / width) - 1,
        (centre[:, 1, None, None] + sine * x + cosine * y) * (2 / height) - 1,
    ], dim=-1)  # fmt: skip
    cut = functional.grid_sample(pictures, grid, align_corners=False)
    return functional.avg_pool2d(cut, samples) if samples > 1 else cut


def turned_back(points: Tensor, centre: Tensor, edge: Tensor, turn: Tensor) -> Tensor:
    """Points [N, P, 2] of such a square, -1 to 1 from edge to edge, in pixels of the picture."""
    cosine, sine = torch.cos(turn)[:, None], torch.sin(turn)[:, None]
    x, y = (points * (edge / 2)[:, None, None]).unbind(dim=-1)
    return torch.stack([cosine * x - sine * y, sine * x + cosine * y], dim=-1) + centre[:, None]
