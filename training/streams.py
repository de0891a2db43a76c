"""Seeded random streams: what is drawn depends on a seed and on words that say what for, and on nothing else."""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def stream(seed: int, *words: int | str) -> int:
    """A 63-bit seed of its own for ``words`` under ``seed``; the same in every process and version of Python."""
    text = "\x1f".join(f"{type(word).__name__}:{word}" for word in (seed, *words))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def rng(seed: int, *words: int | str) -> np.random.Generator:
    """numpy's generator of that stream."""
    return np.random.Generator(np.random.PCG64(stream(seed, *words)))


def torch_generator(seed: int, *words: int | str) -> torch.Generator:
    """torch's generator of that stream, on the CPU, so that every device draws the same."""
    return torch.Generator().manual_seed(stream(seed, *words))
