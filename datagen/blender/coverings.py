"""What covers the head: a beanie, a cap with a visor, a headscarf. They lie on the head's convex hull."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator, RegularGridInterpolator
from scipy.spatial import ConvexHull

from datagen.blender.axes import points_to_blender, set_transform
from datagen.blender.fabric import Cloth, fabric_material
from datagen.blender.garments import Drape, head_wrap
from datagen.blender.noise import value_noise
from datagen.blender.sheets import Sheet, grid, sheet_object
from datagen.blender.strands import Strands
from datagen.geometry.posed import PosedClip
from manifests.clip import Appearance

Array = NDArray[Any]


class Covering:
    """Nothing on a bare head. A headscarf is in two parts: one moves with the head, one lies on the shoulders."""

    def __init__(self, bpy: Any, collection: Any, posed: PosedClip, appearance: Appearance) -> None:
        self._head, self._shown = posed.head_to_world, -1
        self.blocks: list[Any] = []
        self._things: list[Any] = []
        self._drape: Drape | None = None
        kind = appearance.head_covering
        if kind == "none":
            return
        fabric = {"beanie": "knit", "cap": "denim", "headscarf": "satin"}[kind]
        if kind == "headscarf" and appearance.seed % 2:
            fabric = "jersey"
        cloth = Cloth.of(fabric, appearance.head_covering_colour, appearance.seed + 1)
        material = fabric_material(bpy, kind, cloth)
        for sheet in make_covering(posed, appearance):
            thing, mesh = sheet_object(bpy, collection, kind, sheet, material)
            self._things.append(thing)
            self.blocks += [thing, mesh]
        if kind == "headscarf":
            sheet, roots, clearance = head_wrap(posed, appearance)
            self._drape = Drape(posed, sheet, roots, clearance)
            thing, self._mesh = sheet_object(bpy, collection, "wrap", sheet, material)
            self.blocks += [thing, self._mesh]
        self.blocks.append(material)

    def pose(self, frame: int) -> None:
        for thing in self._things:
            set_transform(thing, self._head[frame])
        if self._drape is not None and (self._shown < 0 or not self._drape.still(frame, self._shown)):
            self._mesh.vertices.foreach_set("co", points_to_blender(self._drape.at(frame)).ravel())
            self._mesh.update()
        self._shown = frame


def make_covering(posed: PosedClip, appearance: Appearance) -> list[Sheet]:
    """The sheets that move with the head, at rest."""
    kind = appearance.head_covering
    if kind == "none":
        return []
    crown = _Crown(posed, kind)
    if kind == "headscarf":
        return [crown.shell(appearance)]
    return [crown.shell(appearance)] + ([crown.visor()] if kind == "cap" else [])


def hides_hair(appearance: Appearance) -> bool:
    """No hair shows under a headscarf."""
    return appearance.head_covering == "headscarf"


def kept_under(posed: PosedClip, appearance: Appearance, strands: Strands | None) -> Strands | None:
    """Hair pressed flat under a beanie or a cap, so that only what hangs below its hem shows."""
    kind = appearance.head_covering
    if strands is None or kind == "none":
        return strands
    points = _Crown(posed, kind).press(strands.points.reshape(-1, 3).astype(np.float64))
    return dataclasses.replace(strands, points=points.reshape(strands.points.shape).astype(np.float32))


class _Crown:
    """The head in polar coordinates about a point inside it: azimuth 0 in front, elevation up from level."""

    def __init__(self, posed: PosedClip, kind: str) -> None:
        rest, marks = posed.rest.astype(np.float64), posed.rest_landmarks.astype(np.float64)
        skin = rest[posed.surface.vertices_of("skin")]
        ears = rest[posed.regions.ears > 0.5]
        temples = marks[[0, 16]].mean(axis=0)
        top = skin[:, 1].max()
        self._kind = kind
        self._marks = marks
        self.centre = np.array([temples[0], marks[27, 1] + 0.015, temples[2] - 0.01])
        self._brow, self._top = marks[17:27, 1].max(), top
        self._ear_top = ears[:, 1].max() if len(ears) else self._brow
        self._ear_low = ears[:, 1].min() if len(ears) else marks[33, 1]
        self._hem = self._hemline()
        if kind == "headscarf":
            above = skin[(skin[:, 1] > marks[8, 1] - 0.01) & (skin[:, 2] < marks[8, 2] - 0.004)]
        else:
            azimuth = np.arctan2(skin[:, 0] - self.centre[0], skin[:, 2] - self.centre[2])
            above = skin[skin[:, 1] > self._hem(np.rad2deg(np.abs(azimuth))) - 0.025]
        facets = np.unique(ConvexHull(above).equations.round(12), axis=0)
        inside = -facets[:, 3] - facets[:, :3] @ self.centre
        slope = _direction(*(a.ravel() for a in np.meshgrid(_ROUND, _UP, indexing="ij"))) @ facets[:, :3].T
        reach = np.where(slope > 1e-9, inside / np.maximum(slope, 1e-9), np.inf).min(axis=1)
        self._reach = RegularGridInterpolator((_ROUND, _UP), reach.reshape(len(_ROUND), len(_UP)))
        self._lift = {"beanie": 0.0065, "cap": 0.0055, "headscarf": 0.0045}[kind]

    def hull(self, direction: Array) -> Array:
        """Distance [N] from the centre to the hull along unit directions [N, 3]."""
        azimuth = np.arctan2(direction[:, 0], direction[:, 2])
        elevation = np.arcsin(np.clip(direction[:, 1], -1, 1))
        return self._reach(np.stack([azimuth, elevation], axis=1))

    def _hemline(self) -> Any:
        """Height of the hem by azimuth, degrees from the front."""
        span = self._top - self._brow
        if self._kind == "beanie":
            knots = [(0, self._brow + 0.18 * span), (50, self._brow + 0.14 * span), (85, self._ear_top - 0.012),
                     (120, self._ear_top - 0.022), (180, self._ear_low + 0.004)]  # fmt: skip
        elif self._kind == "cap":
            knots = [(0, self._brow + 0.26 * span), (45, self._brow + 0.22 * span), (90, self._ear_top + 0.008),
                     (130, self._ear_top + 0.0), (180, self._ear_top - 0.022)]  # fmt: skip
        else:
            chin = self._marks[8, 1]
            knots = [(0, self._brow + 0.40 * span), (35, self._brow + 0.30 * span), (54, self._brow - 0.005),
                     (62, self._marks[33, 1]), (72, chin + 0.012), (90, chin - 0.004), (180, chin + 0.004)]  # fmt: skip
        azimuth, height = np.array(knots).T
        return PchipInterpolator(azimuth, height)

    def _hem_elevation(self, azimuth: Array) -> Array:
        """Where on the hull the hem's height lies, by a few steps of bisection."""
        wanted = self._hem(np.rad2deg(np.abs(azimuth)))
        low, high = np.full(len(azimuth), -1.45), np.full(len(azimuth), 1.5)
        for _ in range(24):
            middle = 0.5 * (low + high)
            direction = _direction(azimuth, middle)
            height = self.centre[1] + self.hull(direction) * direction[:, 1]
            low, high = np.where(height < wanted, middle, low), np.where(height < wanted, high, middle)
        return 0.5 * (low + high)

    def shell(self, appearance: Appearance) -> Sheet:
        """From the hem, turned in to the skin, up to the crown."""
        azimuth = np.linspace(-np.pi, np.pi, 97)
        hem = self._hem_elevation(azimuth)
        share = np.concatenate([[0.004, 0.0, 0.0], np.linspace(0.012, 1.0, 34) ** 1.15])
        elevation = hem + share[:, None] * (0.5 * np.pi - hem)
        direction = _direction(np.tile(azimuth, len(share)), elevation.ravel())
        reach = self.hull(direction).reshape(elevation.shape)
        lift = np.full_like(reach, self._lift)
        up = share[:, None]
        if self._kind == "beanie":
            lift += 0.0035 * ((up < 0.34) & (share[:, None] > 0)) + 0.013 * np.clip((up - 0.45) / 0.5, 0, 1) ** 2
        elif self._kind == "cap":
            lift += 0.010 * np.sin(np.pi * np.clip(up, 0, 1)) ** 1.5
        else:
            folds = value_noise(direction, 0.28, appearance.seed + 3).reshape(reach.shape)
            folds[:, -1] = folds[:, 0]
            lift += 0.0022 * (1 + folds) * np.clip(up / 0.1, 0, 1)
        lift[0], lift[1] = -0.004, 0.0005
        points = self.centre + (reach + lift).reshape(-1, 1) * direction
        return grid(points.reshape(*reach.shape, 3))

    def visor(self) -> Sheet:
        """A bent board out of the front hem."""
        azimuth = np.linspace(-1.02, 1.02, 41)
        direction = _direction(azimuth, self._hem_elevation(azimuth) + 0.03)
        root = self.centre + (self.hull(direction) + self._lift - 0.002)[:, None] * direction
        out = 0.068 * np.cos(azimuth * np.pi / 2 / 1.02) ** 0.55
        rows = []
        section = [(0, 0.0), (0.5, 0.0), (0.97, 0.0), (1.0, -0.001), (0.97, -0.0025), (0.5, -0.0025), (0, -0.0025)]
        for share, thick in section:
            row = root + [0, 0, 1] * (share * out)[:, None]
            row[:, 1] += thick - 0.30 * share * out - 5.0 * (row[:, 0] - self.centre[0]) ** 2 * share
            rows.append(row)
        return grid(np.array(rows))

    def press(self, points: Array) -> Array:
        """Points [N, 3] above the hem brought inside the shell."""
        offset = points - self.centre
        distance = np.linalg.norm(offset, axis=1)
        direction = offset / np.maximum(distance, 1e-9)[:, None]
        azimuth = np.arctan2(direction[:, 0], direction[:, 2])
        over = np.arcsin(np.clip(direction[:, 1], -1, 1)) - np.interp(azimuth, _ROUND, self._hem_elevation(_ROUND))
        allowed = self.hull(direction) + self._lift - 0.0025 + 0.5 * np.maximum(-over, 0)
        return self.centre + np.minimum(distance, allowed)[:, None] * direction


_ROUND, _UP = np.linspace(-np.pi, np.pi, 121), np.linspace(-0.5 * np.pi, 0.5 * np.pi, 61)
"""Directions that the hull is known in."""


def _direction(azimuth: Array, elevation: Array) -> Array:
    level = np.cos(elevation)
    return np.stack([level * np.sin(azimuth), np.sin(elevation), level * np.cos(azimuth)], axis=1)
