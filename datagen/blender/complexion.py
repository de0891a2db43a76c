"""What the skin looks like, from rest positions alone, so that it sticks to the person.

Pigments, regions and gloss vary slowly and are painted on the vertices. A texture adds what is finer than the
mesh (freckles, moles, age spots, lines, grain) where the head has texture coordinates; without, the vertices'
colour is all there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from datagen.blender.canvas import Canvas
from datagen.blender.hairline import scalp_tint
from datagen.blender.melanin import blood_fraction, melanin_fraction, skin_colour
from datagen.blender.noise import fractal_noise, smoothstep
from datagen.blender.spots import melanin_spots
from datagen.blender.wrinkles import Wrinkles
from datagen.geometry.posed import PosedClip
from datagen.geometry.regions import FIELD_WIDTH_M
from manifests.clip import Appearance

Array = NDArray[Any]


@dataclass(frozen=True)
class Complexion:
    """Per vertex of the surface; distances are signed, positive inside, metres."""

    texture: Array | None
    """uint8 [S, S, 4], row 0 at v = 1: sRGB, and the depth of lines as a share of ``wrinkles.DEEPEST_M``. None for
    a head without texture coordinates."""

    colour: Array
    """float32 [Vs, 3], linear Rec.709."""
    roughness: Array
    """float32 [Vs]."""
    brows: Array
    """float32 [Vs]: distance into the eyebrow."""
    clothing: Array
    """float32 [Vs]: distance into the clothing."""
    lashes: Array
    """float32 [Vs]: how much the lid's edge is darkened by lashes, in [0, 1]."""


TEXTURE_SIZE = 1536
"""Texels a side: half a millimetre each on the open head's face, which is less than a pixel at 512 pixels."""
_CHUNK = 1 << 16
_WET_ROUGHNESS = 0.12


def paint(posed: PosedClip, appearance: Appearance, age_years: float = 40.0) -> Complexion:
    """Colour and roughness of one person's skin."""
    rest, marks, regions = posed.rest.astype(np.float64), posed.rest_landmarks, posed.regions
    lips = smoothstep(-0.0012, 0.0012, _distance(regions.lips))
    lids = _lid_distance(rest, marks)

    blood = blood_fraction(appearance.haemoglobin) * _blood_map(rest, marks, posed)
    melanin = melanin_fraction(appearance.melanin) * np.ones(len(rest))
    blotches = fractal_noise(rest, 0.018, 3, appearance.seed)
    tan = fractal_noise(rest, 0.05, 2, appearance.seed + 11)
    blood = blood * np.exp(0.22 * blotches)
    melanin = melanin * np.exp(0.10 * tan + 0.16 * fractal_noise(rest, 0.006, 2, appearance.seed + 23))
    melanin *= 1 + 0.35 * np.exp(-np.maximum(lids, 0) / 0.007)  # thin, shaded skin round the eyes
    pale = 1 - appearance.melanin
    blood = blood * (1 - lips) + lips * (0.06 + 0.07 * appearance.haemoglobin)
    melanin = melanin * (1 - lips * (0.35 + 0.25 * pale))

    wet = _lid_margin(posed, rest)
    blood = blood * (1 + 1.2 * wet)
    melanin = melanin * (1 - 0.6 * wet)

    inside = _mouth_cavity(rest, marks, posed.surface.vertices_of("skin"))
    tint, hair = scalp_tint(posed, appearance)
    pigments = np.column_stack([melanin, blood, inside, tint])
    colour = _colour(pigments, hair)
    roughness = appearance.roughness + 0.05 * blotches + 0.4 * tint
    roughness = roughness * (1 - 0.30 * lips) - 0.08 * _shine(rest, marks)
    roughness = roughness * (1 - wet) + _WET_ROUGHNESS * wet
    return Complexion(
        _texture(posed, appearance, age_years, pigments, hair) if posed.surface.uv is not None else None,
        colour.astype(np.float32),
        np.clip(roughness, _WET_ROUGHNESS, 0.9).astype(np.float32),
        _distance(regions.brows),
        _distance(regions.clothing),
        _lashes(rest, marks, lids).astype(np.float32),
    )


def _colour(pigments: Array, hair: Array) -> Array:
    """Linear colour [N, 3] of pigments [N, 4]: melanin and blood, shares of the mouth's inside and of hair's tint."""
    melanin, blood, inside, tint = (column[:, None] for column in pigments.T)
    colour = skin_colour(melanin[:, 0], blood[:, 0])
    colour = colour * (1 - inside) + inside * np.array([0.22, 0.045, 0.04])
    return colour * (1 - tint) + tint * (0.8 * hair + 0.2 * colour * hair.mean())


def _texture(posed: PosedClip, appearance: Appearance, age_years: float, pigments: Array, hair: Array) -> Array:
    """The vertices' pigments at each texel, with what is finer than the mesh."""
    bare = posed.regions.clothing[posed.surface.faces].min(axis=1) < 0.9
    canvas = Canvas(posed.surface, TEXTURE_SIZE, bare)
    points = canvas.at_texels(posed.rest.astype(np.float64))
    fine = canvas.at_texels(pigments)
    spots = melanin_spots(posed, appearance, age_years).at(points)
    lines = Wrinkles(posed, appearance, age_years).depth_at(points)
    skin = 1 - np.maximum(fine[:, 2], fine[:, 3])
    fine[:, 0] *= np.exp((spots + 0.6 * lines) * skin + 0.10 * fractal_noise(points, 0.0016, 2, appearance.seed + 29))
    fine[:, 1] *= np.exp(0.12 * fractal_noise(points, 0.0022, 2, appearance.seed + 31) + 0.6 * lines)
    fine[:, 0] = np.minimum(fine[:, 0], 0.6)
    out = np.zeros((len(canvas), 4), np.uint8)
    for start in range(0, len(canvas), _CHUNK):  # a spectrum of each texel at once would take gigabytes
        part = slice(start, start + _CHUNK)
        out[part, :3] = np.rint(255 * _encoded(_colour(fine[part], hair)))
    out[:, 3] = np.rint(255 * np.clip(lines * skin, 0, 1))
    return canvas.picture(out)


