"""What each pixel centre sees of a triangle mesh. Exact and unfiltered, in plain array arithmetic.

A z-buffer rather than a ray tracer: the mesh moves every frame, so a tree built for one frame costs more than
it saves, and elementwise float64 gives the same bits on every processor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

NEAR_M = 1e-3
"""Faces with a corner nearer to the camera's plane than this, or behind it, are not seen."""

_EDGE = -1e-9
"""A pixel centre with a weight this little below zero counts as inside: no cracks between faces."""


_CHUNK = 1 << 15
"""Pairs of a face and a pixel that are tried at once."""

_TILE = 8


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
        x, y = x / depth, y / depth
        self._x = tuple(x[corner] for corner in faces.T)
        self._y = tuple(y[corner] for corner in faces.T)
        self._depth = tuple(depth[corner] for corner in faces.T)
        self._left, self._right = _least(*self._x), _greatest(*self._x)
        self._top, self._bottom = _least(*self._y), _greatest(*self._y)

    def hits(self, height: int, width: int) -> Hits:
        """What the pixel centres of an H x W picture see. Of equally near faces one that shows its front
        wins, then the first."""
        buffer = _Buffer(height, width)
        first_column, last_column = _centres(self._left, self._right, width)
        first_row, last_row = _centres(self._top, self._bottom, height)
        spans = first_column, last_column, first_row, last_row
        covers = (first_column <= last_column) & (first_row <= last_row)
        back = self._seen_from_behind()
        self._draw(np.flatnonzero(covers & ~back), spans, buffer)
        self._draw(self._unhidden(np.flatnonzero(covers & back), spans, buffer), spans, buffer)
        mask = buffer.face >= 0
        face, pixel = buffer.face[mask], np.flatnonzero(mask)
        planes = self._planes(face)
        first, second = planes.weights(slice(None), pixel % width + 0.5, pixel // width + 0.5)
        depth = planes.depth(slice(None), first, second)
        # Weights in the picture, over the corners' depths, are the weights in space (perspective).
        first, second = (
            flat * depth / corner[face] for flat, corner in zip((first, second), self._depth[:2], strict=True)
        )
        return Hits(
            mask=mask.reshape(height, width),
            face=self._index[face],
            barycentric=np.stack([first, second, 1 - first - second], axis=1).astype(np.float32),
            depth=depth.astype(np.float32),
            back=back[face],
        )

    def depth_at(self, pixels: Array) -> Array:
        """z-depth [N] of the nearest surface on the rays through ``pixels`` [N, 2] (which lie in the picture,
        not far outside); infinite where there is none."""
        nearest = np.full(len(pixels), np.inf)
        x, y = pixels[:, None, 0], pixels[:, None, 1]
        near = np.flatnonzero(self._touches(pixels))
        point, candidate = np.nonzero(
            (self._left[near] <= x) & (x <= self._right[near]) & (self._top[near] <= y) & (y <= self._bottom[near])
        )
        planes = self._planes(near)
        inside, depth = planes.meet(candidate, *pixels[point].T)
        np.minimum.at(nearest, point[inside], depth)
        return nearest

    def _draw(self, faces: Array, spans: tuple[Array, Array, Array, Array], buffer: _Buffer) -> None:
        """Bring the nearest of some faces into the buffer, so many at a time that arrays stay in cache."""
        first_column, last_column, first_row, last_row = (span[faces] for span in spans)
        columns = last_column - first_column + 1
        count = columns * (last_row - first_row + 1)
        ends = np.cumsum(count)
        cuts = np.searchsorted(ends, np.arange(_CHUNK, ends[-1] if len(ends) else 0, _CHUNK))
        planes = self._planes(faces)
        for part in np.split(np.arange(len(faces)), cuts):
            times = count[part]
            starts = np.repeat(np.cumsum(times) - times, times)
            within = np.arange(len(starts), dtype=np.int32) - starts
            line = within // np.repeat(columns[part], times)
            column = np.repeat(first_column[part], times) + within - line * np.repeat(columns[part], times)
            row = np.repeat(first_row[part], times) + line
            face = np.repeat(part, times)
            inside, depth = planes.meet(face, column + 0.5, row + 0.5)
            buffer.put((row * buffer.size[1] + column)[inside], depth, faces[face[inside]])

    def _planes(self, faces: Array) -> _Planes:
        (ax, bx, cx), (ay, by, cy) = ([corner[faces] for corner in axis] for axis in (self._x, self._y))
        ax, bx, ay, by = ax - cx, bx - cx, ay - cy, by - cy
        near_a, near_b, near_c = (1 / corner[faces] for corner in self._depth)
        with np.errstate(divide="ignore"):
            scale = 1 / (ax * by - ay * bx)
        return _Planes(
            cx, cy, by * scale, -bx * scale, -ay * scale, ax * scale, near_a - near_c, near_b - near_c, near_c
        )

    def _seen_from_behind(self) -> Array:
        """bool [F]. Pixel y points down, so a front's corners run clockwise in the picture."""
        (ax, bx, cx), (ay, by, cy) = self._x, self._y
        return (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) > 0

    def _unhidden(self, faces: Array, spans: tuple[Array, Array, Array, Array], buffer: _Buffer) -> Array:
        """Those of some faces that may be nearer than what is in the buffer already.

        A face that touches at most 2 x 2 tiles is hidden when the farthest depth in each of them is nearer
        than the face's nearest corner (Greene et al., "Hierarchical Z-buffer visibility", 1993).
        """
        farthest = buffer.farthest_by_tile()
        left, right, top, bottom = (span[faces] // _TILE for span in spans)
        behind = np.maximum(
            np.maximum(farthest[top, left], farthest[top, right]),
            np.maximum(farthest[bottom, left], farthest[bottom, right]),
        )
        large = (right - left > 1) | (bottom - top > 1)
        return faces[large | (_least(*self._depth)[faces] <= behind)]

    def _touches(self, pixels: Array) -> Array:
        """bool [F]: whether a face's bounds and any of the ``pixels`` [N, 2] share a whole pixel."""
        cells = np.floor(pixels).astype(np.int64)
        base = cells.min(axis=0, initial=0)
        cells -= base
        columns, rows = cells.max(axis=0, initial=0) + 1
        counts = np.zeros((rows + 1, columns + 1), np.int64)
        np.add.at(counts, (cells[:, 1] + 1, cells[:, 0] + 1), 1)
        counts = counts.cumsum(axis=0).cumsum(axis=1)
        left, right = (np.clip(np.floor(e) - base[0], -1, columns).astype(int) for e in (self._left, self._right))
        top, bottom = (np.clip(np.floor(e) - base[1], -1, rows).astype(int) for e in (self._top, self._bottom))
        left, top = np.clip(left, 0, columns), np.clip(top, 0, rows)
        right, bottom = np.clip(right + 1, left, columns), np.clip(bottom + 1, top, rows)
        return counts[bottom, right] - counts[top, right] - counts[bottom, left] + counts[top, left] > 0


@dataclass(frozen=True)
class _Planes:
    """Faces in the picture: barycentric weights of corners 0 and 1, and one over depth, are linear there."""

    x: Array
    y: Array
    first_x: Array
    first_y: Array
    second_x: Array
    second_y: Array
    near_first: Array
    near_second: Array
    near: Array

    def meet(self, face: Array, x: Array, y: Array) -> tuple[Array, Array]:
        """Which picture points (x, y) [M] lie in their ``face`` [M] (indices), and the depths of those."""
        first, second = self.weights(face, x, y)
        inside = np.flatnonzero(_least(first, second, 1 - first - second) >= _EDGE)
        return inside, self.depth(face[inside], first[inside], second[inside])

    def weights(self, face: Array | slice, x: Array, y: Array) -> tuple[Array, Array]:
        x, y = x - self.x[face], y - self.y[face]
        return (
            self.first_x[face] * x + self.first_y[face] * y,
            self.second_x[face] * x + self.second_y[face] * y,
        )

    def depth(self, face: Array | slice, first: Array, second: Array) -> Array:
        return 1 / (self.near[face] + first * self.near_first[face] + second * self.near_second[face])


class _Buffer:
    """Nearest depth and its face at each pixel; -1 where nothing was drawn."""

    def __init__(self, height: int, width: int) -> None:
        self.size = height, width
        self.depth = np.full(height * width, np.inf)
        self.face = np.full(height * width, -1)

    def put(self, pixel: Array, depth: Array, face: Array) -> None:
        nearer = np.flatnonzero(depth < self.depth[pixel])
        pixel, depth, face = pixel[nearer], depth[nearer], face[nearer]
        np.minimum.at(self.depth, pixel, depth)
        won = np.flatnonzero(depth == self.depth[pixel])[::-1]
        self.face[pixel[won]] = face[won]

    def farthest_by_tile(self) -> Array:
        height, width = self.size
        rows, columns = -(-height // _TILE), -(-width // _TILE)
        padded = np.full((rows * _TILE, columns * _TILE), -np.inf)
        padded[:height, :width] = self.depth.reshape(height, width)
        return padded.reshape(rows, _TILE, columns, _TILE).max(axis=(1, 3))


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
    """First and last pixel whose centres lie in [low, high] and in a picture ``size`` wide; int32."""
    first = np.ceil(np.clip(low, 0, size) - 0.5).astype(np.int32)
    last = np.floor(np.clip(high, -1, size - 0.5) - 0.5).astype(np.int32)
    return first, last


def _least(a: Array, b: Array, c: Array) -> Array:
    return np.minimum(np.minimum(a, b), c)


def _greatest(a: Array, b: Array, c: Array) -> Array:
    return np.maximum(np.maximum(a, b), c)


def _dot(a: Array, b: Array) -> Array:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Array, b: Array) -> Array:
    """As np.cross for [3, N], and several times faster."""
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def _unit(vectors: Array) -> Array:
    return vectors / np.maximum(np.sqrt(_dot(vectors, vectors)), 1e-20)
