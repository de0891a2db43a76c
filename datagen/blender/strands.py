"""Strands of hair in rest space, grown in numpy: the same person always has the same hair.

A few thousand guides grow over the scalp step by step: along the style's comb direction, pulled down, pushed
out of the skin and off the face. Every strand then follows the guide nearest to its root, at its own offset,
drawn towards it near the tip, as locks are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from datagen.blender.noise import fractal_noise, smoothstep, value_noise
from datagen.geometry.posed import PosedClip
from datagen.geometry.regions import FIELD_WIDTH_M
from manifests.clip import Appearance

Array = NDArray[Any]


@dataclass(frozen=True)
class Style:
    """How one cut grows. Lengths in metres, shares in [0, 1]."""

    strands: int
    points: int
    """Control points of a strand."""
    radius_m: float
    body_m: float
    """Height of the hair's middle over the skin."""
    lift: float
    """Share of the skin's normal in the first direction."""
    gravity: float
    """Share of the way down in each new direction."""
    clump: float
    """Share of its offset from its guide that a strand gives up at its tip."""
    frizz_m: float


STYLES = {
    "buzz": Style(24000, 2, 0.00014, 0.001, lift=0.75, gravity=0.0, clump=0.0, frizz_m=0.0006),
    "short": Style(14000, 5, 0.00022, 0.009, lift=0.50, gravity=0.06, clump=0.60, frizz_m=0.0016),
    "bob": Style(10000, 8, 0.00030, 0.011, lift=0.30, gravity=0.42, clump=0.45, frizz_m=0.0016),
}

_GUIDES = 1500
_STEPS = 20


@dataclass(frozen=True)
class Strands:
    """points float32 [N, P, 3], rest-space metres, root first; radius float32 [N, P], metres."""

    points: Array
    radius: Array


def grow(posed: PosedClip, appearance: Appearance, thickness: float = 1.0) -> Strands | None:
    """The person's hair, or None for a bald one. ``thickness`` scales the strands' radii."""
    if appearance.hair_style == "bald":
        return None
    style = STYLES[appearance.hair_style]
    rng = np.random.default_rng([appearance.seed, 31])
    scalp = _Scalp(posed)
    roots, normals = scalp.sample(style.strands, rng)
    guides_at = np.sort(rng.choice(len(roots), min(_GUIDES, len(roots)), replace=False))
    comb = _Comb(appearance, scalp, rng)
    guides = _grow_guides(roots[guides_at], normals[guides_at], style, comb, scalp, rng)
    points = _follow(guides, roots, normals, style, rng)
    if appearance.hair_style != "bob":
        points = points[~scalp.over_ears(points)]
    points = scalp.push_out(points, 0.0004)
    taper = np.linspace(1.0, 0.35, style.points) ** 0.7
    radius = style.radius_m * thickness * taper * rng.uniform(0.8, 1.2, (len(points), 1))
    return Strands(points.astype(np.float32), radius.astype(np.float32))


