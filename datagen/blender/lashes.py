"""Eyelashes as strands on the lids' edges. They turn about the eye's centre as the lid slides over the eye."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.blender.follicles import Ground, unit
from datagen.blender.rooted import RootedStrands
from datagen.geometry.curves import fit_sphere, smooth_curve
from datagen.geometry.posed import PosedClip
from manifests.clip import Appearance

Array = NDArray[Any]

_POINTS = 5
_RADIUS_M = 0.00011
_EYE_DEPTH_M = 0.0125
"""From the middle of the lid line back to the eye's centre, where a head has no eyes."""
_LASH_LINE_M = 0.0012
"""How far before the lid's inner edge lashes grow: at the outer edge of its rim."""
_SIDE_M = 0.003

_UPPER, _LOWER = 160, 75
"""Lashes of each lid: as many as people with full ones have."""


def grow_lashes(posed: PosedClip, ground: Ground, appearance: Appearance, thickness: float) -> RootedStrands:
    """All four rows. ``thickness`` scales the strands' radii."""
    rng = np.random.default_rng([appearance.seed, 62])
    marks = ground.marks
    rows: list[tuple[Array, ...]] = []
    anchors: list[Array] = []
    for eye, part in ((marks[36:42], "right_eye"), (marks[[45, 44, 43, 42, 47, 46]], "left_eye")):
        centre = eye_centre(posed, part, eye)
        anchor = len(ground.rest) + len(anchors)
        anchors.append(centre)
        upper, lower = eye[[3, 2, 1, 0]], eye[[3, 4, 5, 0]]  # from the inner corner to the outer one
        rows.append(_row(ground, upper, centre, anchor, True, thickness, rng))
        rows.append(_row(ground, lower, centre, anchor, False, thickness, rng))
    points, radius, corners, weights, compass = (np.concatenate(arrays) for arrays in zip(*rows, strict=True))
    return RootedStrands(points, radius, corners, weights, compass, np.stack(anchors))


def eye_centre(posed: PosedClip, part: str, lids: Array) -> Array:
    """Centre [3] of an eyeball at rest; behind its lids' landmarks [6, 3] when the head has none."""
    vertices = posed.surface.vertices_of(part)
    if len(vertices) == 0:
        return lids.mean(axis=0) - [0.0, 0.0, _EYE_DEPTH_M]
    return fit_sphere(posed.rest[vertices].astype(np.float64))[0]


def _row(
    ground: Ground, lid: Array, centre: Array, anchor: int, upper: bool, thickness: float, rng: np.random.Generator
) -> tuple[Array, ...]:
    """One lid's lashes: points, radii, corners, weights, compass."""
    count = _UPPER if upper else _LOWER
    curve = smooth_curve(lid, closed=False)
    curve = curve + _LASH_LINE_M * unit(curve - centre)
    length_m = np.linalg.norm(curve[-1] - curve[0])
    start, end = (0.10, 0.965) if upper else (0.25, 0.93)
    along = np.sort(np.clip(start + (end - start) * rng.random(count) ** 0.9, 0, 1))
    at = np.round(along * (len(curve) - 1)).astype(int)
    ragged = rng.normal(0, 0.00018, (count, 3))  # two or three uneven rows
    roots = ground.closest(curve[at] + ragged)

    out = unit(roots.points - centre)
    tangent = unit(np.gradient(curve, axis=0))[at]  # to the outer corner
    away = np.cross(out, tangent) * np.sign(np.cross(out, tangent)[:, 1:2]) * (1.0 if upper else -1.0)
    fan = ((along - 0.42) * 1.5)[:, None] + rng.normal(0, 0.10, (count, 1))
    rim = np.interp(along, [0.0, 0.3, 0.75, 1.0], [0.55, 0.9, 1.0, 0.8])
    reach = (0.0088 if upper else 0.0056) * rim * rng.uniform(0.65, 1.08, count)
    tilt = np.linspace(-0.10, 1.15, _POINTS - 1) if upper else np.linspace(0.35, 0.75, _POINTS - 1)
    tilt = tilt[None, :, None] + rng.normal(0, 0.08, (count, 1, 1))
    heading = unit(
        np.cos(tilt) * out[:, None] + np.sin(tilt) * away[:, None] + (fan * np.ones(3))[:, None] * tangent[:, None]
    )
    steps = heading * (reach / (_POINTS - 1))[:, None, None]
    points = np.concatenate([roots.points[:, None], roots.points[:, None] + np.cumsum(steps, axis=1)], axis=1)

    side = max(1, round(_SIDE_M / length_m * len(curve)))
    inner = ground.closest_vertex(curve[np.maximum(at - side, 0)])
    outer = ground.closest_vertex(curve[np.minimum(at + side, len(curve) - 1)])
    compass = np.stack([inner, outer, np.full(count, anchor)], axis=1)
    radius = _RADIUS_M * (1.0 if upper else 0.75) * thickness * np.linspace(1.0, 0.25, _POINTS)
    radius = radius * rng.uniform(0.8, 1.15, (count, 1))
    return points, radius.astype(np.float32), roots.corners, roots.weights, compass
