"""A codec in closed form: principal components of small squares of single frames. Fitted in one pass, on two cores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from manifests.errors import UserError
from training.codec.codec import Codec
from training.folder import digest, load_weights, read_tensors, write_folder
from training.precision import full_precision

KIND: Final = "patches"
PATCH: Final = 8
CHANNELS: Final = 64
NORMALS_WEIGHT: Final = 0.3
"""Of normal maps beside pictures where directions are chosen. On faces of 64 pixels with 64 components it gives
38.5 dB and 4.1 degrees; 1.0 gives 37.0 dB and 3.7 degrees, 0.1 gives 39.3 dB and 4.8 degrees."""
_MOST_PIXELS: Final = 64
"""Of a patch's side: its covariance must fit into memory."""


class PatchCodec(Codec):
    """Each patch of P x P pixels of a frame to its K leading components, half-whitened.

    A component is divided by the square root of its deviation, so that the leading ones keep a lead without drowning
    the rest, and all of them by one number that makes the variance of pictures 1 on average over components.
    """

    temporal_stride = 1

    def __init__(self, mean: Tensor, basis: Tensor, scale: Tensor) -> None:
        """``mean`` [3 P P] of the patches, ``basis`` [3 P P, K] orthonormal, ``scale`` [K] of the components."""
        super().__init__()
        self.mean: Tensor
        self.basis: Tensor
        self.scale: Tensor
        self.register_buffer("mean", mean)
        self.register_buffer("basis", basis)
        self.register_buffer("scale", scale)
        self.channels = len(scale)
        self.spatial_stride = math.isqrt(len(mean) // 3)
        self.digest = digest(self.config, self.state_dict())

    @property
    def config(self) -> dict[str, Any]:
        return {"kind": KIND, "channels": self.channels, "patch": self.spatial_stride}

    def _encode(self, video: Tensor) -> Tensor:
        with full_precision(video.device):
            patches = to_patches(video, self.spatial_stride).to(self.mean)  # [B, T, h, w, 3 P P]
            latents = (patches - self.mean) @ self.basis / self.scale
            return latents.permute(0, 4, 1, 2, 3).to(video.dtype).contiguous()

    def _decode(self, latents: Tensor) -> Tensor:
        with full_precision(latents.device):
            patches = (latents.permute(0, 2, 3, 4, 1).to(self.mean) * self.scale) @ self.basis.T + self.mean
            return from_patches(patches, self.spatial_stride).to(latents.dtype)


def fit_patches(frames: Iterable[tuple[Tensor, Tensor]], channels: int = CHANNELS, patch: int = PATCH) -> PatchCodec:
    """The codec of pairs of pictures [N, 3, H, W] and normal maps [N, 3, H, W], both in [-1, 1], in one pass.

    Its directions are those of both kinds, each about its own mean; mean and variance of the latents are 0 and about 1
    for pictures, which a model generates, and not for normal maps, which it only sees. Equal frames give equal bytes.
    Raises UserError for sizes that cannot be, and when there are no frames.
    """
    check_sizes(channels, patch)
    pictures, normals = _Moments(3 * patch * patch), _Moments(3 * patch * patch)
    for some_pictures, some_normals in frames:
        pictures.add(to_patches(some_pictures.unsqueeze(2), patch))
        normals.add(to_patches(some_normals.unsqueeze(2), patch))
    if not pictures.count or not normals.count:
        raise UserError("codec: no frames to fit it to; choose a split that has clips")
    both = pictures.covariance() + NORMALS_WEIGHT * normals.covariance()
    variance, vectors = torch.linalg.eigh(both)  # ascending
    basis = vectors[:, -channels:].flip(1)
    basis = basis * torch.sign(basis.gather(0, basis.abs().argmax(0, keepdim=True)))  # eigenvectors have no sign
    # A component that no frame has keeps a divisor.
    deviation = variance[-channels:].flip(0).clamp(min=1e-8 * variance[-1].item() + 1e-12).sqrt()
    scale = deviation.sqrt()
    own = ((basis.T @ pictures.covariance()) * basis.T).sum(1)  # variance of pictures along each
    scale = scale * (own / scale**2).mean().clamp(min=1e-12).sqrt()
    return PatchCodec(pictures.mean().float(), basis.float().contiguous(), scale.float())


def save_patches(codec: PatchCodec, folder: str | Path) -> None:
    """Write it as a model folder."""
    write_folder(folder, codec.config, codec.state_dict())


def load_patches(folder: str | Path, config: Mapping[str, Any]) -> PatchCodec:
    """Read what `save_patches` wrote. Raises UserError for sizes that cannot be, and tensors that do not fit them."""
    channels, patch = config.get("channels"), config.get("patch")
    try:
        check_sizes(channels, patch)
    except UserError as error:
        raise UserError(f"{folder}: {error}") from None
    assert isinstance(channels, int)
    assert isinstance(patch, int)
    size = 3 * patch * patch
    codec = PatchCodec(torch.zeros(size), torch.zeros(size, channels), torch.ones(channels))
    load_weights(codec, read_tensors(folder), folder)
    if not all(bool(tensor.isfinite().all()) for tensor in codec.state_dict().values()) or codec.scale.min() <= 0:
        raise UserError(f"{folder}: holds numbers that no codec has; take another copy of the model")
    codec.digest = digest(codec.config, codec.state_dict())
    return codec


def check_sizes(channels: Any, patch: Any) -> None:
    """Raises UserError unless a patch has so many components."""
    if type(patch) is not int or not 1 <= patch <= _MOST_PIXELS:
        raise UserError(f"codec.patch: {patch} is no side of a patch; choose 1 to {_MOST_PIXELS}, such as {PATCH}")
    most = 3 * patch * patch
    if type(channels) is not int or not 1 <= channels <= most:
        raise UserError(f"codec.channels: {channels} components of patches of {most} numbers; choose 1 to {most}")


def to_patches(video: Tensor, patch: int) -> Tensor:
    """[B, 3, T, H, W] -> [B, T, H / P, W / P, 3 P P]."""
    b, c, t, h, w = video.shape
    cut = video.reshape(b, c, t, h // patch, patch, w // patch, patch)
    return cut.permute(0, 2, 3, 5, 1, 4, 6).reshape(b, t, h // patch, w // patch, c * patch * patch)


def from_patches(patches: Tensor, patch: int) -> Tensor:
    """The inverse of `to_patches`."""
    b, t, h, w, _ = patches.shape
    cut = patches.reshape(b, t, h, w, 3, patch, patch)
    return cut.permute(0, 4, 1, 2, 5, 3, 6).reshape(b, 3, t, h * patch, w * patch)


class _Moments:
    """Mean and covariance of what went by, in double precision."""

    def __init__(self, size: int) -> None:
        self.count = 0
        self._sum = torch.zeros(size, dtype=torch.float64)
        self._products = torch.zeros(size, size, dtype=torch.float64)

    def add(self, patches: Tensor) -> None:
        flat = patches.reshape(-1, patches.shape[-1]).double()
        self.count += len(flat)
        self._sum += flat.sum(0)
        self._products += flat.T @ flat

    def mean(self) -> Tensor:
        return self._sum / self.count

    def covariance(self) -> Tensor:
        mean = self.mean()
        return self._products / self.count - torch.outer(mean, mean)
