"""Strands whose roots sit on skin that deforms: brows, lashes and beards.

A strand keeps its shape in a small frame at its root. In each frame of a clip the root takes its place on the
posed skin and the frame turns with three points near it, so a strand follows blinks, frowns and the jaw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.blender.axes import points_to_blender
from datagen.blender.nodes import Graph
from datagen.blender.things import shaped_object
from datagen.geometry.posed import PosedClip

Array = NDArray[Any]


@dataclass(frozen=True)
class RootedStrands:
    """N strands of P points in rest space, and what they hold on to. Lengths in metres."""

    points: Array
    """float64 [N, P, 3], root first."""
    radius: Array
    """float32 [N, P]."""
    corners: Array
    """int [N, 3]: the vertices of the skin triangle that holds the root."""
    weights: Array
    """float64 [N, 3]: the root's barycentric weights in that triangle."""
    compass: Array
    """int [N, 3]: points near the root, not on one line, that turn the strand: vertices, then ``anchors``."""
    anchors: Array
    """float64 [A, 3]: rest positions of points that move with the cranium, such as the eyes' centres."""


class Carrier:
    """Takes strands from rest to the frames of a clip."""

    def __init__(self, posed: PosedClip, strands: RootedStrands) -> None:
        self._posed, self._strands = posed, strands
        roots = np.einsum("nk,nkx->nx", strands.weights, posed.rest[strands.corners])
        frame = _frames(np.concatenate([posed.rest, strands.anchors])[strands.compass])
        self._local = np.einsum("npx,nxk->npk", strands.points - roots[:, None], frame)
        hold = np.concatenate([strands.corners, strands.compass])
        self._hold = np.unique(hold[hold < len(posed.rest)])
        self._moves_with_head = bool(len(strands.anchors))

    def points(self, frame: int) -> Array:
        """float64 [N, P, 3] in world space."""
        vertices = self._posed.vertices[frame].astype(np.float64)
        head, strands = self._posed.head_to_world[frame], self._strands
        anchors = strands.anchors @ head[:3, :3].T + head[:3, 3]
        roots = np.einsum("nk,nkx->nx", strands.weights, vertices[strands.corners])
        axes = _frames(np.concatenate([vertices, anchors])[strands.compass])
        return roots[:, None] + np.einsum("npk,nxk->npx", self._local, axes)

    def moved(self, frame: int, since: int) -> bool:
        """Whether anything that the strands hold on to differs between two frames."""
        posed = self._posed
        if self._moves_with_head and not np.array_equal(posed.head_to_world[frame], posed.head_to_world[since]):
            return True
        return not np.array_equal(posed.vertices[frame, self._hold], posed.vertices[since, self._hold])


class RootedHair:
    """Rooted strands as one Blender curves object. ``material`` is removed with it."""

    def __init__(
        self, bpy: Any, collection: Any, posed: PosedClip, strands: RootedStrands, name: str, material: Any
    ) -> None:
        count, points = strands.radius.shape
        self._carrier = Carrier(posed, strands)
        self._shown: int | None = None
        self._curves = bpy.data.hair_curves.new(name)
        self._curves.add_curves([points] * count)
        self._curves.attributes.new("radius", "FLOAT", "POINT").data.foreach_set("value", strands.radius.ravel())
        self._curves.materials.append(material)
        thing = shaped_object(bpy, collection, name, self._curves)
        self.blocks = [thing, self._curves, material]

    def pose(self, frame: int) -> None:
        """A frame like the last one costs Blender nothing."""
        if self._shown is None or self._carrier.moved(frame, self._shown):
            points = points_to_blender(self._carrier.points(frame))
            self._curves.position_data.foreach_set("vector", points.ravel())
            self._curves.update_tag()
        self._shown = frame


def strand_material(bpy: Any, name: str, colour: tuple[float, float, float], segmentation_class: str) -> Any:
    """A diffuse fibre with a faint highlight, each strand a little lighter or darker than ``colour``."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    graph = Graph(material.node_tree)
    info = graph.add("HairInfo")
    shade = graph.math("MULTIPLY_ADD", info.outputs["Random"], 0.7, 0.65)
    tinted = graph.add("VectorMath", colour, operation="SCALE", named={"Scale": shade}).outputs[0]
    fibre = graph.add("BsdfDiffuse", tinted)
    highlight = graph.add(
        "BsdfHair",
        tuple(0.012 + 0.25 * c for c in colour),
        component="Reflection",
        named={"RoughnessU": 0.3, "RoughnessV": 0.8, "Offset": -0.05},
    )
    graph.add("OutputMaterial", graph.add("AddShader", fibre.outputs[0], highlight.outputs[0]).outputs[0])
    graph.covers(segmentation_class)
    return material


def _frames(triangles: Array) -> Array:
    """Orthonormal axes as columns [N, 3, 3] of triangles [N, 3, 3]: along the first side, across, normal."""
    along = _unit(triangles[:, 1] - triangles[:, 0])
    normal = _unit(np.cross(along, triangles[:, 2] - triangles[:, 0]))
    return np.stack([along, np.cross(normal, along), normal], axis=-1)


def _unit(vectors: Array) -> Array:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
