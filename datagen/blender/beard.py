"""Moustaches, goatees and beards as strands, from stubble to a long beard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from datagen.blender.follicles import Ground, Roots, laid, unit
from datagen.blender.noise import fractal_noise, smoothstep
from datagen.blender.pigment import mean_colour
from datagen.blender.rooted import RootedStrands
from datagen.geometry.beard_area import LIP_GAP_M, beard_distance, lip_distance
from datagen.geometry.curves import smooth_curve
from datagen.geometry.posed import PosedClip
from manifests.clip import Appearance

Array = NDArray[Any]


@dataclass(frozen=True)
class _Cut:
    """How facial hair up to a length grows."""

    up_to_m: float
    per_m2: float
    points: int
    radius_m: float
    lift: float
    """Share of the skin's normal in the first direction."""
    gravity: float
    """Share of the way down in each new direction."""
    clump: float
    """Share of the distance to its lock that a strand gives up at its tip."""


_CUTS = (
    _Cut(0.003, 5.0e5, 2, 0.00014, lift=0.45, gravity=0.0, clump=0.0),
    _Cut(0.010, 4.5e5, 3, 0.00020, lift=0.40, gravity=0.15, clump=0.10),
    _Cut(0.030, 3.8e5, 4, 0.00023, lift=0.40, gravity=0.28, clump=0.35),
    _Cut(1.0, 3.2e5, 7, 0.00027, lift=0.50, gravity=0.45, clump=0.60),
)
_MOUSTACHE_LENGTH_M = 0.025
_CHEEK_DENSITY = 0.55
"""Of hair on cheeks and throat, as a share of that round the mouth."""


def grow_beard(posed: PosedClip, ground: Ground, appearance: Appearance, thickness: float) -> RootedStrands | None:
    """The person's facial hair, or None. ``thickness`` scales the strands' radii."""
    if appearance.facial_hair == "none":
        return None
    rng = np.random.default_rng([appearance.seed, 63])
    cut = next(cut for cut in _CUTS if appearance.facial_hair_length_m <= cut.up_to_m)
    roots = ground.scatter(cut.per_m2, beard_density(posed, ground, appearance), rng)
    roots = roots[lip_distance(roots.points, ground.marks) < -0.5 * LIP_GAP_M]
    if len(roots) == 0:
        return None
    comb = _Comb(ground, roots.points)
    length = comb.length(roots.points, appearance.facial_hair_length_m) * rng.uniform(0.7, 1.05, len(roots))
    points = _grow(roots, length, cut, comb, ground, rng)
    points = _lock(points, length, cut, rng)
    points = _shortened(points, comb.lips(points) > -0.3 * LIP_GAP_M)
    radius = cut.radius_m * thickness * np.linspace(1.0, 0.4, cut.points) * rng.uniform(0.75, 1.2, (len(roots), 1))
    reach = np.clip(-0.7 * lip_distance(roots.points, ground.marks), 0.003, 0.012)
    compass = ground.compass(roots, reach)
    return RootedStrands(points, radius.astype(np.float32), roots.corners, roots.weights, compass, np.zeros((0, 3)))


def beard_density(posed: PosedClip, ground: Ground, appearance: Appearance) -> Array:
    """float64 [Vs] in [0, 1]: how dense facial hair is at each vertex, thinner and ragged at its border."""
    out = np.zeros(len(ground.rest))
    if appearance.facial_hair == "none":
        return out
    skin = ground.vertices
    kind = appearance.facial_hair
    distance = beard_distance(ground.rest[skin], ground.normals[skin, 0], ground.marks, ground.layout, kind)
    near = distance > -0.002
    skin, distance, points = skin[near], distance[near], ground.rest[skin[near]]
    mouth = smoothstep(-0.018, -0.011, lip_distance(points, ground.marks))  # clean and dense about the mouth
    ragged = 0.0015 * fractal_noise(points, 0.006, 2, appearance.seed + 67)
    border = smoothstep(0.0, 1.0, (distance + (1 - mouth) * ragged) / (0.0045 - 0.0030 * mouth))
    patchy = np.clip(1 + 0.3 * fractal_noise(points, 0.014, 2, appearance.seed + 71), 0, 1)
    out[skin] = border * patchy * (_CHEEK_DENSITY + (1 - _CHEEK_DENSITY) * mouth) * ground.open_to_air(skin)
    return out


