"""Lines that age draws: across the forehead, beside and under the eyes, from the nose to the mouth's corners."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from datagen.geometry.posed import PosedClip
from manifests.clip import Appearance

Array = NDArray[Any]

DEEPEST_M = 0.0010
_WIDTH_M = 0.0012
_POINTS = 60


class Wrinkles:
    """The lines of one person, strongest on the oldest."""

    def __init__(self, posed: PosedClip, appearance: Appearance, age_years: float) -> None:
        rng = np.random.default_rng([appearance.seed, 73])
        aged = float(np.interp(age_years, [30, 78], [0, 1]))
        fold = float(np.interp(age_years, [22, 65], [0, 1]))
        marks = posed.rest_landmarks.astype(np.float64)
        skin = posed.surface.vertices_of("skin")
        rest = posed.rest[skin].astype(np.float64)
        self._front = rest[rest[:, 2] > marks[[0, 16], 2].mean()]
        self._lines: list[tuple[Array, Array]] = []
        for side, corner, wing, mouth, lid in ((-1.0, 36, 31, 48, (41, 40)), (1.0, 45, 35, 54, (46, 47))):
            out = np.array([side, 0.0])
            for angle in np.deg2rad([-28.0, -6.0, 16.0] + rng.uniform(-5, 5, 3)):
                ray = np.array([side * np.cos(angle), np.sin(angle)])
                start = marks[corner, :2] + 0.006 * ray
                self._add(start, start + 0.006 * ray, start + (0.012 + 0.006 * rng.random()) * ray, 0.7 * aged)
            begin, end = marks[wing, :2] + 0.005 * out + [0, 0.004], marks[mouth, :2] + 0.007 * out - [0, 0.001]
            self._add(begin, (begin + end) / 2 + 0.006 * out, end, 0.25 * fold + 0.6 * aged)
            below = marks[list(lid), :2].mean(axis=0) - [0, 0.008]
            self._add(below - 0.011 * out, below - [0, 0.003], below + [0.012 * side, 0.003], 0.2 * fold + 0.4 * aged)
        brow = marks[17:27, 1].max()
        third = brow - marks[33, 1]
        for step in (0.25, 0.45, 0.64):
            height = brow + third * (step + 0.05 * rng.uniform(-1, 1))
            reach = 0.030 * rng.uniform(0.7, 1.0)
            middle = np.array([0.004 * rng.uniform(-1, 1), height])
            self._add(middle - [reach, -0.002], middle - [0, 0.003], middle + [reach, 0.002], 0.75 * aged)

    def depth_at(self, points: Array) -> Array:
        """How deep the skin lies in a line at points [N, 3]: [N] in [0, 1], of ``DEEPEST_M``."""
        line = np.concatenate([line for line, _ in self._lines])
        strength = np.concatenate([strength for _, strength in self._lines])
        distance, index = cKDTree(line).query(points, distance_upper_bound=4 * _WIDTH_M)
        near = np.isfinite(distance)
        depth = np.zeros(len(points))
        depth[near] = strength[index[near]] * np.exp(-((distance[near] / _WIDTH_M) ** 2))
        return depth

    def _add(self, start: Array, through: Array, end: Array, strength: float) -> None:
        """A line seen from the front, laid on the skin, fading towards its ends; positions [2] in metres."""
        t = np.linspace(0, 1, _POINTS)[:, None]
        flat = (1 - t) ** 2 * start + 2 * t * (1 - t) * through + t**2 * end
        near = cKDTree(self._front[:, :2]).query(flat, k=6)[1]
        depth = np.sort(self._front[near, 2], axis=1)[:, -3:].mean(axis=1)
        fade = np.sin(np.pi * np.clip(0.12 + 0.76 * t[:, 0], 0, 1))
        self._lines.append((np.column_stack([flat, depth]), strength * fade))
