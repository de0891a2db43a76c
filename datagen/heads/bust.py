"""Cuts the figure to a bust along a smooth surface.

A vertex of the cut edge is a fixed linear combination of the two ends of the edge it lies on, so it moves
with every identity, expression and bone, and the edge stays smooth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

DEPTH = 0.205
"""How far the bust reaches below the neck joint, metres: above the armpits, so that one edge runs around
it."""


@dataclass(frozen=True)
class Cut:
    """What is left: new vertex i is (1 - share[i]) * old[first[i]] + share[i] * old[second[i]];
    faces [F, 3], part [F], and the same for texture coordinates."""

    first: Array
    second: Array
    share: Array
    faces: Array
    part: Array
    uv: Array
    uv_faces: Array

    def vertices(self, values: Array, axis: int = 0) -> Array:
        """Carry values [..., V, ...] at the old vertices over to the new ones."""
        shape = [1] * values.ndim
        shape[axis] = -1
        share = self.share.reshape(shape)
        return (1 - share) * values.take(self.first, axis) + share * values.take(self.second, axis)


def bust_field(points: Array) -> Array:
    """Positive [...] inside the bust: above a shallow bowl, deepest below the neck."""
    bowl = 0.5 * (points[..., 0] ** 2 + points[..., 2] ** 2)
    return points[..., 1] + DEPTH - bowl


def cut(vertices: Array, faces: Array, part: Array, uv: Array, uv_faces: Array, field: Callable[[Array], Array]) -> Cut:
    """Keep what lies where ``field`` is positive; triangles that cross are clipped exactly on its zero
    surface."""
    value = field(vertices)
    inside = value > 0
    count = inside[faces].sum(axis=1)
    whole = np.flatnonzero(count == 3)
    corner_edges = _Edges(vertices, field)
    uv_edges: dict[tuple[int, int, float], int] = {}
    new_faces, new_part, new_uv_faces = [faces[whole]], [part[whole]], [uv_faces[whole]]
    uv_first, uv_second, uv_share = [], [], []

    def uv_vertex(a: int, b: int, share: float) -> int:
        key = (a, b, share) if a < b else (b, a, 1 - share)
        if key not in uv_edges:
            uv_edges[key] = len(uv) + len(uv_edges)
            uv_first.append(key[0])
            uv_second.append(key[1])
            uv_share.append(key[2])
        return uv_edges[key]

    for face in np.flatnonzero((count > 0) & (count < 3)):
        polygon, uv_polygon = [], []
        for k in range(3):
            a, b = int(faces[face, k]), int(faces[face, (k + 1) % 3])
            uv_a, uv_b = int(uv_faces[face, k]), int(uv_faces[face, (k + 1) % 3])
            if inside[a]:
                polygon.append(a)
                uv_polygon.append(uv_a)
            if inside[a] != inside[b]:
                index, share = corner_edges.crossing(a, b)
                polygon.append(len(vertices) + index)
                uv_polygon.append(uv_vertex(uv_a, uv_b, share))
        fan = [(0, k, k + 1) for k in range(1, len(polygon) - 1)]
        new_faces.append(np.array(polygon)[fan])
        new_uv_faces.append(np.array(uv_polygon)[fan])
        new_part.append(np.full(len(fan), part[face], part.dtype))

    all_faces, all_uv_faces = np.concatenate(new_faces), np.concatenate(new_uv_faces)
    plain = np.arange(len(vertices))
    used, all_faces = np.unique(all_faces, return_inverse=True)
    uv_used, all_uv_faces = np.unique(all_uv_faces, return_inverse=True)
    shares = np.array(uv_share)[:, None]
    crossed_uv = (1 - shares) * uv[uv_first] + shares * uv[uv_second]
    return Cut(
        first=np.append(plain, corner_edges.first)[used],
        second=np.append(plain, corner_edges.second)[used],
        share=np.append(np.zeros(len(vertices)), corner_edges.share)[used],
        faces=all_faces.reshape(-1, 3),
        part=np.concatenate(new_part),
        uv=np.concatenate([uv, crossed_uv])[uv_used],
        uv_faces=all_uv_faces.reshape(-1, 3),
    )


class _Edges:
    """Crossing points on mesh edges, one for each edge however many triangles share it."""

    def __init__(self, vertices: Array, field: Callable[[Array], Array]) -> None:
        self._vertices, self._field = vertices, field
        self._index: dict[tuple[int, int], int] = {}
        self.first: list[int] = []
        self.second: list[int] = []
        self.share: list[float] = []

    def crossing(self, a: int, b: int) -> tuple[int, float]:
        """Index among the crossings and the share of ``b`` in the point."""
        key = (min(a, b), max(a, b))
        if key not in self._index:
            self._index[key] = len(self.share)
            self.first.append(key[0])
            self.second.append(key[1])
            self.share.append(self._root(*key))
        index = self._index[key]
        return index, self.share[index] if a == key[0] else 1 - self.share[index]

    def _root(self, a: int, b: int) -> float:
        """Bisection on the segment: the field need not be linear along it."""
        p, q = self._vertices[a], self._vertices[b]
        sign = self._field(p) > 0
        low, high = 0.0, 1.0
        for _ in range(30):
            middle = (low + high) / 2
            if (self._field((1 - middle) * p + middle * q) > 0) == sign:
                low = middle
            else:
                high = middle
        return round(low, 7)  # the same on every processor
