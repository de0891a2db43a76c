"""Where moustaches, goatees and beards grow, from the head's layout and landmarks alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.geometry.curves import polygon_distance, resample, smooth_curve
from datagen.geometry.head_layout import HeadLayout, ear_distance

Array = NDArray[Any]

LIP_GAP_M = 0.0012
"""Bare skin between the red of the lips and the first hair."""

KINDS = ("moustache", "goatee", "beard")


def beard_distance(points: Array, sideways: Array, marks: Array, layout: HeadLayout, kind: str) -> Array:
    """Signed distance [N] to the border of the area of one of ``KINDS``, metres, positive inside, within 2 cm.

    points [N, 3]: skin at rest; sideways [N]: x of its normals; marks [70, 3].
    """
    flat = layout.unroll(points)
    shapes = {
        "moustache": [_moustache(marks, layout)],
        "goatee": [_moustache(marks, layout), _chin(marks, layout)],
        "beard": [_moustache(marks, layout), _beard(marks, layout)],
    }[kind]
    within = np.max([polygon_distance(flat, resample(shape)) for shape in shapes], axis=0)
    within = np.minimum(within, -lip_distance(points, marks) - LIP_GAP_M)
    return np.minimum(within, -ear_distance(points, sideways, layout) - 0.001)


def lip_distance(points: Array, marks: Array) -> Array:
    """Signed distance [N] into the outline of the lips as seen from the front, positive inside, within 2 cm."""
    return polygon_distance(points[:, :2], smooth_curve(marks[48:60], closed=True)[:, :2])


def _moustache(marks: Array, layout: HeadLayout) -> Array:
    """Half outline (both sides lie on the same one) as [M, 2]: length round the head, height."""
    corner, wing = _side(layout, marks[[48, 54]]), _side(layout, marks[[31, 35]])
    drop = layout.nose - layout.mouth
    return np.array([
        (-0.004, layout.nose + 0.01 * drop),
        (wing[0], wing[1] - 0.06 * drop),
        (wing[0] + 0.4 * (corner[0] - wing[0]), wing[1] - 0.26 * drop),
        (corner[0] + 0.004, layout.mouth + 0.36 * drop),
        (corner[0] + 0.007, layout.mouth - 0.10 * drop),
        (corner[0] + 0.004, layout.mouth - 0.28 * drop),
        (corner[0] - 0.004, layout.mouth + 0.02 * drop),
        (-0.004, layout.mouth),
    ])  # fmt: skip


def _chin(marks: Array, layout: HeadLayout) -> Array:
    """The goatee's lower part: strips beside the mouth that widen to the chin."""
    corner = _side(layout, marks[[48, 54]])
    drop = layout.mouth - layout.chin
    return np.array([
        (corner[0] + 0.001, layout.mouth + 0.10 * drop),
        (corner[0] + 0.007, layout.mouth),
        (corner[0] + 0.008, layout.mouth - 0.35 * drop),
        (corner[0] + 0.004, layout.mouth - 0.75 * drop),
        (0.7 * corner[0], layout.chin - 0.10 * drop),
        (-0.004, layout.chin - 0.22 * drop),
        (-0.004, layout.mouth - 0.30 * drop),
        (0.25 * corner[0], layout.mouth - 0.32 * drop),
        (0.5 * corner[0], layout.mouth - 0.55 * drop),
        (corner[0] - 0.003, layout.mouth - 0.30 * drop),
    ])  # fmt: skip


def _beard(marks: Array, layout: HeadLayout) -> Array:
    """From the sideburn along the cheek to the moustache, and down to the throat."""
    corner = _side(layout, marks[[48, 54]])
    ear = np.deg2rad(layout.azimuth_deg(layout.ear_front)) * layout.RADIUS
    rise, third = layout.nose - layout.mouth, layout.brow - layout.nose
    jaw = _side(layout, marks[[3, 13]])
    drop = layout.mouth - layout.chin
    return np.array([
        (-0.004, layout.mouth + 0.10 * rise),
        (corner[0] + 0.003, layout.mouth + 0.35 * rise),
        (corner[0] + 0.35 * (ear - corner[0]), layout.mouth + 0.40 * rise),
        (corner[0] + 0.68 * (ear - corner[0]), layout.nose - 0.10 * rise),
        (ear - 0.023, layout.nose + 0.10 * third),
        (ear - 0.019, layout.eye - 0.10 * third),
        (ear - 0.001, layout.eye - 0.10 * third),
        (ear + 0.002, layout.ear_bottom),
        (ear + 0.004, jaw[1] - 0.30 * drop),
        (0.75 * ear, layout.chin - 0.35 * drop),
        (0.40 * ear, layout.chin - 0.55 * drop),
        (-0.004, layout.chin - 0.60 * drop),
    ])  # fmt: skip


def _side(layout: HeadLayout, pair: Array) -> Array:
    """Mean place [2] of a left and a right landmark on the unrolled head."""
    return layout.unroll(pair).mean(axis=0)
