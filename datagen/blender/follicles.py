"""The skin as ground that hair grows from: where roots lie, and what strands must stay out of. All at rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from datagen.geometry.head_layout import HeadLayout
from datagen.geometry.normals import vertex_normals
from datagen.geometry.posed import PosedClip

Array = NDArray[Any]


@dataclass(frozen=True)
class Roots:
    """N places on the skin."""

    points: Array
    """float64 [N, 3], metres."""
    normals: Array
    """float64 [N, 3], unit, smooth."""
    corners: Array
    """int [N, 3]: vertices of the triangles they lie in."""
    weights: Array
    """float64 [N, 3], barycentric."""

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, which: Array) -> Roots:
        return Roots(self.points[which], self.normals[which], self.corners[which], self.weights[which])


class Ground:
    """One person's skin at rest."""

    def __init__(self, posed: PosedClip) -> None:
        surface = posed.surface
        self.rest = posed.rest.astype(np.float64)
        self.marks = posed.rest_landmarks.astype(np.float64)
        self.vertices = surface.vertices_of("skin")
        self._faces = surface.faces[surface.part == 0]
        self.normals = vertex_normals(posed.rest, surface.faces).astype(np.float64)
        self._tree = cKDTree(self.rest[self.vertices])
        self.layout = HeadLayout.of(self.rest[self.vertices], self.normals[self.vertices, 0], self.marks)

    def scatter(self, per_m2: float, density: Array, rng: np.random.Generator) -> Roots:
        """Roots strewn evenly by area, thinned by ``density`` [Vs] in [0, 1] at the vertices."""
        faces = self._faces[density[self._faces].max(axis=1) > 0]
        corners = self.rest[faces]
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
        count = round(per_m2 * float(area.sum()))
        at = np.searchsorted(np.cumsum(area), rng.random(count) * area.sum())
        u, v = rng.random((2, count))
        u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
        roots = self._roots(faces[np.minimum(at, len(faces) - 1)], np.stack([1 - u - v, u, v], axis=1))
        kept = rng.random(count) < np.einsum("nk,nk->n", roots.weights, density[roots.corners])
        return roots[kept]

    def closest(self, points: Array, grain: int = 8) -> Roots:
        """The places on the skin closest to ``points`` [N, 3], within an eighth of a triangle's side."""
        near = [np.asarray(found, int) for found in self._tree.query_ball_point(points, 0.004)]
        vertices = self.vertices[np.unique(np.concatenate([*near, self._tree.query(points)[1]]))]
        faces = self._faces[np.isin(self._faces, vertices).any(axis=1)]
        u, v = np.array([(i, j) for i in range(grain + 1) for j in range(grain + 1 - i)]).T / grain
        weights = np.stack([1 - u - v, u, v], axis=1)
        grid = np.einsum("wk,fkx->fwx", weights, self.rest[faces])
        index = cKDTree(grid.reshape(-1, 3)).query(points)[1]
        return self._roots(faces[index // len(weights)], weights[index % len(weights)])

    def closest_vertex(self, points: Array) -> Array:
        """Skin vertices int [...] nearest to ``points`` [..., 3]."""
        return self.vertices[self._tree.query(points)[1]]

    def height(self, points: Array) -> tuple[Array, Array]:
        """Height [...] of points [..., 3] over the nearest skin, and its normal [..., 3]."""
        nearest = self.closest_vertex(points)
        normal = self.normals[nearest]
        return np.einsum("...x,...x->...", points - self.rest[nearest], normal), normal

    def open_to_air(self, vertices: Array) -> Array:
        """bool [N]: which skin vertices have air before them, unlike the inside of mouth and nose."""
        points, normals = self.rest[vertices], self.normals[vertices]
        return np.all([self.height(points + step * normals)[0] > 0 for step in (0.006, 0.012)], axis=0)

    def compass(self, roots: Roots, reach_m: Array) -> Array:
        """int [N, 3]: vertices about ``reach_m`` [N] round each root, or its own triangle where those coincide."""
        side = np.cross(roots.normals, [0.0, 0.0, 1.0] + 0.1 * roots.normals[:, [1, 2, 0]])
        side /= np.linalg.norm(side, axis=1, keepdims=True)
        other = np.cross(roots.normals, side)
        angles = np.deg2rad([90, 210, 330])[:, None, None]
        around = np.cos(angles) * side + np.sin(angles) * other
        vertices = self.closest_vertex(roots.points + reach_m[:, None] * around).T
        a, b, c = self.rest[vertices].transpose(1, 0, 2)
        wide = np.linalg.norm(np.cross(b - a, c - a), axis=1) > 0.3 * reach_m**2
        return np.where(wide[:, None], vertices, roots.corners)

    def _roots(self, corners: Array, weights: Array) -> Roots:
        points = np.einsum("nk,nkx->nx", weights, self.rest[corners])
        return Roots(points, unit(np.einsum("nk,nkx->nx", weights, self.normals[corners])), corners, weights)


def unit(vectors: Array) -> Array:
    """Vectors [..., 3] scaled to length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def laid(directions: Array, normals: Array, lift: Array | float) -> Array:
    """Directions [N, 3] turned along the skin, then raised off it by ``lift`` (0 along it, 1 straight up)."""
    along = unit(directions - np.einsum("nx,nx->n", directions, normals)[:, None] * normals)
    share = np.broadcast_to(lift, len(normals))[:, None]
    return unit((1 - share) * along + share * normals)