def _encoded(linear: Array) -> Array:
    """sRGB's transfer function (IEC 61966-2-1)."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _distance(field: Array) -> Array:
    """A region's field as signed distance to its border, metres."""
    return ((field - 0.5) * FIELD_WIDTH_M).astype(np.float32)


def _spot(rest: Array, centre: Array, radius_m: float) -> Array:
    return np.exp(-np.sum((rest - centre) ** 2, axis=1) / radius_m**2)


def _blood_map(rest: Array, marks: Array, posed: PosedClip) -> Array:
    """Factor on the blood fraction: cheeks, nose, ears, chin and eyelids are ruddier than the rest."""
    factor = np.full(len(rest), 0.85)
    skin = posed.surface.vertices_of("skin")
    tree = cKDTree(rest[skin])
    for lid, corner, jaw in ((41, 48, 3), (46, 54, 13)):
        aim = 0.40 * marks[lid] + 0.30 * marks[corner] + 0.30 * marks[jaw] + [0, 0, 0.02]
        cheek = rest[skin[tree.query(aim)[1]]]
        factor += 0.9 * _spot(rest, cheek, 0.021)
    factor += 1.0 * _spot(rest, marks[30], 0.011) + 0.5 * (
        _spot(rest, marks[31], 0.008) + _spot(rest, marks[35], 0.008)
    )
    factor += 0.35 * _spot(rest, marks[8], 0.014)
    factor += 0.4 * np.exp(-np.abs(_lid_distance(rest, marks)) / 0.004)
    factor += 0.9 * smoothstep(-0.002, 0.003, _distance(posed.regions.ears))
    return factor


def _shine(rest: Array, marks: Array) -> Array:
    """Where sebum makes skin glossier: forehead, bridge and tip of the nose."""
    forehead = marks[[21, 22]].mean(0) + [0, 0.025, 0]
    return np.clip(_spot(rest, forehead, 0.028) + _spot(rest, marks[29], 0.012) + _spot(rest, marks[30], 0.008), 0, 1)


def _lid_distance(rest: Array, marks: Array) -> Array:
    """Distance [Vs] to the nearer eye's lid line, metres."""
    lines = np.concatenate([_closed_line(marks[36:42]), _closed_line(marks[42:48])])
    return cKDTree(lines).query(rest)[0]


def _lid_margin(posed: PosedClip, rest: Array) -> Array:
    """1 on skin that lies against an eyeball, where the tear film stands: red, without pigment, and wet."""
    out = np.zeros(len(rest))
    for eye in ("right_eye", "left_eye"):
        ball = rest[posed.surface.vertices_of(eye)]
        if len(ball):
            gap = cKDTree(ball).query(rest, distance_upper_bound=0.004)[0]
            out = np.maximum(out, smoothstep(0.0026, 0.0012, gap))
    return out


def _lashes(rest: Array, marks: Array, distance: Array) -> Array:
    """Lashes darken the lids' edges, the upper more, and more towards the outer corner."""
    upper = np.zeros(len(rest))
    for inner, outer in ((39, 36), (42, 45)):
        axis = marks[outer] - marks[inner]
        along = np.clip((rest - marks[inner]) @ axis / (axis @ axis), 0, 1)
        height = rest[:, 1] - (marks[inner, 1] + along * axis[1])
        here = np.abs(rest[:, 0] - marks[[inner, outer], 0].mean()) < 0.02
        upper = np.where(here, (height > 0.0005) * (0.65 + 0.35 * along) + (height <= 0.0005) * 0.35, upper)
    return upper * smoothstep(0.0022, 0.0004, distance)


def _mouth_cavity(rest: Array, marks: Array, skin: Array) -> Array:
    """1 on skin inside the mouth: what has other skin in front of it."""
    middle = marks[[62, 66]].mean(0)
    half_width = np.abs(marks[[48, 54], 0] - middle[0]).mean()
    x, y, z = (rest - middle).T
    reach = (np.abs(x) < 1.1 * half_width) & (z > -0.07) & (y < 0.03) & (y > 0.55 * (marks[8, 1] - middle[1]))
    near = skin[reach[skin]]
    neighbours = cKDTree(rest[near, :2]).query_ball_point(rest[near, :2], 0.004)
    front = np.array([z[near[others]].max() for others in neighbours])
    out = np.zeros(len(rest))
    out[near] = smoothstep(0.005, 0.010, front - z[near]) * smoothstep(-0.003, -0.006, z[near])
    return out


def _closed_line(marks: Array, per_edge: int = 16) -> Array:
    """Points along the closed polygon of ``marks`` [M, 3]."""
    share = np.arange(per_edge)[:, None, None] / per_edge
    return ((1 - share) * marks + share * np.roll(marks, -1, axis=0)).reshape(-1, 3)