def beard_shade(posed: PosedClip, appearance: Appearance) -> Array:
    """float64 [Vs] in [0, 1]: how far the skin takes the colour of the facial hair that grows on it."""
    if appearance.facial_hair == "none":
        return np.zeros(len(posed.rest))
    density = beard_density(posed, Ground(posed), appearance)
    return np.minimum(density / _CHEEK_DENSITY, 1.0)


def beard_colour(appearance: Appearance) -> tuple[float, float, float]:
    """A little darker and redder than the hair, as far as that has colour at all."""
    red, green, blue = mean_colour(appearance)
    warmth = (max(red, green, blue) - min(red, green, blue)) / max(red, green, blue, 1e-6)
    return 0.85 * red * (1 + 0.2 * warmth), 0.85 * green, 0.85 * blue * (1 - 0.1 * warmth)


class _Comb:
    """Which way facial hair is combed, and how long it is."""

    def __init__(self, ground: Ground, roots: Array) -> None:
        self._marks, self._layout = ground.marks, ground.layout
        self._outline = smooth_curve(self._marks[48:60], closed=True)[:, :2]
        self._tree = cKDTree(self._outline)
        corners = self._marks[[48, 54]]
        self._corner_x = np.abs(corners[:, 0]).mean()
        # A strand keeps its kind as it grows: it belongs to the moustache, or hangs from cheek and chin.
        above = smoothstep(-0.004, 0.003, roots[:, 1] - self._layout.mouth)
        beside = smoothstep(self._corner_x + 0.010, self._corner_x + 0.002, np.abs(roots[:, 0]))
        self._moustache = above * beside

    def lips(self, points: Array) -> Array:
        """Distance [...] of points [..., 3] into the lips as seen from the front."""
        return lip_distance(points.reshape(-1, 3), self._marks).reshape(points.shape[:-1])

    def direction(self, points: Array) -> Array:
        """Unit directions [N, 3] of each strand at its point."""
        x, y, z = points.T
        side = np.where(x >= 0, 1.0, -1.0)
        out = np.clip(np.abs(x) / self._corner_x, 0, 1.3)
        past = smoothstep(0.85, 1.1, out)
        moustache = np.stack([side * (0.55 + 0.5 * out - 0.8 * past), -0.75 + 0.35 * out - 0.6 * past, 0.1 + 0 * x], 1)
        front = smoothstep(0.02, 0.06, z - self._layout.axis_z - 0.02)
        throat = smoothstep(self._layout.chin + 0.004, self._layout.chin - 0.012, y)
        hang = np.stack(
            [-0.30 * front * np.tanh(x / 0.02), -1.0 + 0.35 * throat, -0.25 + 0.45 * front + 0.5 * throat], axis=1
        )
        share = self._moustache[:, None]
        return unit(share * unit(moustache) + (1 - share) * unit(hang))

    def length(self, roots: Array, length_m: float) -> Array:
        """Metres [N]: full length at the chin, shorter up the cheeks, at the throat and in the moustache."""
        layout, height = self._layout, roots[:, 1]
        above_chin = (height - layout.chin) / (layout.mouth - layout.chin)
        share = np.interp(above_chin, [-1.0, -0.4, 0.0, 0.35, 1.0, 2.0], [0.25, 0.5, 1.0, 0.85, 0.45, 0.16])
        share = share * (1 - 0.65 * smoothstep(0.6, 2.2, np.abs(roots[:, 0]) / self._corner_x))
        longest = np.maximum(length_m * share, min(length_m, 0.008))
        return longest + self._moustache * (np.minimum(0.75 * length_m, _MOUSTACHE_LENGTH_M) - longest)

    def lift(self, lift: float) -> Array:
        """Share [N] of the skin's normal in the first direction: a moustache lies closer."""
        return lift * (1 - 0.6 * self._moustache)

    def off_the_lips(self, step: Array, points: Array) -> Array:
        """Steps [N, 3] from points [N, 3] turned along the lips' outline where they would run over it."""
        near = np.flatnonzero(np.abs(points[:, 0]) < self._corner_x + 0.01)
        ahead = points[near] + step[near]
        outline = self._outline[self._tree.query(ahead[:, :2])[1]]
        gradient = outline - ahead[:, :2]
        depth = lip_distance(ahead, self._marks)
        gradient *= (np.where(depth > 0, -1, 1) / np.maximum(np.linalg.norm(gradient, axis=1), 1e-9))[:, None]
        past = np.stack([-gradient[:, 1], gradient[:, 0]], axis=1) * np.sign(-gradient[:, 1] * points[near, 0])[:, None]
        into = np.maximum(np.einsum("nk,nk->n", step[near, :2], gradient), 0) * smoothstep(-0.003, -0.0008, depth)
        turned = step.copy()
        turned[near, :2] += into[:, None] * (past - gradient)
        return unit(turned) * np.linalg.norm(step, axis=1, keepdims=True)


