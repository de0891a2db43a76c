"""Where on a head its lips, brows, hair, ears, neck, clothing and irises are.

Made from rest positions and the 70 landmarks alone, so it works on any mesh. Each region is a field on the
vertices: 0.5 plus the signed distance to the region's border (metres, positive inside) over FIELD_WIDTH_M,
clipped to [0, 1]. It may be interpolated linearly; the border is the 0.5 level.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.spatial import ConvexHull, cKDTree

from datagen.geometry.raster import vertex_normals
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


def make_regions(surface: Surface, rest: Array, landmarks: Array, neckline_m: float) -> Regions:
    """Regions of one identity from its ``rest`` [Vs, 3] and ``landmarks`` [70, 3], world metres.

    ``neckline_m`` is the collar's height above the neck joint, on the neck's axis.
    """
    skin = surface.vertices_of("skin")
    points, marks = rest[skin].astype(np.float64), landmarks.astype(np.float64)
    sideways = vertex_normals(rest, surface.faces)[skin, 0]
    face = _Layout.of(points, sideways, marks)
    ears = _ears(points, sideways, face)
    distances = {
        "lips": _lips(points, marks),
        "brows": _brows(points, marks, face),
        "clothing": _clothing(points, neckline_m),
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
    outline = _smooth_curve(marks[48:60], closed=True)
    inside = _polygon_distance(points[:, :2], outline[:, :2])
    depth = cKDTree(outline[:, :2]).query(points[:, :2])[1]
    return np.minimum(inside, points[:, 2] - outline[depth, 2] + 0.008)


def _brows(points: Array, marks: Array, face: _Layout) -> Array:
    """Two tapering bands along landmarks 17-21 and 22-26, unrolled from the head.

    The landmarks follow the bony ridge, which dips to the nose; hair does less, so the inner ends are lifted
    to at most 3 mm under the band's middle.
    """
    flat = face.unroll(points)
    best = np.full(len(points), -np.inf)
    for tail_first in (marks[17:22], marks[26:21:-1]):
        line = face.unroll(tail_first)
        line[3:, 1] = np.maximum(line[3:, 1], line[2, 1] - [0.0012, 0.003])
        curve = _smooth_curve(line, closed=False)
        distance, nearest = cKDTree(curve).query(flat)
        along = nearest / (len(curve) - 1)
        half_width = np.interp(along, [0.0, 0.35, 0.8, 1.0], [0.0009, 0.0025, 0.0034, 0.0029])
        same_side = points[:, 0] * tail_first[:, 0].mean() > 0
        best = np.maximum(best, np.where(same_side, half_width - distance, -FIELD_WIDTH_M))
    return best


def _clothing(points: Array, neckline_m: float) -> Array:
    """Below a crew neckline: a plane through the neck's base, from the nape down to the throat's pit, but
    never wider open than a collar. On a body the sleeves end at the wrists, a hand's length (0.19 m) from
    the fingertips.
    """
    slope = np.deg2rad(30.0)
    plane = np.cos(slope) * (neckline_m - points[:, 1]) - np.sin(slope) * points[:, 2]
    collar = np.hypot(points[:, 0], 0.8 * points[:, 2]) - 0.095
    shoulders = np.minimum(collar, -points[:, 1] - 0.02)
    below = _smooth_maximum(plane, shoulders, 0.012)
    if np.ptp(points[:, 1]) < 0.9:
        return below
    reach = np.abs(points[:, 0])
    mirrored = np.column_stack([reach, points[:, 1:]])
    arms = mirrored[reach > 0.75 * reach.max()]
    fingertip = arms[np.linalg.norm(arms, axis=1).argmax()]
    hands = 0.19 - np.linalg.norm(mirrored - fingertip, axis=1)
    return np.minimum(below, -hands)


@dataclass(frozen=True)
class _Layout:
    """Heights (y) and depths (z) by which a head is laid out, metres."""

    axis_z: float
    """Depth of the vertical axis that azimuths turn about."""
    brow: float
    eye: float
    nose: float
    mouth: float
    chin: float
    ear_top: float
    ear_bottom: float
    ear_front: float
    ear_back: float

    RADIUS = 0.085
    """Azimuths are turned to lengths on a cylinder of this radius: about that of a head."""

    @classmethod
    def of(cls, points: Array, sideways: Array, marks: Array) -> _Layout:
        eye, nose = marks[36:48, 1].mean(), marks[33, 1]
        axis_z = marks[[0, 16], 2].mean() - 0.02
        face = cls(
            axis_z=axis_z,
            brow=marks[17:27, 1].mean(),
            eye=eye,
            nose=nose,
            mouth=marks[[48, 54], 1].mean(),
            chin=marks[8, 1],
            ear_top=eye + 0.25 * (eye - nose),
            ear_bottom=nose,
            ear_front=axis_z + 0.015,
            ear_back=axis_z - 0.02,
        )
        ear = points[_ears(points, sideways, face) > 0]
        if len(ear) < 8:
            return face
        top, bottom = ear[:, 1].max(), ear[:, 1].min()
        front, back = ear[:, 2].max(), ear[:, 2].min()
        return replace(face, ear_top=top, ear_bottom=bottom, ear_front=front, ear_back=back)

    def unroll(self, points: Array) -> Array:
        """Points [N, 3] -> [N, 2]: length round the head from the front (both sides positive), height."""
        azimuth = np.arctan2(np.abs(points[:, 0]), points[:, 2] - self.axis_z)
        return np.stack([azimuth * self.RADIUS, points[:, 1]], axis=1)

    def azimuth_deg(self, z: float) -> float:
        """Where a point at depth z on the head's side lies, as seen from the axis."""
        return float(np.rad2deg(np.arctan2(0.078, z - self.axis_z)))


