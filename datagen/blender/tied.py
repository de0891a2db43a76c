"""What becomes of hair behind its tie: a tail, or a bun of wound strands."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.blender.combs import DOWN, Tied
from datagen.blender.noise import smoothstep
from datagen.blender.scalp import Scalp, unit

Array = NDArray[Any]

_TAIL_STRANDS, _BAND_STRANDS, _BUN_STRANDS = 2600, 160, 3200
_BUNDLE_M = 0.0085
"""Radius of the hair within the tie."""


def tail(comb: Tied, scalp: Scalp, length_m: float, points: int, rng: np.random.Generator) -> Array:
    """Strands [N, P, 3] from the tie: outwards, then down the back, held by a band of hair."""
    steps = 24
    step = 0.72 * length_m / steps
    line, direction = [comb.tie - 0.004 * comb.outward], comb.outward
    for _ in range(steps):
        here = scalp.push_out((line[-1] + step * direction)[None], np.array([0.020]))[0]
        direction = unit(unit(here - line[-1]) * 0.66 + 0.34 * DOWN)
        line.append(here)
    centre = np.stack(line)
    tangent = unit(np.gradient(centre, axis=0))
    across = np.broadcast_to([1.0, 0.0, 0.0], tangent.shape)
    second = np.cross(tangent, across)
    share = np.linspace(0, 1, steps + 1)
    spread = np.interp(share, [0, 0.12, 0.45, 0.8, 1.0], [_BUNDLE_M, 0.011, 0.021, 0.018, 0.009])
    angle, reach = 2 * np.pi * rng.random(_TAIL_STRANDS), np.sqrt(rng.random(_TAIL_STRANDS))
    end = rng.uniform(0.8, 1.0, _TAIL_STRANDS) * (1 - 0.12 * reach)
    at = end[:, None] * np.linspace(0, 1, points)
    get = lambda table: np.stack([np.interp(at, share, table[:, k]) for k in range(3)], axis=-1)  # noqa: E731
    wave = 0.003 * np.sin(2 * np.pi * (2.2 * at + rng.random((_TAIL_STRANDS, 1)))) * smoothstep(0.1, 0.4, at)
    width = np.interp(at, share, spread)
    u, v = (width * (reach * f(angle))[:, None] + wave for f in (np.cos, np.sin))
    strands = get(centre) + u[..., None] * get(across) + v[..., None] * get(second)
    return np.concatenate([strands, _band(comb, points, rng)])


def bun(comb: Tied, scalp: Scalp, length_m: float, points: int, rng: np.random.Generator) -> Array:
    """Strands [N, P, 3] wound round the outward axis of the tie to a ball flattened on the head."""
    size = float(np.clip(0.024 + 0.03 * length_m, 0.028, 0.044))
    count = _BUN_STRANDS
    along = np.linspace(0, 1, points)
    latitude = np.clip(rng.uniform(-1, 1, (count, 1)) + 0.22 * rng.normal(size=(count, 1)) * along, -1, 1)
    turn = 2 * np.pi * rng.random((count, 1)) + rng.uniform(1.2, 2.6, (count, 1)) * along
    twist = 1 + 0.09 * np.sin(3 * np.pi * latitude + 2 * turn)  # the rope it is wound from
    depth = twist * (1 - 0.25 * rng.random((count, 1)) ** 2)
    ring, height = size * np.sqrt(1.0001 - latitude**2) * depth, 0.8 * size * latitude * depth
    across = np.array([1.0, 0.0, 0.0])
    second = np.cross(comb.outward, across)
    centre = comb.tie + 0.68 * size * comb.outward
    strands = (
        centre
        + height[..., None] * comb.outward
        + ring[..., None] * (np.cos(turn)[..., None] * across + np.sin(turn)[..., None] * second)
    )
    return scalp.push_out(strands, 0.0005)


def _band(comb: Tied, points: int, rng: np.random.Generator) -> Array:
    """Hair wound round the tie."""
    turn = 2 * np.pi * (rng.random((_BAND_STRANDS, 1)) + 0.6 * np.linspace(0, 1, points))
    across = np.array([1.0, 0.0, 0.0])
    second = np.cross(comb.outward, across)
    radius = _BUNDLE_M * rng.uniform(1.05, 1.3, (_BAND_STRANDS, 1, 1))
    at = comb.tie + rng.uniform(-0.001, 0.009, (_BAND_STRANDS, 1, 1)) * comb.outward
    return np.asarray(at + radius * (np.cos(turn)[..., None] * across + np.sin(turn)[..., None] * second))
