"""Where on a head its features lie: heights, depths, and the ears, found from rest positions and landmarks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from datagen.geometry.curves import FAR_M, nearest, polygon_distance, resample

Array = NDArray[Any]


@dataclass(frozen=True)
class HeadLayout:
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
    def of(cls, points: Array, sideways: Array, marks: Array) -> HeadLayout:
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
        ear = points[ear_distance(points, sideways, face) > 0]
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


def ear_distance(points: Array, sideways: Array, face: HeadLayout) -> Array:
    """Where the surface leaves the side of the head, close to what is wider than the head above the ears."""
    out = _stands_out(points, sideways, face)
    above = (np.abs(points[:, 1] - face.eye - 0.03) < 0.008) & (np.abs(points[:, 2] - face.axis_z) < 0.04)
    breadth = np.abs(points[above, 0]).max(initial=0.07)
    core = (out > 0.006) & (np.abs(points[:, 0]) > breadth + 0.001)
    if not core.any():
        return np.full(len(points), -FAR_M)
    flap = np.minimum(out - 0.003, 0.008 - nearest(points, points[core])[0])
    hollow = np.full(len(points), -FAR_M)
    for side in (-1.0, 1.0):
        rim = points[core & (side * points[:, 0] > 0)][:, 1:]
        if len(rim) < 3:
            continue
        outline = resample(rim[ConvexHull(rim).vertices])
        within = np.minimum(polygon_distance(points[:, 1:], outline), out + 0.012)
        hollow = np.maximum(hollow, np.where(side * points[:, 0] > 0.03, within, -FAR_M))
    return np.maximum(flap, hollow)


def _stands_out(points: Array, sideways: Array, face: HeadLayout) -> Array:
    """How far points stand out sideways from the side of the head near the ear, metres; elsewhere negative.

    At each height the side runs from the cheek before the ear to the skull behind it, with the bulge that
    the head has between the two just above the ear. Surfaces count as outer when their normals have a large
    x component (``sideways`` [N]), which leaves out the head's insides.
    """
    skull, cheek = face.axis_z - 0.045, face.axis_z + 0.028
    low, high = face.nose - 0.025, face.eye + 0.03
    heights, depths = np.linspace(low, high, 12), np.linspace(skull, cheek, 10)
    best = np.full(len(points), -FAR_M)
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
        out = np.where(outward > 0.03, np.minimum(outward - expected, window), -FAR_M)
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