def _grow(roots: Roots, length: Array, cut: _Cut, comb: _Comb, ground: Ground, rng: np.random.Generator) -> Array:
    """Strands [N, P, 3] from their roots."""
    count, steps = len(roots), cut.points - 1
    wander = rng.normal(0, 0.22, (count, 3))
    layer = rng.random(count)
    heading = laid(comb.direction(roots.points) + wander, roots.normals, comb.lift(cut.lift) * (0.6 + 0.8 * layer))
    down = np.array([0.0, -1.0, 0.0])
    points = [roots.points]
    for index in range(1, cut.points):
        step = comb.off_the_lips(heading * (length / steps)[:, None], points[-1])
        here = points[-1] + step
        above, normal = ground.height(here)
        clearance = 0.0004 + 0.06 * layer * length * index / steps
        here = here + np.maximum(clearance - above, 0)[:, None] * normal
        here = points[-1] + unit(here - points[-1]) * (length / steps)[:, None]
        points.append(here)
        moved = unit(here - points[-2])
        heading = unit((1 - cut.gravity) * unit(moved + 0.5 * comb.direction(here) + 0.3 * wander) + cut.gravity * down)
    return np.stack(points, axis=1)


def _lock(points: Array, length: Array, cut: _Cut, rng: np.random.Generator) -> Array:
    """Strands drawn to the nearest of a few among them towards their tips, as locks are."""
    if cut.clump == 0:
        return points
    guides = np.sort(rng.choice(len(points), max(1, len(points) // 25), replace=False))
    guide = guides[cKDTree(points[guides, 0]).query(points[:, 0])[1]]
    along = np.linspace(0, 1, cut.points)[None, :, None] ** 1.5
    curl = rng.normal(size=points.shape) * 0.035 * length[:, None, None] * along
    return points + cut.clump * along * (points[guide] - points) + curl


def _shortened(points: Array, inside: Array) -> Array:
    """Strands [N, P, 3] cut before their first point that is ``inside`` [N, P], all with P points still."""
    count = points.shape[1]
    inside = inside.copy()
    inside[:, 0] = False
    last = np.where(inside.any(axis=1), inside.argmax(axis=1) - 1, count - 1)
    at = np.maximum(last, 0.15)[:, None] * np.linspace(0, 1, count)
    low = np.minimum(at.astype(int), count - 2)
    share = (at - low)[..., None]
    rows = np.arange(len(points))[:, None]
    return points[rows, low] * (1 - share) + points[rows, low + 1] * share
