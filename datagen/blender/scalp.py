"""The head as its hair meets it: where hair grows, and the skin it must stay out of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, cKDTree

from datagen.blender.noise import fractal_noise, smoothstep
from datagen.geometry.normals import vertex_normals
from datagen.geometry.posed import PosedClip
from datagen.geometry.regions import FIELD_WIDTH_M

Array = NDArray[Any]

SCALP_FROM = 0.35
"""Least value of the scalp's field, at the densest corner of a face, where roots are tried."""

_WELL_WITHIN = 0.88
"""A lock may stray this far over the cheek, by eye."""


class Scalp:
    """In rest space, metres. ``covered_ears`` are smooth bumps that hair slides over."""

    def __init__(self, posed: PosedClip, covered_ears: bool = False) -> None:
        surface, regions = posed.surface, posed.regions
        rest = posed.rest.astype(np.float64)
        self._rest, self._field = rest, regions.scalp
        self._faces = surface.faces[surface.part == 0]
        self._vertex_normals = vertex_normals(rest, self._faces).astype(np.float64)
        self.marks = posed.rest_landmarks.astype(np.float64)
        skin = surface.vertices_of("skin")
        ears = skin[regions.ears[skin] > 0.5]
        inside = rest[self._field > 0.5]
        self.top = inside[:, 1].max()
        self.centre = np.array([0.0, (self.top + self.marks[[0, 16], 1].mean()) / 2 - 0.005, inside[:, 2].mean()])
        self.half_width = np.abs(inside[:, 0]).max()
        self.back = inside[:, 2].min()
        middle = inside[np.abs(inside[:, 0]) < 0.02]
        self.hairline = middle[middle[:, 2] > self.centre[2] + 0.02, 1].min()
        self.eye_height = self.marks[36:48, 1].mean()
        self.chin_height = self.marks[8, 1]
        self.ear_top = rest[ears, 1].max(initial=self.eye_height + 0.01)
        self.ear_z = rest[ears, 2].mean() if len(ears) else self.marks[[0, 16], 2].mean() - 0.02
        self._points, self._normals = rest[skin], self._vertex_normals[skin]
        self._is_ear = regions.ears[skin] > 0.5
        if covered_ears:
            self._cover_ears()
        self._tree = cKDTree(self._points)

    def roots(self, count: int, bare: Any, rng: np.random.Generator) -> tuple[Array, Array]:
        """Roots and normals [<= count, 3], even by area, the hairline uneven by a few millimetres.

        ``bare``: function of points [N, 3] that gives the share of them without hair.
        """
        corners = self._rest[self._faces]
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        area *= self._field[self._faces].max(axis=1) > SCALP_FROM
        face = np.searchsorted(np.cumsum(area) / area.sum(), rng.random(count))
        u, v = rng.random((2, count))
        flip = u + v > 1
        u, v = np.where(flip, 1 - u, u), np.where(flip, 1 - v, v)
        weights = np.stack([1 - u - v, u, v], axis=1)
        vertex = self._faces[face]
        roots = np.einsum("nk,nkx->nx", weights, self._rest[vertex])
        distance = (np.einsum("nk,nk->n", weights, self._field[vertex]) - 0.5) * FIELD_WIDTH_M
        density = smoothstep(-0.003, 0.004, distance + 0.002 * fractal_noise(roots, 0.008, 2, 5))
        keep = rng.random(count) < density * (1 - bare(roots))
        normals = np.einsum("nk,nkx->nx", weights, self._vertex_normals[vertex])
        return roots[keep], unit(normals[keep])

    def height(self, points: Array) -> tuple[Array, Array]:
        """Height [...] of points [..., 3] over the nearest skin, and its normal [..., 3]."""
        nearest = self._tree.query(points.reshape(-1, 3))[1].reshape(points.shape[:-1])
        normal = self._normals[nearest]
        return np.einsum("...x,...x->...", points - self._points[nearest], normal), normal

    def push_out(self, points: Array, clearance_m: Any) -> Array:
        """Points [..., 3] that lie deeper than ``clearance_m`` over the skin moved out to it."""
        height, normal = self.height(points)
        return points + np.maximum(clearance_m - height, 0)[..., None] * normal

    def lay(self, points: Array, height_m: Any, hold: Any, straight: Any = 0.0) -> Array:
        """Points [N, 3] lower than ``height_m`` over the skin lifted to it; a share ``hold`` of what is higher
        taken away. Where ``straight`` is 1 none slides sideways off the shoulders, where the skin faces up."""
        height, normal = self.height(points)
        move = np.maximum(height_m - height, 0) - hold * np.maximum(height - height_m, 0)
        way = normal.copy()
        way[:, 0] *= 1 - straight * smoothstep(0.2, 0.5, normal[:, 1])
        way = unit(way)
        return points + (move / np.maximum(np.einsum("nx,nx->n", way, normal), 0.4))[:, None] * way

    def touches_ears(self, points: Array, within_m: float = 0.005) -> Array:
        """Which strands [N, P, 3] come near an ear: a barber cuts round it."""
        distance, nearest = self._tree.query(points[:, 1:].reshape(-1, 3))
        touches = self._is_ear[nearest] & (distance < within_m)
        return np.asarray(touches.reshape(len(points), -1).any(axis=1))

    def off_the_face(self, points: Array) -> Array:
        """Points [N, 3] in front of the face moved sideways, like a curtain drawn past forehead and cheeks."""
        short = np.maximum(self._curtain(points[:, 1]) - np.abs(points[:, 0]), 0) * self._before(points)
        side = np.where(points[:, 0] >= 0, 1.0, -1.0)
        return points + np.stack([side * short, np.zeros(len(points)), -0.5 * short], axis=1)

    def cross_the_face(self, points: Array) -> Array:
        """Which strands [N, P, 3] hang well within that curtain somewhere between brows and chin."""
        y = points[..., 1]
        inside = np.abs(points[..., 0]) < _WELL_WITHIN * self._curtain(y)
        level = (y < self.marks[17:27, 1].max()) & (y > self.chin_height)
        return np.asarray((inside & level & (self._before(points) > 0.5)).any(axis=1))

    def _before(self, points: Array) -> Array:
        """1 on points in front of the temples, 0 behind."""
        temple = self.marks[[36, 45], 2].mean() - 0.03
        return smoothstep(temple - 0.01, temple + 0.01, points[..., 2])

    def _curtain(self, height: Array) -> Array:
        """How far from the middle hair hangs beside the face at these heights, metres."""
        brow, hairline = self.marks[17:27, 1].max(), self.hairline
        heights = [
            self.chin_height - 0.07, self.chin_height - 0.02, self.eye_height, brow,
            0.4 * brow + 0.6 * hairline, hairline,
        ]  # fmt: skip
        return np.interp(height, heights, [0.75, 0.85, 0.92, 0.86, 0.62, 0.0]) * np.abs(self.marks[[0, 16], 0]).mean()

    def surface_towards(self, direction: Array) -> tuple[Array, Array]:
        """Point and normal [3] of the scalp in a direction from its centre."""
        rays = unit(self._points - self.centre)
        index = (rays @ unit(direction)).argmax()
        return self._points[index], self._normals[index]

    def _cover_ears(self) -> None:
        """Each ear, with the skin around it, gives way to the outside of its convex hull."""
        ears = self._points[self._is_ear]
        if len(ears) < 8:
            return
        around = cKDTree(ears).query(self._points)[0] < 0.010
        kept, normals = [self._points[~around]], [self._normals[~around]]
        for side in (-1.0, 1.0):
            cloud = self._points[around & (side * self._points[:, 0] > 0.03)]
            if len(cloud) < 8:
                continue
            hull = ConvexHull(cloud)
            outward = side * hull.equations[:, 0] > 0.15
            corners = cloud[hull.simplices[outward]]
            share = np.array([[i, j, 8 - i - j] for i in range(9) for j in range(9 - i)]) / 8
            kept.append(np.einsum("sk,fkx->fsx", share, corners).reshape(-1, 3))
            normals.append(np.repeat(hull.equations[outward, :3], len(share), axis=0))
        self._points, self._normals = np.concatenate(kept), np.concatenate(normals)
        self._is_ear = np.zeros(len(self._points), bool)


def unit(vectors: Array) -> Array:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
