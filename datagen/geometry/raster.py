"""What each pixel centre sees of a triangle mesh. Exact and unfiltered, in plain array arithmetic.

A z-buffer rather than a ray tracer: the mesh moves every frame, so a tree built for one frame costs more than
it saves, and elementwise float64 gives the same bits on every processor.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

NEAR_M = 1e-3
"""Faces with a corner nearer to the camera's plane than this, or behind it, are not seen."""

_EDGE = -1e-9
"""A pixel centre this little (pixels squared) outside a face counts as inside: no cracks between faces."""


@dataclass(frozen=True)
class Hits:
    """The nearest surface at each pixel centre of one picture; N of the H x W pixels see the mesh."""

    mask: Array
    """bool [H, W]: where there is a surface."""
    face: Array
    """int64 [N], in row-major order of the mask."""
    barycentric: Array
    """float32 [N, 3]: weights of the face's corners."""
    depth: Array
    """float32 [N]: z-depth in metres."""
    back: Array
    """bool [N]: the face is seen from behind."""

    def interpolate(self, faces: Array, values: Array) -> Array:
        """Vertex values [V, C] at the hits: [N, C]."""
        a, b, c = faces[self.face].T
        weights = self.barycentric[:, :, None]
        return weights[:, 0] * values[a] + weights[:, 1] * values[b] + weights[:, 2] * values[c]

    def picture(self, values: Array) -> Array:
        """Values at the hits [N, ...] laid out as a picture [H, W, ...] on a background of zeros."""
        out = np.zeros(self.mask.shape + values.shape[1:], values.dtype)
        out[self.mask] = values
        return out


