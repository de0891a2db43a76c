"""Strands of hair in rest space, grown in numpy: the same person always has the same hair.

Locks grow over the scalp step by step: along the style's comb, pulled down, pushed out of the skin and off the
face. Every strand then follows the lock nearest to its root, at its own offset and at its own depth, drawn
towards it near the tip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from datagen.blender.combs import DOWN, Comb, Tied, make_comb
from datagen.blender.hairline import bareness
from datagen.blender.noise import fractal_noise, smoothstep
from datagen.blender.pigment import strand_colours
from datagen.blender.scalp import Scalp, unit
from datagen.blender.styles import BALD, STYLES, Coil, Style
from datagen.blender.tied import bun, tail
from datagen.geometry.posed import PosedClip
from manifests.clip import Appearance

Array = NDArray[Any]

_OVER_CLOTHES_M = 0.012
"""How far hair lies over the body's skin below the neck, for what is worn there."""


_REACH_M = 0.115
"""How far out from the neck's axis long hair lies on the shoulders."""


@dataclass(frozen=True)
class Strands:
    """points float32 [N, P, 3], rest-space metres, root first; radius float32 [N, P], metres."""

    points: Array
    radius: Array
    pigment: Array | None = None
    """float32 [N]: how much there is, 1 where it is left out; see ``pigment.strand_colours``."""
    white: Array | None = None
    """float32 [N]: how much of the strand is white, 0 where it is left out."""
    head_share: Array | None = None
    """float32 [N, P]: 1 moves with the head, 0 with the shoulders; all 1 where it is left out."""


def grow(posed: PosedClip, appearance: Appearance, thickness: float = 1.0) -> Strands | None:
    """The person's hair, or None for a bald one. ``thickness`` scales the strands' radii."""
    if appearance.hair_style == BALD:
        return None
    style = STYLES[appearance.hair_style]
    rng = np.random.default_rng([appearance.seed, 31])
    scalp = Scalp(posed, style.covers_ears)
    roots, normals = scalp.roots(style.strands, bareness(posed, appearance), rng)
    comb = make_comb(style.comb, appearance, scalp, rng)
    locks_at = np.sort(rng.choice(len(roots), min(style.locks, len(roots)), replace=False))
    locks = _grow_locks(roots[locks_at], normals[locks_at], style, comb, scalp, rng)
    points = _follow(locks, roots, style, rng)
    if not style.covers_ears and style.comb != "tied":
        points = points[~scalp.touches_ears(points)]
    points = _settle(points, style, scalp, rng)
    points = points[~scalp.cross_the_face(points)]
    if isinstance(comb, Tied):
        knot = tail if appearance.hair_style == "ponytail" else bun
        points = np.concatenate([points, knot(comb, scalp, appearance.hair_length_m, style.points, rng)])
    taper = np.linspace(1.0, 0.35, style.points) ** 0.7
    radius = style.radius_m * thickness * taper * rng.uniform(0.8, 1.2, (len(points), 1))
    pigment, white = strand_colours(points[:, 0], appearance)
    share = 1 - _below_jaw(points, scalp).astype(np.float32) if style.hangs else None
    return Strands(points.astype(np.float32), radius.astype(np.float32), pigment, white, share)


def _grow_locks(
    roots: Array, normals: Array, style: Style, comb: Comb, scalp: Scalp, rng: np.random.Generator
) -> Array:
    """Locks [G, P, 3]."""
    length = comb.length(roots, rng)
    steps = int(np.clip(length.max() / 0.012, 12, 32))
    step = length[:, None] / steps
    height = style.body_m * (0.8 + 0.4 * fractal_noise(roots, 0.025, 2, 17))
    points = [roots]
    direction = _lifted(comb.direction(roots, roots), normals, style.lift)
    for index in range(1, steps + 1):
        here = points[-1] + step * direction
        low = _below_neck(here, scalp)
        here[:, 0] -= low * np.sign(here[:, 0]) * np.maximum(np.abs(here[:, 0]) - _REACH_M, 0)
        least = np.maximum(height * min(1.0, 3 * index / steps), _OVER_CLOTHES_M * low)
        hold = style.hold * (1 - 0.95 * _hanging(here, scalp)) if style.comb != "tied" else style.hold
        here = scalp.lay(here, least, hold, low)
        if style.gravity > 0.1:
            here = scalp.off_the_face(here)
        moved = unit(here - points[-1])
        points.append(points[-1] + step * moved)
        wanted = comb.direction(points[-1], roots)
        combed = 1.0 if isinstance(comb, Tied) else 0.25 * (index < 0.4 * steps) * (1 - _hanging(here, scalp))
        turned = unit(moved + np.maximum(combed, 0.25 * low)[:, None] * wanted)
        direction = unit((1 - style.gravity) * turned + style.gravity * DOWN)
    locks = np.stack(points, axis=1)
    if isinstance(comb, Tied):
        locks = _gather(locks, comb.tie)
    locks = _cut(locks, comb.hem(roots, rng), style.points)
    return _coil(locks, style.coil, rng) if style.coil else locks


