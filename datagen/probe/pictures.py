"""What the mesh of a stored clip looks like in some of its pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.geometry.cameras import project
from datagen.geometry.normals import shading_normals, vertex_normals
from datagen.geometry.raster import View
from datagen.geometry.surface import Surface
from datagen.heads.model import HeadModel
from datagen.probe.stored import at_frames, check_cameras, check_reach, head_of, motion_of
from manifests.audit.probe import Expected
from manifests.errors import UserError

Array = NDArray[Any]

LARGEST_EDGE = 8192
MOST_LAYERS = 40
"""How often faces may cover the picture, by the rectangles around them; a head's do 7 times at most."""


def picture_probe(
    spec: Mapping[str, Any],
    motion: Mapping[str, Array],
    cameras: Mapping[str, Array],
    wanted: Sequence[tuple[int, int]],
) -> list[Expected]:
    """The mesh as the given (view, frame) pictures show it; see `manifests.audit.probe.PicturesProbe`.

    Raises UserError if the head is not on this machine, and ValueError if the arrays are not such as move it, or
    no cameras that see it from outside.
    """
    head, surface = head_of(spec)
    try:
        return _expected(head, surface, spec, motion, cameras, wanted)
    except UserError as error:
        raise ValueError(str(error)) from error


def _expected(
    head: HeadModel,
    surface: Surface,
    spec: Mapping[str, Any],
    motion: Mapping[str, Array],
    cameras: Mapping[str, Array],
    wanted: Sequence[tuple[int, int]],
) -> list[Expected]:
    width, height = _whole(spec, "width", LARGEST_EDGE), _whole(spec, "height", LARGEST_EDGE)
    moved = motion_of(motion)
    check_cameras(cameras, wanted)
    frames = sorted({frame for _, frame in wanted})
    some = at_frames(moved, frames)
    vertices = surface.refine(head.pose(some))
    neutral = surface.refine(head.pose(some.without_expression()))
    check_reach(vertices)
    check_reach(neutral)
    points = surface.landmarks(vertices)
    made = []
    for view, frame in wanted:
        t = frames.index(frame)
        camera = cameras["K"][view, frame], cameras["world_to_camera"][view, frame]
        for posed in (vertices[t], neutral[t]):
            _check_work(posed[: len(head.template)], head.faces, camera, width, height)
        hits = View(vertices[t], surface.faces, *camera).hits(height, width)
        pose = View(neutral[t], surface.faces, *camera).hits(height, width)
        normals = vertex_normals(vertices[t], surface.faces), vertex_normals(neutral[t], surface.faces)
        made.append(
            Expected(
                view=view,
                frame=frame,
                mask=hits.mask,
                depth=hits.picture(hits.depth),
                pose_normals=pose.picture(shading_normals(pose, surface.faces, normals[1])),
                normals=hits.picture(shading_normals(hits, surface.faces, normals[0])),
                points=points[t].astype(np.float32),
                pixels=project(points[t], *camera)[0].astype(np.float32),
            )
        )
    return made


def _check_work(vertices: Array, faces: Array, camera: tuple[Array, Array], width: int, height: int) -> None:
    """Raises UserError where the rectangles around the faces cover the picture too often to be drawn in good time."""
    pixels, depth = project(vertices, *camera)
    inside = np.where(depth[:, None] > 0, np.clip(pixels, 0, (width, height)), 0)
    first, second, third = (inside[corner] for corner in faces.T)
    low, high = np.minimum(np.minimum(first, second), third), np.maximum(np.maximum(first, second), third)
    covered = (high - low + 1).prod(axis=-1).sum()
    if covered > MOST_LAYERS * width * height + 16 * len(faces):
        raise UserError("motion.npz: its head is torn apart and fills the picture many times over; leave the clip out")


def _whole(spec: Mapping[str, Any], name: str, most: int) -> int:
    value = spec.get(name)
    if type(value) is not int or not 1 <= value <= most:
        raise UserError(f"spec.json: {name} = {value!r}; must be a whole number up to {most}")
    return value
