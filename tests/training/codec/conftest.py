"""Small codecs of both kinds, and videos to try them on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from training.codec.patches import PatchCodec, fit_patches, save_patches
from training.codec.wan import save_wan, small_wan


def smooth_video(seed: int, frames: int = 5, height: int = 32, width: int = 48, batch: int = 1) -> Tensor:
    """[B, 3, T, H, W] in [-1, 1]: slow waves that drift, as unlike noise as pictures are."""
    draw = torch.Generator().manual_seed(seed)
    t, y, x = torch.meshgrid(
        torch.arange(frames) / 8, torch.arange(height) / 16, torch.arange(width) / 16, indexing="ij"
    )
    rates = torch.randn(batch, 3, 4, 4, generator=draw)
    waves = [
        torch.sin(rates[..., k, 0, None, None, None] * t + rates[..., k, 1, None, None, None] * y
                  + rates[..., k, 2, None, None, None] * x + 3 * rates[..., k, 3, None, None, None])
        for k in range(4)
    ]  # fmt: skip
    return torch.stack(waves).mean(0)


def smooth_patches(channels: int = 24) -> PatchCodec:
    frames = [
        (smooth_video(seed)[0].transpose(0, 1), smooth_video(seed + 100)[0].transpose(0, 1)) for seed in range(12)
    ]
    return fit_patches(frames, channels)


def _write_patches(folder: Path) -> None:
    save_patches(smooth_patches(), folder)


def _write_wan(folder: Path) -> None:
    save_wan(small_wan(z_dim=4, base_dim=4), folder)


KINDS: dict[str, Callable[[Path], None]] = {"patches": _write_patches, "wan": _write_wan}


@pytest.fixture(scope="session", params=list(KINDS))
def codec_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved codec of each kind."""
    folder: Path = tmp_path_factory.mktemp("codec") / request.param
    KINDS[request.param](folder)
    return folder