def _hanging(points: Array, scalp: Scalp) -> Array:
    """0 on the head to 1 below the eyes, where hair no longer follows the skin."""
    return smoothstep(scalp.eye_height + 0.01, scalp.eye_height - 0.03, points[..., 1])


def _below_neck(points: Array, scalp: Scalp) -> Array:
    """0 at the jaw to 1 on the shoulders."""
    return smoothstep(scalp.chin_height, scalp.chin_height - 0.04, points[..., 1])


def _below_jaw(points: Array, scalp: Scalp) -> Array:
    """0 on the head to 1 at the neck's base, which is the world's height 0."""
    return smoothstep(scalp.chin_height + 0.05, scalp.chin_height - 0.06, points[..., 1])


def _gather(locks: Array, end: Array) -> Array:
    """Locks [G, S, 3] cut where they come nearest to ``end`` and drawn into it."""
    nearest = np.linalg.norm(locks - end, axis=2).argmin(axis=1)
    at = nearest[:, None] * np.linspace(0, 1, locks.shape[1])
    short = _at(locks, at)
    share = np.linspace(0, 1, locks.shape[1])[None, :, None] ** 3
    return short + share * (end - short[:, -1:])


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
    return _at(points, end[:, None] * np.linspace(0, 1, count))


def _at(points: Array, at: Array) -> Array:
    """Points of strands [G, S, 3] at fractional indices [G, K]."""
    low = np.minimum(at.astype(int), points.shape[1] - 2)
    share = (at - low)[..., None]
    rows = np.arange(len(points))[:, None]
    return np.asarray(points[rows, low] * (1 - share) + points[rows, low + 1] * share)


def _coil(locks: Array, coil: Coil, rng: np.random.Generator) -> Array:
    """Locks [G, P, 3] wound round their courses, each with its own start, sense and pitch."""
    pieces = np.linalg.norm(np.diff(locks, axis=1), axis=2)
    along = np.concatenate([np.zeros((len(locks), 1)), np.cumsum(pieces, axis=1)], axis=1)
    tangent = unit(np.gradient(locks, axis=1))
    first = unit(np.cross(tangent, unit(rng.normal(size=(len(locks), 1, 3)))))
    second = np.cross(tangent, first) * (1 - coil.flatness) * rng.choice([-1.0, 1.0], (len(locks), 1, 1))
    pitch = coil.pitch_m * rng.uniform(0.75, 1.3, (len(locks), 1))
    turn = 2 * np.pi * (along / pitch + rng.random((len(locks), 1)))
    width = coil.radius_m * rng.uniform(0.7, 1.25, (len(locks), 1)) * smoothstep(0.0, coil.straight_m, along)
    return np.asarray(locks + width[..., None] * (np.cos(turn)[..., None] * first + np.sin(turn)[..., None] * second))


def _follow(locks: Array, roots: Array, style: Style, rng: np.random.Generator) -> Array:
    """Strands [N, P, 3] that run beside their locks."""
    nearest = cKDTree(locks[:, 0]).query(roots, k=2)[1]
    apart = np.linalg.norm(locks[nearest[:, 0]] - locks[nearest[:, 1]], axis=2).max(axis=1)
    agree = apart < 0.025  # not across a parting, nor round both sides of the head
    mixes = 0.0 if style.coil else 0.45
    share = (rng.uniform(0.0, 1.0, len(roots)) * mixes * agree)[:, None, None]
    lead = locks[nearest[:, 0]] * (1 - share) + locks[nearest[:, 1]] * share
    along = np.linspace(0, 1, style.points)[None, :, None]
    offset = (roots - lead[:, 0])[:, None] * (1 - style.clump * along)
    stray = rng.normal(size=(len(roots), 1, 3)) * style.frizz_m * along
    wave = rng.normal(size=(len(roots), style.points, 3)) * 0.25 * style.frizz_m * along
    shorter = 1 - 0.18 * rng.random((len(roots), 1, 1)) ** 2 * (style.comb != "tied")
    return np.asarray(roots[:, None] + (lead + offset - roots[:, None]) * shorter + stray + wave)


def _settle(points: Array, style: Style, scalp: Scalp, rng: np.random.Generator) -> Array:
    """Strands [N, P, 3] spread in depth between skin and outer layer, and pushed out of the skin."""
    height, normal = scalp.height(points)
    depth = rng.uniform(0, 0.75, (len(points), 1)) ** 1.5 * (1 - _hanging(points, scalp))
    sunk = depth * np.clip(height, 0, style.body_m)
    least = 0.0005 + (_OVER_CLOTHES_M - 0.002) * _below_neck(points, scalp) * style.covers_ears
    lift = np.maximum(least - (height - sunk), 0)
    return np.asarray(points + (lift - sunk)[..., None] * normal)


def _lifted(flow: Array, normals: Array, lift: float) -> Array:
    """Comb directions laid on the skin, then raised off it."""
    along = flow - np.einsum("nx,nx->n", flow, normals)[:, None] * normals
    return unit((1 - lift) * unit(along) + lift * normals)
