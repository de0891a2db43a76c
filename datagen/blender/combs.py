"""Which way hair is combed and how long it is, at each place of the head."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from datagen.blender.noise import fractal_noise, smoothstep, value_noise
from datagen.blender.scalp import Scalp, unit
from manifests.clip import Appearance

Array = NDArray[Any]

DOWN = np.array([0.0, -1.0, 0.0])


class Comb(Protocol):
    """What a style asks of its hair."""

    def direction(self, points: Array, roots: Array) -> Array:
        """Unit directions [N, 3] to comb towards at ``points``, of hair from ``roots`` (not laid on the skin)."""

    def length(self, roots: Array, rng: np.random.Generator) -> Array:
        """Metres [N]."""

    def hem(self, roots: Array, rng: np.random.Generator) -> Array:
        """Heights [N] below which scissors took the hair."""


def make_comb(kind: str, appearance: Appearance, scalp: Scalp, rng: np.random.Generator) -> Comb:
    """The comb of a style's ``comb``."""
    return _COMBS[kind](appearance, scalp, rng)


class _Uncut:
    """What combs share."""

    def __init__(self, appearance: Appearance, scalp: Scalp, rng: np.random.Generator) -> None:
        self.scalp, self.seed = scalp, appearance.seed
        self.full_length = appearance.hair_length_m
        self.sweep = rng.uniform(-1.0, 1.0)
        self.whorl = 1.0
        """How strongly hair turns about the crown."""

    def hem(self, roots: Array, rng: np.random.Generator) -> Array:
        return np.full(len(roots), -np.inf)

    def rise(self, points: Array) -> Array:
        """0 at the eyes' height to 1 at the top [N]."""
        return np.asarray((points[:, 1] - self.scalp.eye_height) / (self.scalp.top - self.scalp.eye_height))

    def stray(self, flow: Array, points: Array, amount: float) -> Array:
        wander = np.stack([fractal_noise(points, 0.03, 2, self.seed + 41 + k) for k in range(3)], axis=1)
        return unit(flow + amount * wander)

    def from_crown(self, points: Array, depth: float = 0.7) -> Array:
        """Outward from the whorl on the top, at a share ``depth`` of the way to the back."""
        crown = np.array([0.012 * np.sign(self.sweep), self.scalp.top, depth * self.scalp.back])
        outward = points - crown
        swirl = np.stack([outward[:, 2], np.zeros(len(points)), -outward[:, 0]], axis=1)
        near = np.exp(-np.sum(outward[:, [0, 2]] ** 2, axis=1) / 0.03**2)[:, None]
        return np.asarray(unit(outward * [1, 0, 1]) + 0.8 * self.whorl * near * unit(swirl))


class Crop(_Uncut):
    """Short hair that lies from the whorl outwards, its front swept up, forward or aside."""

    def __init__(self, appearance: Appearance, scalp: Scalp, rng: np.random.Generator) -> None:
        super().__init__(appearance, scalp, rng)
        self._front = np.array([1.1 * self.sweep, *((0.5, 0.9) if rng.random() < 0.5 else (1.0, -0.35))])

    def direction(self, points: Array, roots: Array) -> Array:
        x, y, z = (points - self.scalp.centre).T
        flow = self.from_crown(points)
        flow += np.stack([np.full_like(x, 0.4 * self.sweep), -0.2 - 0.8 * (y < 0.03), np.zeros_like(x)], axis=1)
        front = smoothstep(0.015, 0.055, z)[:, None] * smoothstep(0.02, 0.045, y)[:, None]
        return self.stray((1 - front) * flow + front * self._front, points, 0.35)

    def length(self, roots: Array, rng: np.random.Generator) -> Array:
        """Sides and nape are shorter than the top."""
        vary = rng.uniform(0.85, 1.1, len(roots))
        return np.asarray(self.full_length * vary * (0.22 + 0.78 * smoothstep(0.05, 0.75, self.rise(roots))))


class Clipped(Crop):
    """A crop of one length all over."""

    def length(self, roots: Array, rng: np.random.Generator) -> Array:
        return np.asarray(self.full_length * rng.uniform(0.85, 1.1, len(roots)))


