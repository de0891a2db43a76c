"""Smooth seeded noise in space: the same point gives the same value, on any mesh."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def value_noise(points: Array, cell_m: float, seed: int) -> Array:
    """Points [N, 3] in metres -> [N] in [-1, 1]: random values on a lattice of ``cell_m``, blended smoothly."""
    scaled = np.asarray(points, np.float64) / cell_m
    corner = np.floor(scaled)
    weight = scaled - corner
    weight = weight * weight * (3 - 2 * weight)
    out = np.zeros(len(scaled))
    for offset in np.ndindex(2, 2, 2):
        share = np.prod(np.where(offset, weight, 1 - weight), axis=1)
        out += share * _lattice(corner.astype(np.int64) + offset, seed)
    return out.astype(np.float32)


def fractal_noise(points: Array, cell_m: float, octaves: int, seed: int) -> Array:
    """Sum of ``octaves`` of value noise, each at half the size and strength; [N], about [-1, 1]."""
    layers = [value_noise(points, cell_m / 2**k, seed + k) / 2**k for k in range(octaves)]
    return np.sum(layers, axis=0) / (2 - 2 ** (1 - octaves))


def smoothstep(low: float, high: float, x: Array) -> Array:
    """0 below ``low``, 1 above ``high``, a cubic between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _lattice(cell: Array, seed: int) -> Array:
    """Cells [N, 3] -> [-1, 1]; the mixing steps are those of the MurmurHash3 finaliser."""
    parts = cell.astype(np.uint64) * np.array([0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)
    key = parts[:, 0] ^ parts[:, 1] ^ parts[:, 2] ^ np.uint64(seed % 2**63)
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        key = (key ^ (key >> np.uint64(33))) * np.uint64(factor)
    key ^= key >> np.uint64(33)
    return (key >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1
