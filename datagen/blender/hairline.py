"""Where the scalp is bare or shows hair's colour: receding hairlines, and the tint between strands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.blender.noise import fractal_noise, smoothstep
from datagen.blender.pigment import mean_colour
from datagen.blender.scalp import unit
from datagen.blender.styles import BALD, STYLES
from datagen.geometry.posed import PosedClip
from datagen.geometry.regions import FIELD_WIDTH_M
from manifests.clip import Appearance

Array = NDArray[Any]


def bareness(posed: PosedClip, appearance: Appearance) -> Callable[[Array], Array]:
    """A function of rest points [N, 3]: the share [N] of the usual hair that is missing there.

    Receding hair is lost first over the temples, then on the crown, with thin hair between: stages III to V
    of O. T. Norwood, "Male pattern baldness: classification and incidence", 1975.
    """
    if appearance.hair_style != "receding":
        return lambda points: np.zeros(len(points))
    rng = np.random.default_rng([appearance.seed, 37])
    reach, thin = rng.uniform(0.026, 0.036), rng.uniform(0.3, 0.6)
    rest, field = posed.rest.astype(np.float64), posed.regions.scalp
    inside = rest[field > 0.5]
    top, back = inside[:, 1].max(), inside[:, 2].min()
    middle = np.array([0.0, (top + posed.rest_landmarks[[0, 16], 1].mean()) / 2, inside[:, 2].mean()])
    upper = rest[:, 1] > middle[1]
    azimuth = np.arctan2(np.abs(rest[upper, 0]), rest[upper, 2] - middle[2])
    hairline = np.abs(azimuth - np.deg2rad(40)) + 4 * np.abs(field[upper] - 0.5)
    temple = rest[upper][hairline.argmin()] * [np.sign(rest[upper][hairline.argmin(), 0]), 1, 1]
    corner = temple + 0.4 * reach * unit(np.array([0.0, top, middle[2]]) - temple)
    crown = np.array([0.0, top, 0.58 * back])

    def bare(points: Array) -> Array:
        ragged = 0.004 * fractal_noise(points, 0.012, 2, appearance.seed + 53)
        mirrored = np.column_stack([np.abs(points[:, 0]), points[:, 1:]])
        temples = smoothstep(reach + 0.005, reach - 0.004, np.linalg.norm(mirrored - corner, axis=1) + ragged)
        bald = 0.95 * smoothstep(0.045, 0.022, np.linalg.norm(points - crown, axis=1) + 2 * ragged)
        above = smoothstep(middle[1] + 0.02, middle[1] + 0.05, points[:, 1])
        return np.maximum(np.maximum(temples, bald * (0.5 + thin)), thin * above)

    return bare


def scalp_tint(posed: PosedClip, appearance: Appearance) -> tuple[Array, Array]:
    """How far [Vs] each vertex takes on the colour [3] of hair, which is the lowest layer of what grows there."""
    colour = np.asarray(mean_colour(appearance))
    if appearance.hair_style == BALD:
        return np.zeros(len(posed.rest)), colour
    rest = posed.rest.astype(np.float64)
    distance = (posed.regions.scalp.astype(np.float64) - 0.5) * FIELD_WIDTH_M
    inside = smoothstep(-0.004, 0.005, distance + 0.003 * fractal_noise(rest, 0.006, 2, 3))
    kept = np.clip(1 - bareness(posed, appearance)(rest), 0, 1)
    return STYLES[appearance.hair_style].tint * inside * kept, colour