class _Parted(_Uncut):
    """Hair that is combed to both sides of a parting, and from the crown to the back."""

    parting_at: tuple[float, float]
    """How far from the middle, as a share of half the scalp's width."""
    crown: float
    """How far from the middle to the back the parting ends."""
    falls: float
    """How strongly the hair behind the crown points down."""

    def __init__(self, appearance: Appearance, scalp: Scalp, rng: np.random.Generator) -> None:
        super().__init__(appearance, scalp, rng)
        self.side = rng.choice([-1.0, 1.0])
        self.parting = self.side * rng.uniform(*self.parting_at) * scalp.half_width

    def aside(self, points: Array) -> Array:
        """-1 and 1 [N] on the two sides of the parting."""
        parting = self.parting + 0.004 * value_noise(points, 0.006, self.seed)
        return np.asarray(np.tanh((points[:, 0] - parting) / 0.003))

    def combed(self, flow: Array, points: Array) -> Array:
        """Directions on both sides of the parting, joined with those behind the crown and below."""
        y, z = (points - self.scalp.centre).T[1:]
        back = self.scalp.back
        ahead = smoothstep((self.crown - 0.25) * back, (self.crown - 0.6) * back, z)[:, None]
        flow = ahead * flow + (1 - ahead) * (self.from_crown(points, self.crown) + self.falls * DOWN)
        high = smoothstep(-0.02, 0.04, y)[:, None]
        return self.stray(high * flow + (1 - high) * (flow * [0.25, 1.0, 0.5] + DOWN), points, 0.2)


class Aside(_Parted):
    """Short hair combed over from a parting at the side."""

    parting_at, crown, falls = (0.42, 0.55), 0.7, 0.8

    def direction(self, points: Array, roots: Array) -> Array:
        y, z = (points - self.scalp.centre).T[1:]
        front, sides = smoothstep(0.03, 0.07, z), smoothstep(0.045, 0.02, y)
        across = self.aside(points) * (1 - 0.4 * sides)
        return self.combed(np.stack([across, 0.35 * front - 0.75 * sides, -0.35 - 0.25 * sides], axis=1), points)

    def length(self, roots: Array, rng: np.random.Generator) -> Array:
        """Longer on the side that is combed over the head, shorter towards ears and nape."""
        heavy = np.where((roots[:, 0] - self.parting) * self.side < 0, 1.15, 0.8)
        taper = 0.28 + 0.72 * smoothstep(0.15, 0.75, self.rise(roots))
        return np.asarray(1.25 * self.full_length * heavy * taper * rng.uniform(0.88, 1.08, len(roots)))


class Falling(_Parted):
    """Hair that falls from a parting to the chin or to the shoulders."""

    parting_at, crown, falls = (0.0, 0.25), 0.3, 0.4

    def __init__(self, appearance: Appearance, scalp: Scalp, rng: np.random.Generator) -> None:
        super().__init__(appearance, scalp, rng)
        self.whorl = 0.0  # the hair's weight straightens it

    def direction(self, points: Array, roots: Array) -> Array:
        front = smoothstep(0.03, 0.07, points[:, 2] - self.scalp.centre[2])
        across = self.aside(points) * (1 - 0.3 * front)
        flow = self.combed(np.stack([across, 0.35 * front - 0.3, -0.3 - 0.6 * front], axis=1), points)
        # Below the jaw hair from before the ears comes to lie on the chest, the other on the back.
        below = smoothstep(self.scalp.chin_height + 0.03, self.scalp.chin_height - 0.03, points[:, 1])[:, None]
        edge = np.where(points[:, 2] > self.scalp.ear_z - 0.04, 0.085, 0.0)
        inward = -np.sign(points[:, 0]) * np.clip((np.abs(points[:, 0]) - edge) / 0.06, 0, 1)
        forward = np.where(roots[:, 2] > self.scalp.ear_z + 0.005, 0.5, -0.4)
        drape = np.stack([0.5 * inward, np.full(len(points), -1.0), forward], axis=1)
        return unit((1 - below) * flow + below * drape)

    def length(self, roots: Array, rng: np.random.Generator) -> Array:
        return np.full(len(roots), self.full_length + 0.06) * rng.uniform(0.96, 1.04, len(roots))

    def hem(self, roots: Array, rng: np.random.Generator) -> Array:
        """Layered, and a little shorter in front; never longer than to the chest."""
        height = max(self.scalp.top + 0.05 - self.full_length, self.scalp.chin_height - 0.16)
        shorter = 0.03 * (roots[:, 2] > self.scalp.ear_z)
        return np.asarray(height + shorter + 0.010 * rng.normal(size=len(roots)))