class _Scalp:
    """Where hair grows, and the skin it must stay out of."""

    def __init__(self, posed: PosedClip) -> None:
        surface = posed.surface
        self._rest = posed.rest.astype(np.float64)
        self._faces = surface.faces[surface.part == 0]
        self._field, self._ears = posed.regions.scalp, posed.regions.ears
        self.marks = posed.rest_landmarks.astype(np.float64)
        self._vertices = surface.vertices_of("skin")
        self._normals = _vertex_normals(self._rest, self._faces)
        self._tree = cKDTree(self._rest[self._vertices])
        inside = self._rest[self._field > 0.5]
        self.top = inside[:, 1].max()
        ears = self.marks[[0, 16]].mean(axis=0)
        self.centre = np.array([0.0, (self.top + ears[1]) / 2 - 0.005, inside[:, 2].mean()])
        self.half_width = np.abs(inside[:, 0]).max()
        middle = inside[np.abs(inside[:, 0]) < 0.02]
        self.hairline = middle[middle[:, 2] > self.centre[2] + 0.02, 1].min()
        self.eye_height = self.marks[36:48, 1].mean()
        self.chin_height = self.marks[8, 1]

    def sample(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Roots and normals [<= count, 3], even by area, the hairline uneven by a few millimetres."""
        corners = self._rest[self._faces]
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        area *= self._field[self._faces].max(axis=1) > 0.35
        face = np.searchsorted(np.cumsum(area) / area.sum(), rng.random(count))
        u, v = rng.random((2, count))
        flip = u + v > 1
        u, v = np.where(flip, 1 - u, u), np.where(flip, 1 - v, v)
        weights = np.stack([1 - u - v, u, v], axis=1)
        vertex = self._faces[face]
        roots = np.einsum("nk,nkx->nx", weights, self._rest[vertex])
        distance = (np.einsum("nk,nk->n", weights, self._field[vertex]) - 0.5) * FIELD_WIDTH_M
        density = smoothstep(-0.003, 0.004, distance + 0.002 * fractal_noise(roots, 0.008, 2, 5))
        keep = rng.random(count) < density
        normals = np.einsum("nk,nkx->nx", weights, self._normals[vertex])
        return roots[keep], _unit(normals[keep])

    def push_out(self, points: Array, clearance_m: Any) -> Array:
        """Move points [..., 3] that lie deeper than ``clearance_m`` over the nearest skin out to it."""
        flat = points.reshape(-1, 3)
        nearest = self._vertices[self._tree.query(flat)[1]]
        normal = self._normals[nearest]
        height = np.einsum("nx,nx->n", flat - self._rest[nearest], normal)
        short = np.maximum(np.broadcast_to(clearance_m, points.shape[:-1]).reshape(-1) - height, 0)
        return (flat + short[:, None] * normal).reshape(points.shape)

    def over_ears(self, points: Array) -> Array:
        """Which strands [N, P, 3] touch an ear: a barber cuts round it."""
        nearest = self._vertices[self._tree.query(points[:, 1:].reshape(-1, 3))[1]]
        return (self._ears[nearest] > 0.5).reshape(len(points), -1).any(axis=1)

    def lay(self, points: Array, height_m: Any) -> Array:
        """Points [N, 3] above the ears moved to ``height_m`` over the skin; lower ones at least that far."""
        nearest = self._vertices[self._tree.query(points)[1]]
        normal = self._normals[nearest]
        height = np.einsum("nx,nx->n", points - self._rest[nearest], normal)
        hangs = smoothstep(self.eye_height + 0.01, self.eye_height - 0.03, points[:, 1])
        move = np.maximum(height_m - height, 0) - (0.8 - 0.65 * hangs) * np.maximum(height - height_m, 0)
        return points + move[:, None] * normal

    def off_the_face(self, points: Array) -> Array:
        """Points [N, 3] in front of the face moved sideways, like a curtain drawn past forehead and cheeks."""
        x, y, z = points.T
        temple = self.marks[[36, 45], 2].mean() - 0.03
        before = smoothstep(temple - 0.01, temple + 0.01, z)
        brow, hairline = self.marks[17:27, 1].max(), self.hairline
        reach = np.abs(self.marks[[0, 16], 0]).mean()
        heights = [self.chin_height - 0.02, self.eye_height, brow, 0.4 * brow + 0.6 * hairline, hairline]
        edge = np.interp(y, heights, [0.75, 0.92, 0.86, 0.62, 0.0]) * reach
        short = np.maximum(edge - np.abs(x), 0) * before
        side = np.where(x >= 0, 1.0, -1.0)
        return points + np.stack([side * short, np.zeros_like(x), -0.5 * short], axis=1)


class _Comb:
    """Which way the hair is combed, and how long it is, at each root."""

    def __init__(self, appearance: Appearance, scalp: _Scalp, rng: np.random.Generator) -> None:
        self._style = appearance.hair_style
        self._length = appearance.hair_length_m
        self._scalp = scalp
        self._parting = rng.choice([-1.0, 1.0]) * rng.uniform(0.15, 0.45) * scalp.half_width
        self._sweep = rng.uniform(-1.0, 1.0)
        self._forward = rng.choice([-0.8, 0.5])
        self._seed = appearance.seed

    def direction(self, points: Array) -> Array:
        """Unit directions [N, 3] to comb towards (not yet laid on the skin)."""
        x, y, z = (points - self._scalp.centre).T
        if self._style == "bob":
            parting = self._parting + 0.006 * value_noise(points, 0.004, self._seed)
            side = np.tanh((points[:, 0] - parting) / 0.004)
            front = smoothstep(0.03, 0.07, z)
            flow = np.stack([side * (1 - 0.3 * front), 0.4 * front - 0.4, -0.3 - 0.7 * front], axis=1)
        else:
            crown = self._scalp.centre + [0.012 * np.sign(self._sweep), self._scalp.top, -0.055]
            outward = points - crown
            swirl = np.stack([outward[:, 2], np.zeros_like(x), -outward[:, 0]], axis=1)
            near = np.exp(-np.sum(outward[:, [0, 2]] ** 2, axis=1) / 0.03**2)[:, None]
            flow = _unit(outward * [1, 0, 1]) + 0.8 * near * _unit(swirl)
            flow += np.stack([np.full_like(x, 0.5 * self._sweep), -0.2 - 0.8 * (y < 0.03), np.zeros_like(x)], axis=1)
            front = smoothstep(0.02, 0.06, z)[:, None] * smoothstep(0.0, 0.03, y)[:, None]
            flow = (1 - front) * flow + front * np.array([1.6 * self._sweep, 0.7, self._forward])
        wander = np.stack([fractal_noise(points, 0.03, 2, self._seed + 41 + k) for k in range(3)], axis=1)
        return _unit(flow + 0.35 * wander)

    def length(self, roots: Array, rng: np.random.Generator) -> Array:
        """Metres [N]: sides and nape of a short cut are shorter than its top."""
        if self._style == "bob":
            return np.full(len(roots), self._length + 0.06)
        vary = rng.uniform(0.85, 1.1, len(roots))
        if self._style == "short":
            height = (roots[:, 1] - self._scalp.eye_height) / (self._scalp.top - self._scalp.eye_height)
            return self._length * vary * (0.22 + 0.78 * smoothstep(0.05, 0.75, height))
        return self._length * vary

    def cut_height(self) -> float:
        """Height below which scissors took the hair, world metres."""
        if self._style != "bob":
            return -np.inf
        return max(self._scalp.eye_height + 0.11 - self._length, self._scalp.chin_height - 0.03)  # off the shoulders


def _grow_guides(
    roots: Array, normals: Array, style: Style, comb: _Comb, scalp: _Scalp, rng: np.random.Generator
) -> Array:
    """Guides [G, P, 3]."""
    step = comb.length(roots, rng)[:, None] / _STEPS
    height = style.body_m * (0.7 + 0.5 * fractal_noise(roots, 0.025, 2, 17))
    points = [roots]
    direction = _lifted(comb.direction(roots), normals, style.lift)
    for index in range(1, _STEPS + 1):
        here = scalp.lay(points[-1] + step * direction, height * min(1.0, 3 * index / _STEPS))
        if style.gravity > 0.1:
            here = scalp.off_the_face(here)
        moved = _unit(here - points[-1])
        points.append(points[-1] + step * moved)
        direction = moved + 0.25 * comb.direction(points[-1]) * (index < 0.4 * _STEPS)
        direction = _unit((1 - style.gravity) * _unit(direction) + style.gravity * np.array([0.0, -1.0, 0.0]))
    return _cut(np.stack(points, axis=1), comb.cut_height() + rng.uniform(-0.004, 0.004, len(roots)), style.points)


def _cut(points: Array, height: Array, count: int) -> Array:
    """Strands [G, S, 3] cut where they first fall below ``height`` [G]; [G, count, 3], evenly spaced."""
    y = points[:, :, 1]
    below = y < height[:, None]
    below[:, 0] = False
    last = np.where(below.any(axis=1), below.argmax(axis=1), points.shape[1] - 1)
    rows = np.arange(len(points))
    before, after = y[rows, last - 1], y[rows, last]
    part = np.where(below.any(axis=1), (before - height) / np.maximum(before - after, 1e-9), 1.0)
    end = last - 1 + np.clip(part, 0, 1)
    at = end[:, None] * np.linspace(0, 1, count)
    low = np.minimum(at.astype(int), points.shape[1] - 2)
    share = (at - low)[..., None]
    return points[rows[:, None], low] * (1 - share) + points[rows[:, None], low + 1] * share


def _follow(guides: Array, roots: Array, normals: Array, style: Style, rng: np.random.Generator) -> Array:
    """Strands [N, P, 3] that run beside their guides."""
    nearest = cKDTree(guides[:, 0]).query(roots, k=2)[1]
    course = _unit(guides[:, -1] - guides[:, 0])
    agree = np.einsum("nx,nx->n", course[nearest[:, 0]], course[nearest[:, 1]]) > 0.9  # not across a parting
    share = (rng.uniform(0.0, 0.45, len(roots)) * agree)[:, None, None]
    lead = guides[nearest[:, 0]] * (1 - share) + guides[nearest[:, 1]] * share
    along = np.linspace(0, 1, style.points)[None, :, None]
    offset = (roots - lead[:, 0])[:, None] * (1 - style.clump * along)
    stray = rng.normal(size=(len(roots), 1, 3)) * style.frizz_m * along
    wave = rng.normal(size=(len(roots), style.points, 3)) * 0.25 * style.frizz_m * along
    shorter = 1 - 0.18 * rng.random((len(roots), 1, 1)) ** 2
    return roots[:, None] + (lead + offset - roots[:, None]) * shorter + stray + wave


def _lifted(flow: Array, normals: Array, lift: float) -> Array:
    """Comb directions laid on the skin, then raised off it."""
    along = flow - np.einsum("nx,nx->n", flow, normals)[:, None] * normals
    return _unit((1 - lift) * _unit(along) + lift * normals)


def _vertex_normals(vertices: Array, faces: Array) -> Array:
    corners = vertices[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    out = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(out, faces[:, corner], normal)
    return _unit(out)


def _unit(vectors: Array) -> Array:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
