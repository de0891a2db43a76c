"""The 68 iBUG landmarks and two pupils on the open figure.

Points are MakeHuman vertices: loops of lids and lips, the midline, and the jaw and brow lines picked on the
mean shape. The contour (0-16) is the true jaw line from ear to ear, not the silhouette of a view.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.conventions import LANDMARK_COUNT, LEFT_PUPIL, PARTS, RIGHT_PUPIL

Array = NDArray[Any]

# Subject's left side and midline, MakeHuman vertices.
_JAW_CHIN_TO_EAR = (7616, 7593, 7594, 7459, 7613, 11712, 12332, 12366)  # 9-16
_CHIN = 5225  # 8
_BROW_INNER_TO_OUTER = (6984, 6980, 6996, 6998, 7024)  # 22-26
_NOSE_BRIDGE = (133, 131, 201, 5054)  # 27-30
_NOSE_BASE_MIDDLE_TO_WING = (317, 7076, 7119)  # 33-35
_EYE = {42: 13365, 43: 13359, 44: 13353, 45: 13377, 46: 13372, 47: 13368}
_MOUTH = {51: 455, 52: 7210, 53: 7170, 54: 7162, 55: 7166, 56: 7241, 57: 492}
_INNER_MOUTH = {62: 474, 63: 7226, 64: 7191, 65: 7236, 66: 493}

_LEFT_AND_MIDDLE = {
    **dict(enumerate((_CHIN, *_JAW_CHIN_TO_EAR), 8)),
    **dict(enumerate(_BROW_INNER_TO_OUTER, 22)),
    **dict(enumerate(_NOSE_BRIDGE, 27)),
    **dict(enumerate(_NOSE_BASE_MIDDLE_TO_WING, 33)),
    **_EYE,
    **_MOUTH,
    **_INNER_MOUTH,
}
_SIDES = (
    [(16 - i, i) for i in range(8)]
    + [(26 - i, 17 + i) for i in range(5)]
    + [(35, 31), (34, 32)]
    + [(42, 39), (43, 38), (44, 37), (45, 36), (46, 41), (47, 40)]
    + [(52, 50), (53, 49), (54, 48), (55, 59), (56, 58)]
    + [(63, 61), (64, 60), (65, 67)]
)
"""Landmarks of the subject's left with their counterparts on the right."""


def landmark_vertices(mirror: Array) -> Array:
    """MakeHuman vertex [68] of each iBUG point; ``mirror`` [N] is the vertex on the other side of each
    vertex."""
    vertices = dict(_LEFT_AND_MIDDLE)
    for left, right in _SIDES:
        vertices[right] = int(mirror[vertices[left]])
    return np.array([vertices[i] for i in range(RIGHT_PUPIL)])


def embed(points: Array, faces: Array) -> tuple[Array, Array]:
    """Vertices [L] as face indices [L] and barycentric coordinates [L, 3]. Raises ValueError off the mesh."""
    chosen, barycentric = [], []
    for vertex in points:
        hits = np.argwhere(faces == vertex)
        if not len(hits):
            raise ValueError(f"vertex {vertex} is on no face")
        face, corner = hits[0]
        chosen.append(face)
        barycentric.append(np.eye(3)[corner])
    return np.array(chosen), np.array(barycentric)


def find(source: Array, mirror: Array, faces: Array, part: Array) -> tuple[Array, Array]:
    """Face [70] and barycentric [70, 3] of all landmarks on a mesh whose vertex i is MakeHuman's
    ``source[i]``.

    A pupil is the front pole of its eyeball: the first vertex of the eyeball's part.
    """
    place = np.full(len(mirror), -1)
    known = np.flatnonzero(source >= 0)
    place[source[known]] = known
    points = np.empty(LANDMARK_COUNT, dtype=int)
    points[:RIGHT_PUPIL] = place[landmark_vertices(mirror)]
    points[RIGHT_PUPIL] = faces[part == PARTS.index("right_eye")].min()
    points[LEFT_PUPIL] = faces[part == PARTS.index("left_eye")].min()
    return embed(points, faces)
