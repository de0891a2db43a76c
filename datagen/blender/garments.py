"""Cloth that stands off the skin: rolled and folded collars, a hood, lapels. They move with the body."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.spatial import cKDTree

from datagen.blender.axes import points_to_blender
from datagen.blender.fabric import Cloth, fabric_material
from datagen.blender.noise import value_noise
from datagen.blender.sheets import Sheet, grid, join, sheet_object, tube
from datagen.geometry.normals import vertex_normals
from datagen.geometry.posed import PosedClip, rigid_fit
from manifests.clip import Appearance

Array = NDArray[Any]

_TILT = np.tan(np.deg2rad(28.0))
"""The base of the neck falls from nape to throat by about this angle, as ``regions`` has it."""
_THICK_M = 0.0025


class Garment:
    """The part of the clothing that is not painted on the skin; none for crew, v and scoop necks."""

    def __init__(self, bpy: Any, collection: Any, posed: PosedClip, appearance: Appearance) -> None:
        self.blocks: list[Any] = []
        self._shown: int | None = None
        worn = make_garment(posed, appearance)
        if worn is not None:
            self._drape = Drape(posed, *worn)
            cloth = Cloth.of(appearance.fabric, appearance.clothing_colour, appearance.seed)
            material = fabric_material(bpy, "garment", cloth)
            thing, self._mesh = sheet_object(bpy, collection, "garment", worn[0], material)
            self.blocks = [thing, self._mesh, material]

    def pose(self, frame: int) -> None:
        if self.blocks and (self._shown is None or not self._drape.still(frame, self._shown)):
            self._mesh.vertices.foreach_set("co", points_to_blender(self._drape.at(frame)).ravel())
            self._mesh.update()
        self._shown = frame


class Drape:
    """A sheet that follows the skin below it and stays out of it."""

    def __init__(self, posed: PosedClip, sheet: Sheet, roots: Array, clearance: Array) -> None:
        """Each point of the sheet moves as the skin near its root [N, 3] does, and stays ``clearance`` [N]
        metres outside the skin nearest to it."""
        surface, rest = posed.surface, posed.rest.astype(np.float64)
        self._posed, self._sheet, self._clearance = posed, sheet, clearance
        near = np.zeros(len(rest), bool)
        near[surface.vertices_of("skin")] = True
        near &= rest[:, 1] < posed.rest_landmarks[8, 1] + 0.05
        low, high = sheet.points.min(axis=0) - 0.04, sheet.points.max(axis=0) + 0.04
        near &= ((rest > low) & (rest < high)).all(axis=1)
        self._skin = np.flatnonzero(near)
        inside = surface.faces[near[surface.faces].all(axis=1) & (surface.part == 0)]
        local = np.zeros(len(rest), np.int32)
        local[self._skin] = np.arange(len(self._skin))
        self._faces = local[inside]
        distance, index = cKDTree(rest[self._skin]).query(roots, k=6)
        weight = 1 / (distance + 0.003)
        self._weight = weight / weight.sum(axis=1, keepdims=True)
        self._below = self._skin[index]
        body = rest[:, 1] < np.quantile(rest[self._skin, 1], 0.4)
        self._body = rigid_fit(rest[body], posed.vertices[:, body])

    def at(self, frame: int) -> Array:
        """Points [N, 3] in the world."""
        vertices = self._posed.vertices[frame].astype(np.float64)
        turn, shift = self._body[frame, :3, :3], self._body[frame, :3, 3]
        below = self._posed.rest[self._below].astype(np.float64)
        strain = vertices[self._below] - (below @ turn.T + shift)
        points = self._sheet.points @ turn.T + shift + np.einsum("nk,nkx->nx", self._weight, strain)
        skin = vertices[self._skin]
        return push_out(points, skin, vertex_normals(skin, self._faces), self._clearance)

    def still(self, frame: int, other: int) -> bool:
        return np.array_equal(self._posed.vertices[frame], self._posed.vertices[other])


def push_out(points: Array, skin: Array, normals: Array, clearance: Array) -> Array:
    """Points [N, 3] moved to at least ``clearance`` [N] over the planes of the skin vertices nearest to them."""
    tree = cKDTree(skin)
    for _ in range(2):
        _, index = tree.query(points, k=3)
        height = np.einsum("nkx,nkx->nk", points[:, None] - skin[index], normals[index]).min(axis=1)
        points = points + np.maximum(clearance - height, 0)[:, None] * normals[index[:, 0]]
    return points


def make_garment(posed: PosedClip, appearance: Appearance) -> tuple[Sheet, Array, Array] | None:
    """The garment's sheet at rest, the roots [N, 3] and the clearances [N] of its points."""
    make = _MAKERS.get(appearance.clothing)
    if make is None:
        return None
    sheets = make(_Neck(posed, appearance.neckline_m), appearance)
    sheet = join(*(item[0] for item in sheets))
    return sheet, np.concatenate([item[1] for item in sheets]), np.concatenate([item[2] for item in sheets])


