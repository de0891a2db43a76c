"""Where some places of a stored clip's mesh are in every frame, and what they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.geometry.labels import face_classes
from datagen.geometry.normals import vertex_normals
from datagen.geometry.regions import make_regions
from datagen.geometry.surface import Surface
from datagen.heads.model import HeadModel
from datagen.probe.stored import at_frames, check_reach, head_of, motion_of
from manifests.audit.probe import Places
from manifests.clip import Motion
from manifests.errors import UserError

Array = NDArray[Any]

_HEAD_RADIUS_M = 0.25
"""Of the ball about the head's centre in which places are chosen: cameras look at it, and not at a body's feet."""
_FRAMES_AT_ONCE = 16


def place_probe(spec: Mapping[str, Any], motion: Mapping[str, Array], count: int) -> Places:
    """`count` places, spread evenly over the head's surface; see `manifests.audit.probe.PlacesProbe`.

    Raises UserError if the head is not on this machine, and ValueError if the arrays are not such as move it.
    """
    head, surface = head_of(spec)
    try:
        return _places(head, surface, spec, motion_of(motion), count)
    except UserError as error:
        raise ValueError(str(error)) from error


def _places(head: HeadModel, surface: Surface, spec: Mapping[str, Any], motion: Motion, count: int) -> Places:
    rest = surface.refine(head.rest(motion.shape))
    check_reach(rest)
    faces = _spread(surface, rest, np.asarray(head.info.head_centre), count)
    neckline = spec["appearance"]["neckline_m"]
    classes, mixed = face_classes(surface, make_regions(surface, rest, surface.landmarks(rest), float(neckline)))
    patch = _Patch.around(surface, faces)
    made: dict[str, list[Array]] = {name: [] for name in ("points", "normals", "pose_points", "pose_normals", "marks")}
    for start in range(0, motion.frames, _FRAMES_AT_ONCE):
        some = at_frames(motion, slice(start, start + _FRAMES_AT_ONCE))
        posed, neutral = head.pose(some), head.pose(some.without_expression())
        check_reach(posed)
        check_reach(neutral)
        for name, values in zip(made, (*patch.of(posed), *patch.of(neutral)), strict=False):
            made[name].append(values)
        made["marks"].append(surface.landmarks(surface.refine(posed)))
    points, normals, pose_points, pose_normals, landmarks = (np.concatenate(values) for values in made.values())
    uv = None
    if surface.uv is not None and surface.uv_faces is not None:
        uv = surface.uv[surface.uv_faces[faces]].mean(axis=1)
    sure = np.where(mixed[faces], 0, classes[faces]).astype(np.uint8)
    return Places(points, normals, pose_points, pose_normals, sure, uv, landmarks)


def _spread(surface: Surface, rest: Array, centre: Array, count: int) -> Array:
    """Faces int [count] of the head, one for each equal share of its area."""
    corners = rest[surface.faces].astype(np.float64)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    area *= np.linalg.norm(corners.mean(axis=1) - centre, axis=1) < _HEAD_RADIUS_M
    along = np.cumsum(area)
    if not along[-1] > 0:
        raise UserError("motion.npz: its shape leaves no head; render the clip anew")
    chosen = np.searchsorted(along, (np.arange(count) + 0.5) / count * along[-1])
    return np.asarray(np.minimum(chosen, len(area) - 1))


@dataclass(frozen=True)
class _Patch:
    """The part of a surface that some faces' middles and normals depend on."""

    refinement: Any
    """Its vertices as weights on the head's."""
    ring: Array
    """int [R, 3]: all faces at the corners of those faces."""
    corners: Array
    """int [N, 3]: those faces."""

    @classmethod
    def around(cls, surface: Surface, faces: Array) -> _Patch:
        near = np.zeros(surface.vertex_count, bool)
        near[surface.faces[faces]] = True
        ring = surface.faces[near[surface.faces].any(axis=1)]
        used = np.unique(ring)
        number = np.zeros(surface.vertex_count, np.int64)
        number[used] = np.arange(len(used))
        return cls(surface.refinement[used], number[ring], number[surface.faces[faces]])

    def of(self, vertices: Array) -> tuple[Array, Array]:
        """Middles and unit normals [T, N, 3] of the faces, from the head's ``vertices`` [T, V, 3]."""
        middles, normals = [], []
        for frame in vertices:
            fine = np.asarray(self.refinement @ frame, np.float32)
            normal = vertex_normals(fine, self.ring)[self.corners].sum(axis=1)
            normals.append(normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9))
            middles.append(fine[self.corners].mean(axis=1))
        return np.stack(middles), np.stack(normals)
