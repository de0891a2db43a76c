"""Small meshes that people wear, as arrays: grids, tubes and discs, and how they become Blender objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.blender.axes import points_to_blender
from datagen.blender.fabric import REST, WEAVE
from datagen.blender.things import shaped_object

Array = NDArray[Any]


@dataclass(frozen=True)
class Sheet:
    """points float64 [N, 3], metres; faces int32 [F, 3]; weave float64 [N, 2], metres across and along the cloth."""

    points: Array
    faces: Array
    weave: Array


def grid(points: Array, ring: bool = False) -> Sheet:
    """Points [R, C, 3] joined along rows and columns; a ``ring``'s last row joins its first.

    A sheet that closes along its rows repeats its first column as its last, so that the weave has a seam.
    """
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    after = np.roll(index, -1, axis=0) if ring else index[1:]
    before = index if ring else index[:-1]
    a, b, c, d = before[:, :-1], before[:, 1:], after[:, 1:], after[:, :-1]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    widths = np.linalg.norm(np.diff(points, axis=1), axis=-1).max(axis=0)
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=-1).max(axis=1)
    across, along = (np.concatenate([[0.0], np.cumsum(steps)]) for steps in (widths, lengths))
    weave = np.stack(np.meshgrid(across, along), axis=-1)
    return Sheet(points.reshape(-1, 3), faces.astype(np.int32), weave.reshape(-1, 2))


def tube(path: Array, radius_m: float, closed: bool = False, sides: int = 8) -> Sheet:
    """A round tube along ``path`` [N, 3], open at its ends."""
    path = np.concatenate([path, path[:1]]) if closed else path
    step = np.gradient(path, axis=0)
    if closed:
        step[0] = step[-1] = path[1] - path[-2]
    forward = _unit(step)
    aside = np.cross(forward, [0.0, 1.0, 0.0])
    weak = np.linalg.norm(aside, axis=1) < 0.2
    aside[weak] = np.cross(forward[weak], [0.0, 0.0, 1.0])
    first = _unit(aside)
    second = np.cross(first, forward)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)[:, None, None]
    return grid(path + radius_m * (np.cos(angle) * first + np.sin(angle) * second), ring=True)


def disc(outline: Array) -> Sheet:
    """A convex closed outline [N, 3] filled in."""
    count = len(outline)
    first = np.arange(count)
    faces = np.stack([np.full(count, count), first, np.roll(first, -1)], axis=1).astype(np.int32)
    points = np.concatenate([outline, outline.mean(axis=0, keepdims=True)])
    return Sheet(points, faces, points[:, :2])


def join(*sheets: Sheet) -> Sheet:
    starts = np.cumsum([0, *(len(sheet.points) for sheet in sheets[:-1])])
    return Sheet(
        np.concatenate([sheet.points for sheet in sheets]),
        np.concatenate([sheet.faces + start for sheet, start in zip(sheets, starts, strict=True)]).astype(np.int32),
        np.concatenate([sheet.weave for sheet in sheets]),
    )


def sheet_object(bpy: Any, collection: Any, name: str, sheet: Sheet, material: Any) -> tuple[Any, Any]:
    """The sheet as a Blender object and its mesh, smoothly shaded."""
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(sheet.points))
    mesh.vertices.foreach_set("co", points_to_blender(sheet.points).ravel())
    mesh.loops.add(sheet.faces.size)
    mesh.loops.foreach_set("vertex_index", sheet.faces.ravel())
    mesh.polygons.add(len(sheet.faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, sheet.faces.size, 3, dtype=np.int32))
    mesh.update(calc_edges=True)
    flat = np.concatenate([sheet.weave, np.zeros((len(sheet.weave), 1))], axis=1)
    for attribute, values in ((REST, sheet.points), (WEAVE, flat)):
        data = mesh.attributes.new(attribute, "FLOAT_VECTOR", "POINT").data
        data.foreach_set("vector", np.ascontiguousarray(values, np.float32).ravel())
    mesh.materials.append(material)
    return shaped_object(bpy, collection, name, mesh), mesh


def _unit(vectors: Array) -> Array:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