def head_wrap(posed: PosedClip, appearance: Appearance) -> tuple[Sheet, Array, Array]:
    """The part of a headscarf that is wound round the neck, from under the chin out over the shoulders."""
    neck = _Neck(posed, appearance.neckline_m)
    azimuth = np.linspace(0, 2 * np.pi, 97)
    places = np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros_like(azimuth)], axis=1)
    section = [(-0.030, 0.004), (-0.012, 0.013), (0.006, 0.016), (0.026, 0.014), (0.044, 0.010), (0.052, 0.006),
               (0.044, 0.003), (0.01, 0.003), (-0.030, 0.002)]  # fmt: skip
    height, offset = _swept(section, azimuth)
    folds = np.array([value_noise(places + [0, 0, 25 * h], 0.3, appearance.seed + 7) for h in height[:, 0]])
    folds[:, -1] = folds[:, 0]
    return neck.collar(azimuth, height, np.where(offset > 0.003, offset * (1 + 0.35 * folds), offset))


_Piece = tuple[Sheet, Array, Array]


class _Neck:
    """The skin round the neck, by azimuth (0 in front) and height over the collar's base."""

    def __init__(self, posed: PosedClip, neckline_m: float) -> None:
        surface, rest = posed.surface, posed.rest.astype(np.float64)
        corners = rest[surface.faces[surface.part == 0]]
        middle = corners.mean(axis=1)
        low, high = neckline_m - 0.17, neckline_m + 0.13
        near = (middle[:, 1] > low) & (middle[:, 1] < high) & (np.hypot(middle[:, 0], middle[:, 2]) < 0.17)
        self._corners = corners[near]
        self._base = neckline_m
        skin = surface.vertices_of("skin")
        self.skin = rest[skin]
        self.normals = vertex_normals(rest, surface.faces)[skin]
        self._tree = cKDTree(self.skin)

    def at(self, azimuth: Array, height: Array) -> tuple[Array, Array]:
        """Skin points [N, 3], no further out than a collar reaches, and outward directions [N, 3]."""
        out = np.stack([np.sin(azimuth), -_TILT * np.cos(azimuth), np.cos(azimuth)], axis=1)
        origin = np.zeros_like(out)
        origin[:, 1] = self._base + height
        reach = np.minimum(_cast(origin, out, self._corners), 0.085)
        outward = out / np.linalg.norm(out, axis=1, keepdims=True)
        return origin + reach[:, None] * out, outward

    def front(self, x: float, y: float) -> Array:
        """The chest's point [3] at x and y."""
        ahead = np.array([[x, y, 0.0]]), np.array([[0.0, 0.0, 1.0]])
        return (ahead[0] + min(_cast(*ahead, self._corners)[0], 0.12) * ahead[1])[0]

    def collar(self, azimuth: Array, height: Array, offset: Array) -> _Piece:
        """A ring of cloth: a closed cross-section of R points for each of C azimuths; height and offset [R, C]."""
        rows = len(height)
        angle = np.tile(azimuth, rows)
        skin, outward = self.at(angle, height.ravel())
        roots = self.at(angle, np.minimum(height.ravel(), 0.0))[0]
        points = skin + offset.reshape(-1, 1) * outward
        clearance = np.minimum(offset.ravel(), 0.012)
        points = self.out(points, clearance)
        return grid(points.reshape(rows, -1, 3), ring=True), roots, clearance

    def out(self, points: Array, clearance: Array) -> Array:
        return push_out(points, self.skin, self.normals, clearance)


def _swept(section: list[tuple[float, float]], azimuth: Array) -> tuple[Array, Array]:
    """One cross-section at every azimuth: heights and offsets [R, C]."""
    height, offset = np.array(section).T[:, :, None] * np.ones(len(azimuth))
    return height, offset


