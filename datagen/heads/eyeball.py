"""The eyeball that replaces MakeHuman's coarse eye helper: a sphere with a slight cornea, its pole the gaze.

Vertices are centre + radius * direction; centre and radius are linear in the helper's vertices, so eyeballs
stay exact under every identity component.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SEGMENTS = 24
_RINGS_DEG = np.array([6, 12, 18, 23, 28, 33, 40, 49, 60, 72, 86, 102, 120, 140, 160])
"""Polar angles between the poles; close together over the cornea."""
_LIMBUS_DEG = 33.0
_CORNEA_BULGE = 0.05
"""Apex height over the sphere, in radii: 0.6 mm on a 12 mm eye."""

DIRECTION_COUNT = 2 + SEGMENTS * len(_RINGS_DEG)


def directions() -> Array:
    """Vertex positions [D, 3] of the unit eyeball that looks along +Z: front pole, rings, back pole."""
    polar = np.radians(_RINGS_DEG)[:, None]
    around = 2 * np.pi * np.arange(SEGMENTS)[None] / SEGMENTS
    ring = np.stack(
        [np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar) + 0 * around], axis=-1
    )
    reach = np.clip(1 - (_RINGS_DEG / _LIMBUS_DEG) ** 2, 0, None) ** 2
    ring *= (1 + _CORNEA_BULGE * reach)[:, None, None]
    return np.concatenate([[[0, 0, 1 + _CORNEA_BULGE]], ring.reshape(-1, 3), [[0, 0, -1]]]).round(9)


def faces() -> Array:
    """Outward triangles [F, 3] over ``directions()``."""
    rings = len(_RINGS_DEG)
    index = 1 + np.arange(rings * SEGMENTS).reshape(rings, SEGMENTS)
    after = np.roll(index, -1, axis=1)
    back = DIRECTION_COUNT - 1
    cap = np.stack([np.zeros(SEGMENTS, int), index[0], after[0]], axis=1)
    a, b, c, d = index[:-1], index[1:], after[1:], after[:-1]
    band = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    end = np.stack([index[-1], np.full(SEGMENTS, back), after[-1]], axis=1)
    return np.concatenate([cap, band, end])


def uv(centre: Array, radius: float) -> Array:
    """Texture coordinates [D, 2]: polar angle as distance from ``centre``, the back pole at ``radius``."""
    polar = np.repeat(_RINGS_DEG, SEGMENTS) / 180
    around = np.tile(2 * np.pi * np.arange(SEGMENTS) / SEGMENTS, len(_RINGS_DEG))
    disc = np.stack([polar * np.cos(around), polar * np.sin(around)], axis=1)
    return np.asarray(centre) + radius * np.concatenate([[[0, 0]], disc, [[1, 0]]])


def centre_weights() -> Array:
    """Weights [D], sum 1, with which the vertices average to the centre exactly."""
    unit = directions()
    conditions = np.vstack([unit.T, np.ones(len(unit))])
    return np.linalg.pinv(conditions) @ np.array([0, 0, 0, 1.0])
