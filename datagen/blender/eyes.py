"""Eyeballs: iris, pupil, limbus and white by angle from the optical axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.blender.nodes import Graph
from datagen.geometry.posed import PosedClip
from datagen.geometry.regions import IRIS_ANGLE_RAD
from manifests.clip import Appearance
from manifests.conventions import LEFT_PUPIL, RIGHT_PUPIL

Array = NDArray[Any]

DIRECTION = "eye_direction"
"""Vertex attribute: direction from the eye's centre in its own frame, the optical axis +Z."""


def eye_directions(posed: PosedClip) -> Array:
    """float32 [Vs, 3]; zero on vertices that are no eye. Taken at rest, so it turns with the eye."""
    out = np.zeros_like(posed.rest, np.float32)
    for part, pupil in (("right_eye", RIGHT_PUPIL), ("left_eye", LEFT_PUPIL)):
        vertices = posed.surface.vertices_of(part)
        if len(vertices) == 0:
            continue
        points = posed.rest[vertices].astype(np.float64)
        centre = _sphere_centre(points)
        axis = posed.rest_landmarks[pupil] - centre
        axis = axis / np.linalg.norm(axis)
        right = np.cross([0.0, 1.0, 0.0], axis)
        right /= np.linalg.norm(right)
        frame = np.stack([right, np.cross(axis, right), axis])
        direction = (points - centre) @ frame.T
        out[vertices] = direction / np.linalg.norm(direction, axis=1, keepdims=True)
    return out


def eye_material(bpy: Any, appearance: Appearance) -> Any:
    """A painted iris under a clear wet coat."""
    material = bpy.data.materials.new("eye")
    material.use_nodes = True
    graph = Graph(material.node_tree)
    direction = graph.add("VectorMath", graph.attribute(DIRECTION).outputs["Vector"], operation="NORMALIZE").outputs[0]
    x, y, z = graph.add("SeparateXYZ", direction).outputs
    angle = graph.math("ARCCOSINE", z)
    radius = graph.math("DIVIDE", angle, IRIS_ANGLE_RAD)  # 1 at the iris' border
    pupil = 0.30 + 0.12 * np.random.default_rng([appearance.seed, 7]).random()

    spread = graph.math("MAXIMUM", graph.math("SQRT", graph.math("SUBTRACT", 1.0, graph.math("POWER", z, 2.0))), 1e-3)
    around = graph.add(
        "CombineXYZ",
        graph.math("DIVIDE", x, spread),
        graph.math("DIVIDE", y, spread),
        graph.math("MULTIPLY", radius, 0.35),
    ).outputs[0]
    fibres = graph.add("TexNoise", around, named={"Scale": 9.0, "Detail": 2.0, "Roughness": 0.6}).outputs[0]
    iris = appearance.iris_colour
    light = graph.mix(fibres, tuple(0.35 * c for c in iris), tuple(min(1.0, 1.9 * c + 0.01) for c in iris))
    collarette = graph.math("MULTIPLY", graph.ramp(radius, pupil + 0.30, pupil + 0.05), 0.45)
    light = graph.mix(collarette, light, _warm(iris))
    light = graph.mix(graph.ramp(radius, 0.78, 0.98), light, tuple(0.22 * c for c in iris))
    light = graph.mix(graph.ramp(radius, pupil + 0.03, pupil - 0.03), light, (0.002, 0.002, 0.002))
    white = _white(graph, direction, radius, appearance.seed)
    colour = graph.mix(graph.ramp(radius, 0.95, 1.06), light, white)
    surface = graph.add(
        "BsdfPrincipled",
        named={
            "Base Color": colour,
            "Roughness": 0.5,
            "Specular IOR Level": 0.2,
            "Coat Weight": 1.0,
            "Coat Roughness": 0.03,
            "Coat IOR": 1.376,
        },
    )
    graph.add("OutputMaterial", surface.outputs[0])
    return material


def _white(graph: Graph, direction: Any, radius: Any, seed: int) -> Any:
    """The sclera: redder towards the corners, where fine vessels branch."""
    tired = np.random.default_rng([seed, 8]).random()
    white = graph.mix(graph.ramp(radius, 1.2, 2.6), (0.66, 0.63, 0.60), (0.58, 0.40, 0.35))
    place = graph.add("VectorMath", direction, operation="ADD", named={1: (seed % 97, 0.0, 0.0)}).outputs[0]
    bent = graph.add("TexNoise", place, named={"Scale": 9.0, "Detail": 4.0, "Roughness": 0.65}).outputs[0]
    vessel = graph.ramp(graph.math("ABSOLUTE", graph.math("SUBTRACT", bent, 0.5)), 0.02, 0.0)
    seen = graph.math("MULTIPLY", vessel, graph.ramp(radius, 1.1, 2.2))
    return graph.mix(graph.math("MULTIPLY", seen, 0.2 + 0.4 * tired), white, (0.50, 0.12, 0.10))


def _warm(iris: tuple[float, float, float]) -> tuple[float, ...]:
    """The ring round the pupil holds more melanin: browner than the rest."""
    return tuple(0.6 * c + 0.4 * brown for c, brown in zip(iris, (0.16, 0.08, 0.025), strict=True))


def _sphere_centre(points: Array) -> Array:
    """Centre [3] of the sphere nearest to points [N, 3], by linear least squares."""
    system = np.concatenate([2 * points, np.ones((len(points), 1))], axis=1)
    return np.linalg.lstsq(system, (points**2).sum(axis=1), rcond=None)[0][:3]
