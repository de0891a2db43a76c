"""Eyebrows as strands: upright at the inner end, then combed out towards the tail."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.blender.follicles import Ground, laid, unit
from datagen.blender.noise import fractal_noise, smoothstep
from datagen.blender.pigment import mean_colour
from datagen.blender.rooted import RootedStrands
from datagen.geometry.curves import smooth_curve
from datagen.geometry.posed import PosedClip
from datagen.geometry.regions import FIELD_WIDTH_M
from manifests.clip import Appearance

Array = NDArray[Any]

_PER_M2 = 1.5e6
"""About 500 hairs in each brow of the usual density."""
_POINTS = 4
_RADIUS_M = 0.00009
_FRAME_M = 0.004


def grow_brows(posed: PosedClip, ground: Ground, appearance: Appearance, thickness: float) -> RootedStrands:
    """Both brows. ``thickness`` scales the strands' radii."""
    rng = np.random.default_rng([appearance.seed, 61])
    distance = (posed.regions.brows.astype(np.float64) - 0.5) * FIELD_WIDTH_M
    near = distance > -0.003
    distance[near] += 0.0007 * fractal_noise(ground.rest[near], 0.003, 2, appearance.seed + 5)
    density = smoothstep(-0.0014, 0.0009, distance)
    roots = ground.scatter(_PER_M2 * appearance.brow_density, density, rng)
    along, height, outward = _place(roots.points, ground.marks)
    kept = rng.random(len(roots)) < np.interp(along, [0.0, 0.12, 0.85, 1.0], [0.8, 1.0, 0.9, 0.6])
    roots, along, height, outward = roots[kept], along[kept], height[kept], outward[kept]

    rise = np.interp(along, [0.0, 0.10, 0.28, 0.6, 1.0], [76.0, 58.0, 30.0, 14.0, 2.0])
    rise -= 8000.0 * height * np.interp(along, [0.0, 0.25, 1.0], [0.3, 1.0, 1.0])  # both edges lean to the middle
    rise = np.deg2rad(rise + rng.normal(0, 7.0, len(roots)))[:, None]
    up = np.array([0.0, 1.0, 0.0])
    up = unit(up - (outward @ up)[:, None] * outward)
    direction = np.cos(rise) * outward + np.sin(rise) * up
    length = np.interp(along, [0.0, 0.3, 0.8, 1.0], [0.0058, 0.0085, 0.0075, 0.0055])
    length = length * rng.uniform(0.65, 1.1, len(roots))

    points = [roots.points]
    heading = laid(direction, roots.normals, rng.uniform(0.12, 0.34, len(roots)))
    for index in range(1, _POINTS):
        here = points[-1] + heading * (length / (_POINTS - 1))[:, None]
        above, normal = ground.height(here)
        here = here + np.maximum(0.0002 - above, 0)[:, None] * normal
        points.append(here)
        bent = 0.18 * index * (outward - 0.4 * up)  # hairs curve on towards the tail
        heading = laid(heading + bent, normal, 0.10)
    taper = np.linspace(1.0, 0.3, _POINTS)
    radius = _RADIUS_M * thickness * taper * rng.uniform(0.75, 1.2, (len(roots), 1))
    compass = ground.compass(roots, np.full(len(roots), _FRAME_M))
    return RootedStrands(
        np.stack(points, axis=1),
        radius.astype(np.float32),
        roots.corners,
        roots.weights,
        compass,
        np.zeros((0, 3)),
    )


def brow_colour(appearance: Appearance) -> tuple[float, float, float]:
    """Brows are darker than the hair, most so on fair heads."""
    red, green, blue = (0.55 * c + 0.002 for c in mean_colour(appearance))
    return red, green, blue


def _place(points: Array, marks: Array) -> tuple[Array, Array, Array]:
    """Where roots [N, 3] lie in their brow: share of its length from the inner end [N], height over its middle
    line (metres) [N], and the middle line's direction to the tail [N, 3]."""
    along, height, outward = np.zeros(len(points)), np.zeros(len(points)), np.zeros_like(points)
    for inner_first in (marks[21:16:-1], marks[22:27]):
        curve = smooth_curve(inner_first, closed=False, samples=200)
        tangent = unit(np.gradient(curve, axis=0))
        here = np.flatnonzero(points[:, 0] * inner_first[:, 0].mean() > 0)
        index = np.abs(points[here, None, 0] - curve[None, :, 0]).argmin(axis=1)
        along[here] = index / (len(curve) - 1)
        height[here] = points[here, 1] - curve[index, 1]
        outward[here] = tangent[index]
        if len(here):
            height[here] -= np.median(height[here])
    return along, height, outward