def _scalp(points: Array, face: _Layout) -> Array:
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
    distance = cKDTree(line).query(flat)[0]
    return np.where(flat[:, 1] > curve(np.rad2deg(flat[:, 0] / face.RADIUS)), distance, -distance)


def _neck(points: Array, marks: Array, face: _Layout) -> Array:
    """Below the line from chin along the lower jaw to the ear lobe and the nape."""
    jaw = marks[[4, 12]].mean(axis=0)
    z = np.array([face.axis_z - 0.09, face.ear_back, jaw[2], marks[8, 2] + 0.01])
    y = np.array([face.mouth, face.ear_bottom - 0.004, jaw[1] - 0.006, face.chin - 0.006])
    return 0.9 * (np.interp(points[:, 2], z, y) - points[:, 1])


def _ears(points: Array, sideways: Array, face: _Layout) -> Array:
    """Where the surface leaves the side of the head, close to what is wider than the head above the ears."""
    out = _stands_out(points, sideways, face)
    above = (np.abs(points[:, 1] - face.eye - 0.03) < 0.008) & (np.abs(points[:, 2] - face.axis_z) < 0.04)
    breadth = np.abs(points[above, 0]).max(initial=0.07)
    core = (out > 0.006) & (np.abs(points[:, 0]) > breadth + 0.001)
    if not core.any():
        return np.full(len(points), -FIELD_WIDTH_M)
    flap = np.minimum(out - 0.003, 0.008 - cKDTree(points[core]).query(points)[0])
    hollow = np.full(len(points), -FIELD_WIDTH_M)
    for side in (-1.0, 1.0):
        rim = points[core & (side * points[:, 0] > 0)][:, 1:]
        if len(rim) < 3:
            continue
        outline = _resample(rim[ConvexHull(rim).vertices])
        within = np.minimum(_polygon_distance(points[:, 1:], outline), out + 0.012)
        hollow = np.maximum(hollow, np.where(side * points[:, 0] > 0.03, within, -FIELD_WIDTH_M))
    return np.maximum(flap, hollow)


