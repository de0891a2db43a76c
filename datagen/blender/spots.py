"""Freckles, moles and age spots: small patches of skin with more melanin than around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from datagen.blender.noise import fractal_noise, smoothstep
from datagen.geometry.posed import PosedClip
from manifests.clip import Appearance

Array = NDArray[Any]

_NEAREST = 3
"""Spots that may meet in one point."""
FRECKLES = 900
"""On face and neck of the most freckled."""
_FRECKLE_M, _MOLE_M, _AGE_SPOT_M = (0.0004, 0.0011), (0.0008, 0.0022), (0.0015, 0.004)
"""Radii: freckles are 1 to 2 mm wide, moles to 5 mm, age spots (solar lentigines) to 1 cm; Bolognia et al.,
"Dermatology", 2012."""


@dataclass(frozen=True)
class Spots:
    """points [K, 3] on the rest skin and radius [K], metres; strength [K]: by how much the logarithm of melanin
    grows in the middle."""

    points: Array
    radius: Array
    strength: Array

    def at(self, points: Array) -> Array:
        """Growth of melanin's logarithm at points [N, 3]: [N]."""
        if len(self.points) == 0:
            return np.zeros(len(points))
        count = min(_NEAREST, len(self.points))
        reach = 1.3 * float(self.radius.max())
        distance, index = cKDTree(self.points).query(points, k=list(range(1, count + 1)), distance_upper_bound=reach)
        near = np.minimum(index, len(self.points) - 1)
        share = np.where(np.isfinite(distance), distance, 1e9) / self.radius[near]
        return (self.strength[near] * smoothstep(1.25, 0.65, share)).max(axis=1)


def melanin_spots(posed: PosedClip, appearance: Appearance, age_years: float) -> Spots:
    """Those of one person. Freckles gather on cheeks and nose; age spots come after 45, on the upper face."""
    rng = np.random.default_rng([appearance.seed, 71])
    marks = posed.rest_landmarks.astype(np.float64)
    bridge, chin = marks[29], marks[8]
    length = np.linalg.norm(marks[27] - chin)

    def mid_face(points: Array) -> Array:
        below = np.abs(points[:, 1] - bridge[1]) / (0.45 * length)
        aside = np.abs(points[:, 0] - bridge[0]) / (0.62 * length)
        return np.exp(-(below**2) - aside**2) + 0.06

    def upper_face(points: Array) -> Array:
        return smoothstep(chin[1], marks[27, 1], points[:, 1]) * smoothstep(
            0.0, 0.5 * float(length), np.abs(points[:, 0])
        )

    freckles = round(FRECKLES * appearance.freckles)
    older = int(26 * np.interp(age_years, [45, 80], [0, 1]) * rng.uniform(0.2, 1.0))
    kinds = (
        (freckles, mid_face, _FRECKLE_M, (0.3, 0.6 + 0.7 * appearance.freckles)),
        (appearance.moles, lambda points: np.ones(len(points)), _MOLE_M, (0.9, 1.9)),
        (older, upper_face, _AGE_SPOT_M, (0.2, 0.5)),
    )
    made = [_scatter(posed, count, density, radii, strengths, rng) for count, density, radii, strengths in kinds]
    return Spots(*(np.concatenate(column) for column in zip(*made, strict=True)))


def _scatter(
    posed: PosedClip,
    count: int,
    density: Any,
    radii: tuple[float, float],
    strengths: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[Array, Array, Array]:
    """``count`` spots on the skin of head and neck, as dense as ``density`` says, in clusters."""
    faces = posed.surface.faces[posed.surface.part == 0]
    corners = posed.rest.astype(np.float64)[faces]
    middle = corners.mean(axis=1)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    bare = posed.regions.clothing[faces].max(axis=1) < 0.5
    clusters = np.exp(0.8 * fractal_noise(middle, 0.02, 2, 90))
    weight = np.cumsum(area * bare * density(middle) * clusters)
    u = rng.random((max(count, 0), 5))
    face = np.searchsorted(weight, u[:, 0] * weight[-1]).clip(max=len(faces) - 1)
    over = u[:, 1] + u[:, 2] > 1
    a, b = np.where(over, 1 - u[:, 1], u[:, 1]), np.where(over, 1 - u[:, 2], u[:, 2])
    points = np.einsum("kcx,kc->kx", corners[face], np.stack([1 - a - b, a, b], axis=1))
    radius = radii[0] * (radii[1] / radii[0]) ** u[:, 3]
    return points, radius, strengths[0] + (strengths[1] - strengths[0]) * u[:, 4]
