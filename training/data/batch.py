"""What the loader hands to a model: a portrait of a person, and a window of video of the same person."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sample:
    """One training sample; with a leading axis B in every tensor, and a key each, a batch of them.

    H x W pixels, T frames. Colours are in [-1, 1] over black; coordinates are those of `manifests.conventions`.
    """

    key: tuple[str, ...]
    """What it was read from, to find it again."""
    reference: Tensor
    """[3, H, W]: the portrait."""
    reference_landmarks: Tensor
    """[70, 2] pixels."""
    video: Tensor
    """[3, T, H, W]: what is to be generated."""
    alpha: Tensor
    """[1, T, H, W] in [0, 1]: how far the person covers a pixel."""
    pose_normals: Tensor
    """[3, T, H, W]: unit, in camera space (x right, y down, z forward); zero where there is no surface."""
    intrinsics: Tensor
    """[T, 3, 3] pixels, float32."""
    world_to_camera: Tensor
    """[T, 4, 4] metres, float32."""
    landmarks: Tensor
    """[T, 70, 2] pixels."""

    def to(self, device: torch.device | str) -> Sample:
        return dataclasses.replace(
            self, **{name: getattr(self, name).to(device, non_blocking=True) for name in TENSORS}
        )


TENSORS = tuple(field.name for field in dataclasses.fields(Sample) if field.name != "key")


def collate(samples: Sequence[Sample]) -> Sample:
    """A batch of samples of equal sizes."""
    stacked = {name: torch.stack([getattr(sample, name) for sample in samples]) for name in TENSORS}
    return Sample(key=tuple(key for sample in samples for key in sample.key), **stacked)
