"""Where on a head its lips, brows, hair, ears, neck, clothing and irises are.

Made from rest positions and the 70 landmarks alone, so it works on any mesh. Each region is a field on the
vertices: 0.5 plus the signed distance to the region's border (metres, positive inside) over FIELD_WIDTH_M,
clipped to [0, 1]. It may be interpolated linearly; the border is the 0.5 level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from datagen.geometry.curves import fit_sphere, nearest, polygon_distance, smooth_curve, smooth_maximum
from datagen.geometry.head_layout import HeadLayout, ear_distance
from datagen.geometry.normals import vertex_normals
from datagen.geometry.surface import Surface
from manifests.conventions import LEFT_PUPIL, RIGHT_PUPIL

Array = NDArray[Any]

FIELD_WIDTH_M = 0.02
"""A field falls from 1 to 0 over this distance, centred on the border."""

IRIS_ANGLE_RAD = float(np.arcsin(5.9 / 12.0))
"""Half the angle that the iris spans at the eye's centre: visible iris 11.8 mm wide (Rüfer et al., "White-to-
white corneal diameter", 2005) on an eyeball of radius 12 mm."""


@dataclass(frozen=True)
class Regions:
    """Fields float32 [Vs], inside where above 0.5. ``iris`` lives on the eyes, all others on the skin."""

    lips: Array
    brows: Array
    clothing: Array
    scalp: Array
    """Where hair grows."""
    ears: Array
    neck: Array
    iris: Array


def make_regions(surface: Surface, rest: Array, landmarks: Array, neckline_m: float, garment: str = "crew") -> Regions:
    """Regions of one identity from its ``rest`` [Vs, 3] and ``landmarks`` [70, 3], world metres.

    ``neckline_m`` is the collar's height above the neck joint, on the neck's axis; ``garment`` a field of
    ``datagen.sections.Clothes``.
    """
    skin = surface.vertices_of("skin")
    points, marks = rest[skin].astype(np.float64), landmarks.astype(np.float64)
    sideways = vertex_normals(rest, surface.faces)[skin, 0]
    face = HeadLayout.of(points, sideways, marks)
    ears = ear_distance(points, sideways, face)
    distances = {
        "lips": _lips(points, marks),
        "brows": _brows(points, marks, face),
        "clothing": _clothing(points, neckline_m, garment),
        "scalp": np.minimum(_scalp(points, face), -ears - 0.001),
        "ears": ears,
        "neck": _neck(points, marks, face),
    }
    fields = {}
    for name, distance in distances.items():
        fields[name] = np.zeros(len(rest), np.float32)
        fields[name][skin] = _field(distance)
    return Regions(**fields, iris=_iris(surface, rest, marks))


def _field(distance: Array) -> Array:
    return np.clip(0.5 + distance / FIELD_WIDTH_M, 0, 1).astype(np.float32)


def _lips(points: Array, marks: Array) -> Array:
    """Inside the smooth closed curve through landmarks 48-59, seen from the front, and not far behind it."""
    outline = smooth_curve(marks[48:60], closed=True)
    inside = polygon_distance(points[:, :2], outline[:, :2])
    depth = nearest(points[:, :2], outline[:, :2])[1]
    return np.minimum(inside, points[:, 2] - outline[depth, 2] + 0.008)


def _brows(points: Array, marks: Array, face: HeadLayout) -> Array:
    """Two tapering bands along landmarks 17-21 and 22-26, unrolled from the head.

    The landmarks follow the bony ridge, which dips to the nose; hair does less, so the inner ends are lifted
    to at most 3 mm under the band's middle.
    """
    flat = face.unroll(points)
    best = np.full(len(points), -np.inf)
    for tail_first in (marks[17:22], marks[26:21:-1]):
        line = face.unroll(tail_first)
        line[3:, 1] = np.maximum(line[3:, 1], line[2, 1] - [0.0012, 0.003])
        curve = smooth_curve(line, closed=False)
        distance, index = nearest(flat, curve)
        along = index / (len(curve) - 1)
        half_width = np.interp(along, [0.0, 0.35, 0.8, 1.0], [0.0009, 0.0025, 0.0034, 0.0029])
        same_side = points[:, 0] * tail_first[:, 0].mean() > 0
        best = np.maximum(best, np.where(same_side, half_width - distance, -FIELD_WIDTH_M))
    return best


def _clothing(points: Array, neckline_m: float, garment: str) -> Array:
    """Below a neckline: a plane through the neck's base, from the nape down to the throat's pit, but never
    wider open than a collar; lower in front for necklines that are cut out. On a body the sleeves end at the
    wrists, a hand's length (0.19 m) from the fingertips.
    """
    slope = np.deg2rad(30.0)
    level = neckline_m + _RISE_M.get(garment, 0.0)
    plane = np.cos(slope) * (level - points[:, 1]) - np.sin(slope) * points[:, 2]
    collar = np.hypot(points[:, 0], 0.8 * points[:, 2]) - 0.095
    shoulders = np.minimum(collar, -points[:, 1] - 0.02)
    below = smooth_maximum(plane, shoulders, 0.012)
    if garment in _CUT:
        below = np.minimum(below, -_cut_out(points, neckline_m, garment))
    if np.ptp(points[:, 1]) < 0.9:
        return below
    reach = np.abs(points[:, 0])
    mirrored = np.column_stack([reach, points[:, 1:]])
    knees = points[:, 1].min() + 0.25 * np.ptp(points[:, 1])
    arms = mirrored[(reach > 0.75 * reach.max()) & (points[:, 1] > knees)]
    fingertip = arms[np.linalg.norm(arms, axis=1).argmax()]
    hands = 0.19 - np.linalg.norm(mirrored - fingertip, axis=1)
    return np.minimum(below, -hands)