def _turtleneck(neck: _Neck, appearance: Appearance) -> list[_Piece]:
    """A tube rolled over at its top."""
    azimuth = np.linspace(0, 2 * np.pi, 81)
    section = [(-0.012, 0.001), (0.006, 0.002), (0.032, 0.0025), (0.038, 0.004), (0.039, 0.0065), (0.035, 0.0095),
               (0.020, 0.0105), (0.006, 0.0100), (0.003, 0.0085), (-0.003, 0.0050), (-0.012, 0.0035)]  # fmt: skip
    height, offset = _swept(section, azimuth)
    places = np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros_like(azimuth)], axis=1)
    slack = value_noise(places, 0.35, appearance.seed)
    slack[-1] = slack[0]
    folds = 0.0012 * slack * np.clip(height / 0.03, 0, 1)
    return [neck.collar(azimuth, height + folds, offset)]


def _shirt(neck: _Neck, appearance: Appearance) -> list[_Piece]:
    """A stand round the neck, its leaf folded over and ending in two points, and a placket below."""
    azimuth = np.linspace(np.deg2rad(11), np.deg2rad(349), 81)
    ahead = np.minimum(azimuth, 2 * np.pi - azimuth)
    point = np.clip(1 - (ahead - ahead[0]) / np.deg2rad(48), 0, 1) ** 1.5
    up = 0.026 - 0.012 * point
    leaf = -0.012 - 0.026 * point
    one = np.ones_like(azimuth)
    height = np.stack([-0.012 * one, 0.5 * up, up - 0.002, up + 0.001, up, 0.5 * (up + leaf), leaf, leaf,
                       0.5 * (up + leaf), up - 0.004, 0.3 * up, -0.012 * one])  # fmt: skip
    offset = np.outer([0.001, 0.002, 0.003, 0.0055, 0.0085, 0.0105, 0.0095, 0.0070, 0.0080, 0.006, 0.0045, 0.0035], one)
    pieces = [neck.collar(azimuth, height, offset)]
    top = neck.at(np.zeros(1), np.full(1, -0.035))[0][0, 1]
    pieces.append(_strip(neck, top, 0.015))
    return pieces


def _strip(neck: _Neck, top: float, half_width: float) -> _Piece:
    """A placket down the middle of the chest."""
    y = np.linspace(top, neck.skin[:, 1].min() + 0.002, 14)
    across = [(-1.0, 0.001), (-1.0, 0.0035), (0.0, 0.004), (1.0, 0.0035), (1.0, 0.001)]
    skin = np.array([[neck.front(side * half_width, level) for level in y] for side, _ in across])
    clearance = np.repeat([lift for _, lift in across], len(y))
    points = neck.out(skin.reshape(-1, 3), clearance)
    return grid(points.reshape(len(across), len(y), 3)), skin.reshape(-1, 3), clearance


def _hoodie(neck: _Neck, appearance: Appearance) -> list[_Piece]:
    """A hood laid down behind the neck: a roll, thick at the nape, thin in front; and two cords."""
    azimuth = np.linspace(0, 2 * np.pi, 97)
    behind = 0.5 - 0.5 * np.cos(azimuth)
    thick = 0.008 + 0.020 * behind**1.5
    places = np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros_like(azimuth)], axis=1)
    around = np.linspace(0, 2 * np.pi, 16, endpoint=False)[:, None]
    folds = np.array([value_noise(places + [0, 0, a], 0.28, appearance.seed + 5) for a in around[:, 0]])
    folds[:, -1] = folds[:, 0]
    reach = thick * (1 + 0.16 * folds)
    height = 0.004 + 0.6 * thick + 1.25 * reach * np.sin(around)
    offset = 0.003 + 1.02 * thick + reach * np.cos(around)
    middle = np.broadcast_to(0.004 + 0.3 * thick, height.shape)
    skin, outward = neck.at(np.tile(azimuth, len(around)), middle.ravel())
    points = skin + offset.reshape(-1, 1) * outward
    points[:, 1] += (height - middle).ravel()
    clearance = np.full(len(points), 0.002)
    points = neck.out(points, clearance)
    pieces = [(grid(points.reshape(len(around), -1, 3), ring=True), skin, clearance)]
    for side in (-1.0, 1.0):
        start = neck.at(np.full(1, side * 0.30), np.zeros(1))[0][0]
        y = np.linspace(start[1] - 0.002, start[1] - 0.075, 12)
        line = np.array([neck.front(start[0] + side * 0.002 * np.sin(40 * (start[1] - v)), v) for v in y])
        line = neck.out(line, np.full(len(line), 0.004))
        cord = tube(line, 0.0024)
        roots = np.tile(np.concatenate([line]), (8, 1))
        pieces.append((cord, roots, np.full(len(cord.points), 0.001)))
    return pieces


