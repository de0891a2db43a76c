"""A codec for the tests' corpus, and a cache made with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import Generated
from training.codec.patches import PatchCodec, fit_patches, save_patches
from training.codec.wan import save_wan, small_wan
from training.expression.cnn import CnnEncoder, CnnSizes, save_cnn
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


@pytest.fixture
def one_thread() -> Iterator[None]:
    """On which caches are made; sums of floats depend on how they are split."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An untrained one: codes of faces all the same."""
    folder = tmp_path_factory.mktemp("encoder") / "cnn"
    sizes = CnnSizes(code_size=3, picture_size=16, width=4)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        save_cnn(CnnEncoder(sizes, sizes.network(), ("x",)), folder)
    return str(folder)


@pytest.fixture(scope="session")
def cache(corpus: Generated, codec: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CacheReport]:
    """All clips of the corpus; tests only read it."""
    out = tmp_path_factory.mktemp("cache") / "latents"
    return out, cache_latents(str(corpus.out), str(out), codec=codec, **WINDOWS)