class Bob(Falling):
    """Falling hair cut straight, off the shoulders."""

    parting_at = (0.1, 0.45)

    def hem(self, roots: Array, rng: np.random.Generator) -> Array:
        height = max(self.scalp.eye_height + 0.11 - self.full_length, self.scalp.chin_height - 0.03)
        return height + rng.uniform(-0.004, 0.004, len(roots))


class Curls(_Uncut):
    """Curls that stand off the head and tumble down."""

    def direction(self, points: Array, roots: Array) -> Array:
        flow = 0.6 * unit(points - self.scalp.centre) + 0.7 * unit(self.from_crown(points)) + 0.5 * DOWN
        return self.stray(flow, points, 0.45)

    def length(self, roots: Array, rng: np.random.Generator) -> Array:
        return np.asarray(self.full_length * 0.8 * rng.uniform(0.75, 1.1, len(roots)))


class Ball(_Uncut):
    """Coils that stand off the head to a round outline."""

    def direction(self, points: Array, roots: Array) -> Array:
        flow = unit(points - self.scalp.centre + [0.0, 0.03, 0.0])
        flow[:, 1] += 0.6 * self._front(points)
        return self.stray(flow, points, 0.2)

    def length(self, roots: Array, rng: np.random.Generator) -> Array:
        """An even outline, shorter at forehead and nape, that coils of all lengths fill."""
        share = (0.35 + 0.65 * smoothstep(-0.5, 0.7, self.rise(roots))) * (1 - 0.45 * self._front(roots))
        even = 1 + 0.06 * value_noise(roots, 0.03, self.seed + 71)
        return np.asarray(self.full_length * share * even * (1 - 0.55 * rng.random(len(roots)) ** 2.5))

    def _front(self, points: Array) -> Array:
        """1 at the hairline over the forehead."""
        forehead = self.scalp.marks[[19, 24], 2].mean()
        return smoothstep(forehead - 0.06, forehead - 0.02, points[:, 2])


class Tied(_Uncut):
    """Hair drawn over the head to a tie at the back."""

    def __init__(self, appearance: Appearance, scalp: Scalp, rng: np.random.Generator) -> None:
        super().__init__(appearance, scalp, rng)
        elevation = np.deg2rad(rng.uniform(8, 38))
        at, self.outward = scalp.surface_towards(np.array([0.0, np.sin(elevation), -np.cos(elevation)]))
        self.outward = unit(self.outward * [0.0, 1.0, 1.0])
        self.tie = at * [0.0, 1.0, 1.0] + 0.006 * self.outward

    def direction(self, points: Array, roots: Array) -> Array:
        flow = unit(self.tie - points)
        beside = smoothstep(self.scalp.ear_top + 0.022, self.scalp.ear_top + 0.004, points[:, 1])
        beside *= smoothstep(self.scalp.ear_z - 0.02, self.scalp.ear_z, points[:, 2])
        flow[:, 1] += 1.6 * beside  # over the ear
        return self.stray(flow, points, 0.05)

    def length(self, roots: Array, rng: np.random.Generator) -> Array:
        """Enough to reach the tie over the curved head."""
        ray, aim = unit(roots - self.scalp.centre), unit(self.tie - self.scalp.centre)
        angle = np.arccos(np.clip(ray @ aim, -1, 1))
        return np.asarray(np.linalg.norm(self.tie - roots, axis=1) * (1 + 0.16 * angle) + 0.012)


_COMBS: dict[str, type[Clipped | Crop | Aside | Falling | Bob | Curls | Ball | Tied]] = {
    "clipped": Clipped,
    "crop": Crop,
    "aside": Aside,
    "falling": Falling,
    "bob": Bob,
    "curls": Curls,
    "ball": Ball,
    "tied": Tied,
}
