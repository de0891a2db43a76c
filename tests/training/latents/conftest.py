"""A codec for the tests' corpus, and a cache made with it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import Generated
from training.codec.patches import PatchCodec, fit_patches, save_patches
from training.codec.wan import save_wan, small_wan
from training.latents.cache import CacheReport, cache_latents

WINDOWS: dict[str, Any] = {"frames": 2, "stride": 2}
"""Of 5 frames: [0:2], [2:4], and one frame is left."""


def patches(seed: int) -> PatchCodec:
    noise = torch.rand(40, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return fit_patches([(noise, noise)], channels=6)


def hashes(out: Path) -> dict[str, str]:
    """SHA-256 of every file."""
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="session")
def codec(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("codec") / "patches"
    save_patches(patches(1), folder)
    return str(folder)


@pytest.fixture(scope="session")
def other_codec(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("codec") / "other"
    save_patches(patches(2), folder)
    return str(folder)


@pytest.fixture(scope="session")
def video_codec(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("codec") / "wan"
    save_wan(small_wan(z_dim=2, base_dim=2), folder)
    return str(folder)


@pytest.fixture(scope="session")
def cache(corpus: Generated, codec: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CacheReport]:
    """All clips of the corpus; tests only read it."""
    out = tmp_path_factory.mktemp("cache") / "latents"
    return out, cache_latents(str(corpus.out), str(out), codec=codec, **WINDOWS)
