"""Plane and space curves, distances to them, and fits: what regions of a head are drawn with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

Array = NDArray[Any]


def smooth_curve(marks: Array, closed: bool, samples: int = 400) -> Array:
    """[samples, D] points of a cubic spline through ``marks``, even in chord length."""
    marks = np.concatenate([marks, marks[:1]]) if closed else marks
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(marks, axis=0), axis=1))])
    spline = CubicSpline(length, marks, bc_type="periodic" if closed else "natural")
    return spline(np.linspace(0, length[-1], samples))


FAR_M = 0.02
"""Distances are told apart up to this one."""


def nearest(points: Array, targets: Array) -> tuple[Array, Array]:
    """Distance [N] of points [N, D] to the nearest of ``targets`` [M, D], at most FAR_M, and its index [N]."""
    distance, index = cKDTree(targets).query(points, distance_upper_bound=FAR_M)
    return np.minimum(distance, FAR_M), np.minimum(index, len(targets) - 1)


def resample(polygon: Array, samples: int = 200) -> Array:
    """[samples, 2] points evenly along a closed polygon."""
    ring = np.concatenate([polygon, polygon[:1]])
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(ring, axis=0), axis=1))])
    at = np.linspace(0, length[-1], samples, endpoint=False)
    return np.stack([np.interp(at, length, ring[:, k]) for k in range(2)], axis=1)


def polygon_distance(points: Array, polygon: Array) -> Array:
    """Signed distance of [N, 2] to a finely sampled closed polygon [M, 2], positive inside, within FAR_M."""
    distance, _ = nearest(points, polygon)
    inside = np.zeros(len(points), bool)
    near = np.flatnonzero(((points >= polygon.min(axis=0)) & (points <= polygon.max(axis=0))).all(axis=1))
    x, y = points[near].T
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        crosses = (y < y0) != (y < y1)
        inside[near] ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return np.where(inside, distance, -distance)


def smooth_maximum(a: Array, b: Array, width: float) -> Array:
    """The larger of two distances, rounded where they differ by less than about ``width``."""
    return width * np.logaddexp(a / width, b / width)


def fit_sphere(points: Array) -> tuple[Array, float]:
    """Centre and radius by linear least squares."""
    system = np.concatenate([2 * points, np.ones((len(points), 1))], axis=1)
    solution = np.linalg.lstsq(system, (points**2).sum(axis=1), rcond=None)[0]
    centre = solution[:3]
    return centre, float(np.sqrt(solution[3] + centre @ centre))