class View:
    """One mesh before one camera: ``vertices`` [V, 3] in world metres, ``faces`` [F, 3], K [3, 3],
    ``world_to_camera`` [4, 4]."""

    def __init__(self, vertices: Array, faces: Array, intrinsics: Array, world_to_camera: Array) -> None:
        transform = np.asarray(intrinsics, np.float64) @ np.asarray(world_to_camera, np.float64)[:3]
        x, y, depth = transform[:, :3] @ vertices.T.astype(np.float64) + transform[:, 3:]
        front = depth >= NEAR_M
        if front.all():
            self._index = np.arange(len(faces))
        else:
            self._index = np.flatnonzero(front[faces].all(axis=1))
            faces = faces[self._index]
            depth = np.where(front, depth, 1.0)
        self._corners = tuple(np.ascontiguousarray(corner) for corner in faces.T)
        self._x, self._y, self._depth = x / depth, y / depth, depth

    def hits(self, height: int, width: int) -> Hits:
        """What the pixel centres of an H x W picture see. Of equally near faces the first wins."""
        left, right, top, bottom = self._bounds
        first_column, columns = _centres(left, right, width)
        first_row, rows = _centres(top, bottom, height)
        kept = np.flatnonzero((columns > 0) & (rows > 0))
        columns, count = columns[kept], columns[kept] * rows[kept]
        candidate = np.repeat(np.arange(len(kept), dtype=np.int32), count)
        before = np.cumsum(count, dtype=np.int32) - count
        within = np.arange(len(candidate), dtype=np.int32) - before[candidate]
        line = within // columns[candidate]
        column = first_column[kept][candidate] + within - line * columns[candidate]
        row = first_row[kept][candidate] + line

        inside, weights, depth, back = self._meet(kept[candidate], column + 0.5, row + 0.5)
        pixel = row[inside] * width + column[inside]
        nearest = np.full(height * width, np.inf)
        np.minimum.at(nearest, pixel, depth)
        winner = np.full(height * width, -1)
        won = np.flatnonzero(depth == nearest[pixel])[::-1]
        winner[pixel[won]] = won
        mask = winner >= 0
        seen = winner[mask]
        return Hits(
            mask=mask.reshape(height, width),
            face=self._index[kept[candidate[inside[seen]]]],
            barycentric=weights[:, seen].T.astype(np.float32),
            depth=depth[seen].astype(np.float32),
            back=back[seen],
        )

    def depth_at(self, pixels: Array) -> Array:
        """z-depth [N] of the nearest surface on the rays through ``pixels`` [N, 2]; infinite where none."""
        left, right, top, bottom = self._bounds
        nearest = np.full(len(pixels), np.inf)
        heights = np.sort(pixels[:, 1])
        near = np.flatnonzero(np.searchsorted(heights, top) < np.searchsorted(heights, bottom, "right"))
        left, right, top, bottom = left[near], right[near], top[near], bottom[near]
        x, y = pixels[:, None, 0], pixels[:, None, 1]
        point, candidate = np.nonzero((left <= x) & (x <= right) & (top <= y) & (y <= bottom))
        inside, _, depth, _ = self._meet(near[candidate], pixels[point, 0], pixels[point, 1])
        np.minimum.at(nearest, point[inside], depth)
        return nearest

    @cached_property
    def _bounds(self) -> tuple[Array, Array, Array, Array]:
        """Left, right, top and bottom of each face in pixels."""
        a, b, c = self._corners
        out = []
        for flat in (self._x, self._y):
            at_a, at_b, at_c = flat[a], flat[b], flat[c]
            out += [np.minimum(np.minimum(at_a, at_b), at_c), np.maximum(np.maximum(at_a, at_b), at_c)]
        return out[0], out[1], out[2], out[3]

    def _meet(self, face: Array, x: Array, y: Array) -> tuple[Array, Array, Array, Array]:
        """Which picture points (x, y) [M] lie in their face [M]: their indices, then of those the corner
        weights [3, n] in space (perspective-correct), the depth and whether the face is seen from behind.
        """
        a, b, c = (corner[face] for corner in self._corners)
        ax, ay = self._x[a] - x, self._y[a] - y
        bx, by = self._x[b] - x, self._y[b] - y
        cx, cy = self._x[c] - x, self._y[c] - y
        areas = np.stack([bx * cy - by * cx, cx * ay - cy * ax, ax * by - ay * bx])
        total = areas[0] + areas[1] + areas[2]
        areas *= np.sign(total)
        lowest = np.minimum(np.minimum(areas[0], areas[1]), areas[2])
        inside = np.flatnonzero((lowest >= _EDGE) & (total != 0))
        weights = areas[:, inside] / self._depth[np.stack([a[inside], b[inside], c[inside]])]
        over_depth = weights[0] + weights[1] + weights[2]
        depth = np.abs(total[inside]) / over_depth
        # Pixel y points down: a face whose corners run clockwise in the picture shows its front.
        return inside, weights / over_depth, depth, total[inside] > 0


def vertex_normals(vertices: Array, faces: Array) -> Array:
    """Unit normals float32 [V, 3]: mean of the face normals at a vertex, weighted by corner angle.

    The weighting of Blender's smooth shading (Thürmer and Wüthrich, "Computing vertex normals from polygonal
    facets", 1998). A vertex of no face gets a zero vector.
    """
    corners = faces.T
    columns = np.ascontiguousarray(vertices.T, np.float64)
    a, b, c = (columns[:, corner] for corner in corners)
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


def _centres(low: Array, high: Array, size: int) -> tuple[Array, Array]:
    """First pixel whose centre lies in [low, high], and how many do, within a picture ``size`` wide; int32."""
    first = np.ceil(np.clip(low, 0, size) - 0.5).astype(np.int32)
    last = np.floor(np.clip(high, -1, size - 0.5) - 0.5).astype(np.int32)
    return first, np.maximum(last - first + 1, 0)


def _dot(a: Array, b: Array) -> Array:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Array, b: Array) -> Array:
    """As np.cross for [3, N], and several times faster."""
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def _unit(vectors: Array) -> Array:
    return vectors / np.maximum(np.sqrt(_dot(vectors, vectors)), 1e-20)