_RISE_M = {"turtleneck": 0.024}
"""How much higher than a crew neck's the cloth on the skin reaches: up under a rolled collar."""

_CUT = {"v_neck": (0.105, 27.0), "shirt": (0.095, 13.0), "scoop": (0.105, 0.0)}
"""How far below the neckline's height on the axis a cut ends in front, metres, and half its angle, degrees."""


def _cut_out(points: Array, neckline_m: float, garment: str) -> Array:
    """Distance into the part that is cut out of the front: a V with a rounded tip, or a U."""
    depth, half_angle = _CUT[garment]
    side, height = np.abs(points[:, 0]), points[:, 1] - (neckline_m - depth)
    if half_angle == 0:
        radius = 0.072
        cut = radius - np.hypot(side, np.minimum(height - radius, 0.35 * (height - radius)))
    else:
        angle = np.deg2rad(half_angle)
        cut = np.sin(angle) * height - np.cos(angle) * np.hypot(side, 0.003)
    return np.minimum(cut, points[:, 2] + 0.02)


_THROAT_M = 0.04
"""Below the brows, skin this near to the head's axis is throat and not nape."""


def _scalp(points: Array, face: HeadLayout) -> Array:
    """Above the hairline: forehead, temple, sideburn, around the ear, nape.

    The forehead is as high as brow to nose: the rule of facial thirds (Farkas, "Anthropometry of the head
    and face", 1994).
    """
    third = face.brow - face.nose
    front, back = face.azimuth_deg(face.ear_front), face.azimuth_deg(face.ear_back)
    above_ear, temple = face.ear_top + 0.004, front - 16
    hairline = [
        (0, face.brow + 0.96 * third),
        (18, face.brow + 1.00 * third),
        (32, face.brow + 1.02 * third),
        (0.5 * (32 + temple), face.brow + 0.72 * third),
        (temple, face.brow + 0.12 * third),
        (temple + 4, face.eye - 0.15 * third),
        (front - 7, face.eye - 0.42 * third),
        (front - 2, face.eye - 0.42 * third),
        (front + 3, 0.5 * (face.eye + above_ear)),
        (0.6 * front + 0.4 * back, above_ear),
        (0.4 * front + 0.6 * back, above_ear - 0.002),
        (back - 5, 0.6 * face.eye + 0.4 * face.ear_bottom),
        (back + 1, face.ear_bottom + 0.004),
        (back + 12, face.mouth + 0.15 * third),
        (180, face.mouth - 0.1 * third),
    ]
    azimuth, height = np.array(hairline).T
    curve = PchipInterpolator(azimuth, height)
    sample = np.linspace(0, 180, 721)
    line = np.stack([np.deg2rad(sample) * face.RADIUS, curve(sample)], axis=1)
    flat = face.unroll(points)
    distance = nearest(flat, line)[0]
    distance = np.where(flat[:, 1] > curve(np.rad2deg(flat[:, 0] / face.RADIUS)), distance, -distance)
    from_axis = np.hypot(points[:, 0], points[:, 2] - face.axis_z)
    return np.where(points[:, 1] < face.brow, np.minimum(distance, from_axis - _THROAT_M), distance)


def _neck(points: Array, marks: Array, face: HeadLayout) -> Array:
    """Below the line from chin along the lower jaw to the ear lobe and the nape, as far down as the chest."""
    jaw = marks[[4, 12]].mean(axis=0)
    z = np.array([face.axis_z - 0.09, face.ear_back, jaw[2], marks[8, 2] + 0.01])
    y = np.array([face.mouth, face.ear_bottom - 0.004, jaw[1] - 0.006, face.chin - 0.006])
    below_jaw = 0.9 * (np.interp(points[:, 2], z, y) - points[:, 1])
    return np.minimum(below_jaw, points[:, 1] + 0.2)


def _iris(surface: Surface, rest: Array, marks: Array) -> Array:
    """Around the optical axis (eye centre to pupil landmark); distance is arc length on the eyeball."""
    out = np.zeros(len(rest), np.float32)
    for name, pupil in (("right_eye", RIGHT_PUPIL), ("left_eye", LEFT_PUPIL)):
        eye = surface.vertices_of(name)
        if len(eye) == 0:
            continue
        points = rest[eye].astype(np.float64)
        centre, radius = fit_sphere(points)
        direction = (points - centre) / np.linalg.norm(points - centre, axis=1, keepdims=True)
        axis = (marks[pupil] - centre) / np.linalg.norm(marks[pupil] - centre)
        angle = np.arccos(np.clip(direction @ axis, -1, 1))
        out[eye] = _field(radius * (IRIS_ANGLE_RAD - angle))
    return out
