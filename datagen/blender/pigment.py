"""The colours of strands of hair."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.blender.noise import value_noise
from manifests.clip import Appearance

Array = NDArray[Any]

WHITE = (0.50, 0.485, 0.455)
"""Linear reflectance of hair without pigment."""


HAIRS = 4
"""A drawn strand stands for a wisp of hairs: so many of them turn white or not, each by itself."""


def strand_colours(roots: Array, appearance: Appearance) -> tuple[Array, Array]:
    """Of strands that grow from ``roots`` [N, 3], rest metres, two float32 [N]: their pigment, of which 1 is the
    person's own, and the share that is white.

    Hair greys hair by hair: one that has turned is white, and the others keep their colour. Neighbours are more
    alike than others, and grey comes first at the temples.
    """
    rng = np.random.default_rng([appearance.seed, 43])
    points = roots.astype(np.float64)
    streaks = value_noise(points, 0.007, appearance.seed + 61)
    pigment = np.exp(0.13 * streaks + 0.14 * rng.normal(size=len(points)))
    share = appearance.grey_share
    side = np.abs(points[:, 0]) / max(np.abs(points[:, 0]).max(initial=0), 1e-9)
    bias = 4 * share * (1 - share) * 0.12 * (2 * side**2 - 0.7)
    white = rng.binomial(HAIRS, np.clip(share + bias, 0, 1), len(points)) / HAIRS
    return pigment.astype(np.float32), white.astype(np.float32)


def mean_colour(appearance: Appearance) -> tuple[float, float, float]:
    """Of a person's hair seen from afar, linear Rec.709."""
    share = appearance.grey_share
    red, green, blue = (c + (w - c) * share for c, w in zip(appearance.hair_colour, WHITE, strict=True))
    return (red, green, blue)
