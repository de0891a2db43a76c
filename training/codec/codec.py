"""What every codec does: video to latents and back, on slots of time."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from manifests.errors import UserError


class Codec(nn.Module, ABC):
    """Video [B, 3, T, H, W] in [-1, 1] to latents [B, channels, S, H / spatial_stride, W / spatial_stride] and back.

    Of T = temporal_stride * k + 1 frames the first has a slot of its own and each further slot holds
    temporal_stride frames: S = k + 1. Latents have about unit variance.
    """

    channels: int
    spatial_stride: int
    temporal_stride: int
    digest: str
    """SHA-256 of what it computes with; caches are keyed by it."""

    @torch.no_grad()
    def encode(self, video: Tensor) -> Tensor:
        """Raises UserError for a number of frames or a picture size that it cannot take."""
        slots(self, video.shape[2])
        latent_size(self, video.shape[3], video.shape[4])
        return self._encode(video)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Frames in [-1, 1]."""
        return self._decode(latents).clamp(-1, 1)

    @abstractmethod
    def _encode(self, video: Tensor) -> Tensor: ...

    @abstractmethod
    def _decode(self, latents: Tensor) -> Tensor: ...


def slots(codec: Codec, frames: int) -> int:
    """Latent frames of so many frames. Raises UserError for a number the codec would drop frames of."""
    stride = codec.temporal_stride
    if frames < 1 or (frames - 1) % stride:
        fitting = max(1, (frames - 1) // stride * stride + 1)
        raise UserError(f"frames: {frames} do not fit the codec, which takes {stride}k + 1; use {fitting} of them")
    return (frames - 1) // stride + 1


def latent_size(codec: Codec, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the latents of a picture. Raises UserError for one that is no whole number of them."""
    return strided(codec.spatial_stride, height, width)


def strided(stride: int, height: int, width: int) -> tuple[int, int]:
    """The same for a codec that is yet to be made."""
    if height < stride or width < stride or height % stride or width % stride:
        raise UserError(f"resolution: {width} x {height} is no multiple of the codec's {stride} pixels; choose another")
    return height // stride, width // stride