def _stands_out(points: Array, sideways: Array, face: _Layout) -> Array:
    """How far points stand out sideways from the side of the head near the ear, metres; elsewhere negative.

    At each height the side runs from the cheek before the ear to the skull behind it, with the bulge that
    the head has between the two just above the ear. Surfaces count as outer when their normals have a large
    x component (``sideways`` [N]), which leaves out the head's insides.
    """
    skull, cheek = face.axis_z - 0.045, face.axis_z + 0.028
    low, high = face.nose - 0.025, face.eye + 0.03
    heights, depths = np.linspace(low, high, 12), np.linspace(skull, cheek, 10)
    best = np.full(len(points), -FIELD_WIDTH_M)
    for side in (-1.0, 1.0):
        outward = side * points[:, 0]
        outer = (side * sideways > 0.5) & (outward > 0.03)
        at_skull = _inmost(points[outer], outward[outer], heights, np.full_like(heights, skull))
        at_cheek = _inmost(points[outer], outward[outer], heights, np.full_like(heights, cheek))
        above = _inmost(points[outer], outward[outer], np.full_like(depths, high), depths)
        bulge = above - np.linspace(above[0], above[-1], len(above))
        share = np.clip((points[:, 2] - skull) / (cheek - skull), 0, 1)
        back, front = (np.interp(points[:, 1], heights, at) for at in (at_skull, at_cheek))
        expected = share * front + (1 - share) * back + np.interp(points[:, 2], depths, bulge)
        window = np.minimum(
            np.minimum(cheek - points[:, 2], points[:, 2] - skull + 0.012),
            np.minimum(points[:, 1] - low, high - points[:, 1]),
        )
        out = np.where(outward > 0.03, np.minimum(outward - expected, window), -FIELD_WIDTH_M)
        best = np.fmax(best, out)
    return best


def _inmost(points: Array, outward: Array, heights: Array, depths: Array) -> Array:
    """Least ``outward`` [N] of the points near each (height, depth) [K], filled in where there are none."""
    near = np.hypot(points[:, 1] - heights[:, None], points[:, 2] - depths[:, None]) < 0.009
    inmost = np.where(near, outward, np.inf).min(axis=1, initial=np.inf)
    known = np.isfinite(inmost)
    if not known.any():
        return np.full(len(heights), np.nan)
    return np.interp(np.arange(len(heights)), np.flatnonzero(known), inmost[known])


def _iris(surface: Surface, rest: Array, marks: Array) -> Array:
    """Around the optical axis (eye centre to pupil landmark); distance is arc length on the eyeball."""
    out = np.zeros(len(rest), np.float32)
    for name, pupil in (("right_eye", RIGHT_PUPIL), ("left_eye", LEFT_PUPIL)):
        eye = surface.vertices_of(name)
        if len(eye) == 0:
            continue
        points = rest[eye].astype(np.float64)
        centre, radius = _fit_sphere(points)
        direction = (points - centre) / np.linalg.norm(points - centre, axis=1, keepdims=True)
        axis = (marks[pupil] - centre) / np.linalg.norm(marks[pupil] - centre)
        angle = np.arccos(np.clip(direction @ axis, -1, 1))
        out[eye] = _field(radius * (IRIS_ANGLE_RAD - angle))
    return out


def _smooth_curve(marks: Array, closed: bool, samples: int = 400) -> Array:
    """[samples, D] points of a cubic spline through ``marks``, even in chord length."""
    marks = np.concatenate([marks, marks[:1]]) if closed else marks
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(marks, axis=0), axis=1))])
    spline = CubicSpline(length, marks, bc_type="periodic" if closed else "natural")
    return spline(np.linspace(0, length[-1], samples))


def _resample(polygon: Array, samples: int = 200) -> Array:
    """[samples, 2] points evenly along a closed polygon."""
    ring = np.concatenate([polygon, polygon[:1]])
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(ring, axis=0), axis=1))])
    at = np.linspace(0, length[-1], samples, endpoint=False)
    return np.stack([np.interp(at, length, ring[:, k]) for k in range(2)], axis=1)


def _polygon_distance(points: Array, polygon: Array) -> Array:
    """Signed distance of [N, 2] to a finely sampled closed polygon [M, 2], positive inside."""
    distance = cKDTree(polygon).query(points)[0]
    inside = np.zeros(len(points), bool)
    near = np.flatnonzero(distance < np.ptp(polygon, axis=0).max())
    x, y = points[near].T
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        crosses = (y < y0) != (y < y1)
        inside[near] ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return np.where(inside, distance, -distance)


def _smooth_maximum(a: Array, b: Array, width: float) -> Array:
    """The larger of two distances, rounded where they differ by less than about ``width``."""
    return width * np.logaddexp(a / width, b / width)


def _fit_sphere(points: Array) -> tuple[Array, float]:
    """Centre and radius by linear least squares."""
    system = np.concatenate([2 * points, np.ones((len(points), 1))], axis=1)
    solution = np.linalg.lstsq(system, (points**2).sum(axis=1), rcond=None)[0]
    centre = solution[:3]
    return centre, float(np.sqrt(solution[3] + centre @ centre))
