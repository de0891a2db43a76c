"""Normals of a smoothly shaded mesh: at its vertices, and at what pixels see of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.geometry.raster import Hits

Array = NDArray[Any]


def vertex_normals(vertices: Array, faces: Array) -> Array:
    """Unit normals float32 [V, 3]: mean of the face normals at a vertex, weighted by corner angle.

    The weighting of Blender's smooth shading (Thürmer and Wüthrich, "Computing vertex normals from polygonal
    facets", 1998). A vertex of no face gets a zero vector.
    """
    corners = np.ascontiguousarray(faces.T)
    columns = np.ascontiguousarray(vertices.T, np.float64)
    a, b, c = (columns.take(corner, axis=1) for corner in corners)
    ab, bc, ca = _unit(b - a), _unit(c - b), _unit(a - c)
    normal = _unit(_cross(ab, bc))
    out = np.zeros_like(columns)
    for corner, arriving, leaving in zip(corners, (ca, ab, bc), (ab, bc, ca), strict=True):
        angle = np.arccos(np.clip(-_dot(arriving, leaving), -1, 1))
        for axis in range(3):
            out[axis] += np.bincount(corner, angle * normal[axis], minlength=len(vertices))
    return np.ascontiguousarray(_unit(out).T, np.float32)


def shading_normals(hits: Hits, faces: Array, normals: Array) -> Array:
    """Unit world-space normals [N, 3] at the hits, interpolated from vertex ``normals`` [V, 3].

    They face the viewer on surfaces seen from behind, as Blender's normal pass does.
    """
    out = _unit(hits.interpolate(faces, normals).T).T
    return np.where(hits.back[:, None], -out, out)


def _dot(a: Array, b: Array) -> Array:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Array, b: Array) -> Array:
    """As np.cross for [3, N], and several times faster."""
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def _unit(vectors: Array) -> Array:
    return vectors / np.maximum(np.sqrt(_dot(vectors, vectors)), 1e-20)