def _jacket(neck: _Neck, appearance: Appearance) -> list[_Piece]:
    """Lapels from the nape over the collarbones to the middle of the chest, on each side."""
    return [_lapel(neck, side) for side in (-1.0, 1.0)]


def _lapel(neck: _Neck, side: float) -> _Piece:
    azimuth = side * np.deg2rad([180.0, 150.0, 120.0, 95.0, 70.0])
    inner, outward = neck.at(azimuth, np.array([0.014, 0.014, 0.012, 0.008, 0.0]))
    floor = neck.skin[:, 1].min() + 0.002
    below = np.linspace(inner[-1, 1] - 0.03, floor, 4)
    share = np.linspace(0.8, 0.12, 4)
    chest = np.array([neck.front(inner[-1, 0] * s, y) for s, y in zip(share, below, strict=True)])
    line = np.concatenate([inner + 0.003 * outward, chest])
    aside = np.concatenate([outward * [1, 0, 1], np.tile([side, 0.12, 0.0], (4, 1))])
    fall = np.concatenate([np.full(5, -0.9), np.zeros(4)])
    aside[:, 1] += fall
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    width = np.array([0.024, 0.025, 0.028, 0.034, 0.042, 0.048, 0.046, 0.034, 0.016])
    knots, fine = np.linspace(0, 1, len(line)), np.linspace(0, 1, 61)
    line, aside, width = (PchipInterpolator(knots, values)(fine) for values in (line, aside, width))
    notch = 0.35 * np.exp(-(((fine - 0.60) / 0.012) ** 2))
    width = width * (1 - notch)
    section = [(0.0, 0.002), (0.03, 0.0065), (0.35, 0.0075), (0.7, 0.0065), (1.0, 0.0050), (1.0, 0.0025), (0.5, 0.002)]
    flat = np.concatenate([line + share * width[:, None] * aside for share, _ in section])
    clearance = np.repeat([lift for _, lift in section], len(fine))
    points = neck.out(flat, clearance)
    points = points.reshape(len(section), -1, 3)
    return grid(points, ring=True), flat, clearance


_MAKERS = {"turtleneck": _turtleneck, "shirt": _shirt, "hoodie": _hoodie, "jacket": _jacket}


@njit(cache=True, error_model="numpy")
def _cast(origin: Array, direction: Array, corners: Array) -> Array:
    """Where rays [N, 3] first meet triangles [F, 3, 3], as multiples of ``direction``; infinite if nowhere.

    Möller and Trumbore, "Fast, minimum storage ray/triangle intersection", 1997.
    """
    out = np.full(len(origin), np.inf)
    for row in range(len(origin)):
        ox, oy, oz = origin[row]
        dx, dy, dz = direction[row]
        for face in range(len(corners)):
            ax, ay, az = corners[face, 0]
            ex, ey, ez = corners[face, 1, 0] - ax, corners[face, 1, 1] - ay, corners[face, 1, 2] - az
            fx, fy, fz = corners[face, 2, 0] - ax, corners[face, 2, 1] - ay, corners[face, 2, 2] - az
            px, py, pz = dy * fz - dz * fy, dz * fx - dx * fz, dx * fy - dy * fx
            scale = ex * px + ey * py + ez * pz
            if abs(scale) < 1e-15:
                continue
            sx, sy, sz = ox - ax, oy - ay, oz - az
            u = (sx * px + sy * py + sz * pz) / scale
            if u < -1e-6 or u > 1 + 1e-6:
                continue
            qx, qy, qz = sy * ez - sz * ey, sz * ex - sx * ez, sx * ey - sy * ex
            v = (dx * qx + dy * qy + dz * qz) / scale
            if v < -1e-6 or u + v > 1 + 1e-6:
                continue
            t = (fx * qx + fy * qy + fz * qz) / scale
            if 0.01 < t < out[row]:
                out[row] = t
    return out
