"""What each pixel centre sees of a triangle mesh. Exact and unfiltered.

A z-buffer rather than a ray tracer: the mesh moves every frame, so a tree built for one frame costs more than
it saves. Compiled loops in float64 that add up in the order written give the same bits on every processor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

NEAR_M = 1e-3
"""Faces with a corner nearer to the camera's plane than this, or behind it, are not seen."""

_EDGE = -1e-9
"""A pixel centre with a weight this little below zero counts as inside: no cracks between faces."""

_compiled = njit(cache=True, error_model="numpy")


@dataclass(frozen=True)
class Hits:
    """The nearest surface at each pixel centre of one picture; N of the H x W pixels see the mesh."""

    mask: Array
    """bool [H, W]: where there is a surface."""
    face: Array
    """int32 [N], in row-major order of the mask."""
    barycentric: Array
    """float32 [N, 3]: weights of the face's corners."""
    depth: Array
    """float32 [N]: z-depth in metres."""
    back: Array
    """bool [N]: the face is seen from behind."""

    def interpolate(self, faces: Array, values: Array) -> Array:
        """Vertex values [V, C] at the hits: [N, C]."""
        channels = np.ascontiguousarray(values.T)
        corners = (channels.take(corner, axis=1) for corner in faces.take(self.face, axis=0).T)
        a, b, c = (weight * value for weight, value in zip(self.barycentric.T, corners, strict=True))
        return (a + b + c).T

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
        self._faces = np.ascontiguousarray(faces, np.int32)
        self._points = _project(np.ascontiguousarray(vertices, np.float64), transform)

    def hits(self, height: int, width: int) -> Hits:
        """What the pixel centres of an H x W picture see. Of equally near faces one that shows its front
        wins, then the first."""
        nearest, back = _draw(self._points, self._faces, height, width)
        mask = nearest >= 0
        face, pixel = nearest[mask], np.flatnonzero(mask)
        barycentric, depth = _meet(self._points, self._faces, face, pixel % width + 0.5, pixel // width + 0.5)
        return Hits(mask.reshape(height, width), face, barycentric, depth, back[mask])

    def depth_at(self, pixels: Array) -> Array:
        """z-depth [N] of the nearest surface on the rays through ``pixels`` [N, 2] (which lie in the picture,
        not far outside); infinite where there is none."""
        return _depth_at(self._points, self._faces, np.ascontiguousarray(pixels, np.float64))


@_compiled
def _project(vertices: Array, transform: Array) -> Array:
    """World metres [V, 3] -> pixel x and y, and z-depth [V, 3]; depth is negative where nothing is seen."""
    out = np.empty_like(vertices)
    for i in range(len(vertices)):
        x, y, z = vertices[i]
        for k in range(3):
            out[i, k] = transform[k, 0] * x + transform[k, 1] * y + transform[k, 2] * z + transform[k, 3]
        if out[i, 2] >= NEAR_M:
            out[i, 0] /= out[i, 2]
            out[i, 1] /= out[i, 2]
        else:
            out[i, 2] = -1.0
    return out


@_compiled
def _draw(points: Array, faces: Array, height: int, width: int) -> tuple[Array, Array]:
    """The nearest face int32 [H W], -1 where there is none, and whether it is seen from behind bool [H W]."""
    nearest = np.full(height * width, np.inf)
    face = np.full(height * width, -1, np.int32)
    behind = np.zeros(height * width, np.bool_)
    for i in range(len(faces)):
        a, b, c = points[faces[i, 0]], points[faces[i, 1]], points[faces[i, 2]]
        area = _area(a, b, c)
        if not _drawable(a, b, c, area):
            continue
        left, right = min(a[0], b[0], c[0]), max(a[0], b[0], c[0])
        top, bottom = min(a[1], b[1], c[1]), max(a[1], b[1], c[1])
        if left >= width or right <= 0 or top >= height or bottom <= 0:
            continue
        # Pixel y points down, so a front's corners run counterclockwise on paper where this is negative.
        back = area > 0
        for row in range(int(np.ceil(max(top, 0.0) - 0.5)), int(np.floor(min(bottom, height - 0.5) - 0.5)) + 1):
            for column in range(int(np.ceil(max(left, 0.0) - 0.5)), int(np.floor(min(right, width - 0.5) - 0.5)) + 1):
                first, second = _weights(a, b, c, area, column + 0.5, row + 0.5)
                if min(first, second, 1 - first - second) < _EDGE:
                    continue
                depth, pixel = _depth(a, b, c, first, second), row * width + column
                if depth < nearest[pixel] or (depth == nearest[pixel] and behind[pixel] and not back):
                    nearest[pixel], face[pixel], behind[pixel] = depth, i, back
    return face, behind


@_compiled
def _meet(points: Array, faces: Array, face: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Where the rays through picture points (x, y) [N] meet their faces: weights float32 [N, 3], z-depth [N]."""
    weights, depths = np.empty((len(face), 3), np.float32), np.empty(len(face), np.float32)
    for i in range(len(face)):
        a, b, c = points[faces[face[i], 0]], points[faces[face[i], 1]], points[faces[face[i], 2]]
        first, second = _weights(a, b, c, _area(a, b, c), x[i], y[i])
        depth = _depth(a, b, c, first, second)
        # Weights in the picture, over the corners' depths, are the weights in space (perspective).
        first, second = first * depth / a[2], second * depth / b[2]
        weights[i, 0], weights[i, 1], weights[i, 2], depths[i] = first, second, 1 - first - second, depth
    return weights, depths


@_compiled
def _depth_at(points: Array, faces: Array, pixels: Array) -> Array:
    nearest = np.full(len(pixels), np.inf)
    if len(pixels) == 0:
        return nearest
    # Points by whole pixel: the first in each, and the next in the same.
    west, north = int(np.floor(pixels[:, 0].min())), int(np.floor(pixels[:, 1].min()))
    columns, rows = int(np.floor(pixels[:, 0].max())) - west + 1, int(np.floor(pixels[:, 1].max())) - north + 1
    start, following = np.full((rows, columns), -1), np.full(len(pixels), -1)
    for i in range(len(pixels)):
        row, column = int(np.floor(pixels[i, 1])) - north, int(np.floor(pixels[i, 0])) - west
        following[i], start[row, column] = start[row, column], i
    for k in range(len(faces)):
        a, b, c = points[faces[k, 0]], points[faces[k, 1]], points[faces[k, 2]]
        area = _area(a, b, c)
        if not _drawable(a, b, c, area):
            continue
        left, right = min(a[0], b[0], c[0]) - west, max(a[0], b[0], c[0]) - west
        top, bottom = min(a[1], b[1], c[1]) - north, max(a[1], b[1], c[1]) - north
        if left >= columns or right < 0 or top >= rows or bottom < 0:
            continue
        for row in range(int(np.floor(max(top, 0.0))), int(np.floor(min(bottom, rows - 1.0))) + 1):
            for column in range(int(np.floor(max(left, 0.0))), int(np.floor(min(right, columns - 1.0))) + 1):
                i = start[row, column]
                while i >= 0:
                    first, second = _weights(a, b, c, area, pixels[i, 0], pixels[i, 1])
                    if min(first, second, 1 - first - second) >= _EDGE:
                        nearest[i] = min(nearest[i], _depth(a, b, c, first, second))
                    i = following[i]
    return nearest


@_compiled
def _area(a: Array, b: Array, c: Array) -> float:
    """Twice the signed area in the picture: below zero for a face that shows its front."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


@_compiled
def _drawable(a: Array, b: Array, c: Array, area: float) -> bool:
    """In front of the camera, not seen edge on, and nowhere infinite or not a number."""
    return min(a[2], b[2], c[2]) > 0 and 0 < abs(area) < np.inf


@_compiled
def _weights(a: Array, b: Array, c: Array, area: float, x: float, y: float) -> tuple[float, float]:
    """How much of corners a and b there is at (x, y), in the picture."""
    first = ((b[0] - x) * (c[1] - y) - (b[1] - y) * (c[0] - x)) / area
    second = ((c[0] - x) * (a[1] - y) - (c[1] - y) * (a[0] - x)) / area
    return first, second


@_compiled
def _depth(a: Array, b: Array, c: Array, first: float, second: float) -> float:
    """z-depth: one over it is linear in the picture."""
    return 1 / (first / a[2] + second / b[2] + (1 - first - second) / c[2])
