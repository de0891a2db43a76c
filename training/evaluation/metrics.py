"""What is measured of a video, each with its definition and source."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from training.evaluation.reproject import Sight, brought_over, places_of

Array = NDArray[Any]


@dataclass(frozen=True)
class Metric:
    """How a number is to be read."""

    words: str
    unit: str
    higher_is_better: bool
    definition: str


METRICS: Final = {
    "psnr": Metric(
        "PSNR of the person", "dB", True,
        "10 log10(range² / mean squared error), over the pixels that the person covers, weighed by how far",
    ),
    "psnr_mouth_eyes": Metric(
        "PSNR of mouth and eyes", "dB", True, "the same within ellipses about their landmarks"
    ),
    "ssim": Metric("SSIM", "", True, "structural similarity of the frames (Wang et al., 2004), by torchmetrics"),
    "lpips": Metric(
        "LPIPS", "", False, "distance of AlexNet's features, as people judge it (Zhang et al., 2018), of whole frames"
    ),
    "identity": Metric(
        "identity similarity", "", True,
        "cosine between the identity encoder's vectors of a frame and of the portrait: 1 is the same picture; what it "
        "is of two people, the encoder's report says",
    ),
    "expression": Metric(
        "expression distance", "", False,
        "of the codes that the encoder reads from the video to the driver's, by the distance between two drivers: 0 "
        "is the driver's expression, 1 is anybody's",
    ),
    "expression_landmarks": Metric(
        "expression distance by landmarks", "", False,
        "how far landmarks of a head fitted to the video are moved from neutral otherwise than the driver's, by how "
        "far drivers' are on average: 1 is a face that never moves",
    ),
    "head_pose_deg": Metric(
        "head pose error", "degrees", False,
        "angle between the head's rotation before the camera, fitted to landmarks found in the video, and what was "
        "told",
    ),
    "camera_deg": Metric(
        "camera control error", "degrees", False,
        "the head's rotation between the videos of two cameras, all else equal, against that between the cameras",
    ),
    "view_consistency": Metric(
        "view consistency", "dB", True,
        "PSNR between the videos of two cameras, one brought into the other by the true surface, over what both see",
    ),
    "temporal": Metric(
        "temporal stability", "dB", True,
        "PSNR between each frame and the one before, brought into it by the surface's true motion, over what both see",
    ),
}  # fmt: skip


def ssim(video: Tensor, truth: Tensor) -> float:
    """Of videos [3, T, H, W] in [-1, 1]: the mean over frames, of brightness from 0 to 1."""
    ours, theirs = ((each.transpose(0, 1) + 1) / 2 for each in (video, truth))
    found = structural_similarity_index_measure(ours, theirs, data_range=1.0)
    assert isinstance(found, Tensor)
    return float(found)


def agreement(pairs: list[tuple[Tensor, Tensor, Array]]) -> float:
    """PSNR in dB over all pairs of pictures [3, H, W] in [-1, 1] together, each where its mask bool [H, W] says; NaN
    where none does."""
    square, count = 0.0, 0
    for first, second, mask in pairs:
        chosen = torch.from_numpy(mask)
        square += float((first - second).square().mean(dim=0)[chosen].double().sum())
        count += int(chosen.sum())
    if not count:
        return math.nan
    return min(100.0, 10 * math.log10(4 / max(square / count, 1e-30)))


def temporal_stability(video: Tensor, sights: list[Sight], faces: Array) -> float:
    """Of a video [3, T, H, W] of a surface that is seen so in each frame."""
    size, pairs = (video.shape[2], video.shape[3]), []
    for t in range(1, video.shape[1]):
        places, seen = places_of(sights[t - 1], sights[t], faces, size)
        pairs.append((brought_over(video[:, t - 1], places), video[:, t], seen))
    return agreement(pairs)


def view_consistency(video: Tensor, other: Tensor, sights: list[Sight], others: list[Sight], faces: Array) -> float:
    """Of two videos [3, T, H, W] of the same moments."""
    size, pairs = (video.shape[2], video.shape[3]), []
    for t in range(video.shape[1]):
        places, seen = places_of(others[t], sights[t], faces, size)
        pairs.append((brought_over(other[:, t], places), video[:, t], seen))
    return agreement(pairs)


def rotation_error_deg(found: Array, told: Array) -> float:
    """Mean angle between rotations [T, 3, 3]."""
    trace = np.einsum("tij,tij->t", found, told)
    return float(np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1))).mean())
