"""Strands as one Blender curves object, and the material that makes them hair."""

from __future__ import annotations

from typing import Any

import numpy as np

from datagen.blender.axes import points_to_blender
from datagen.blender.nodes import Graph
from datagen.blender.strands import Strands
from manifests.clip import Appearance

COVERAGE_PASS = "hair"
"""Arbitrary output variable that holds the share of a pixel that hair covers."""


def hair_curves(bpy: Any, strands: Strands, material: Any) -> Any:
    """A curves data block with the strands in rest space."""
    count, points = strands.radius.shape
    curves = bpy.data.hair_curves.new("hair")
    curves.add_curves([points] * count)
    curves.position_data.foreach_set("vector", points_to_blender(strands.points).ravel())
    curves.attributes.new("radius", "FLOAT", "POINT").data.foreach_set("value", strands.radius.ravel())
    curves.materials.append(material)
    return curves


def hair_material(bpy: Any, appearance: Appearance) -> Any:
    """Kajiya-like hair: a glossy fibre over a diffuse one, strand by strand a little different."""
    material = bpy.data.materials.new("hair")
    material.use_nodes = True
    graph = Graph(material.node_tree)
    info = graph.add("HairInfo")
    shade = graph.math("MULTIPLY_ADD", info.outputs["Random"], 0.7, 0.65)
    grown = graph.math("MULTIPLY_ADD", info.outputs["Intercept"], 0.35, 0.8)
    scale = graph.math("MULTIPLY", shade, grown)
    colour = graph.add("VectorMath", tuple(appearance.hair_colour), operation="SCALE", named={"Scale": scale}).outputs[0]
    hair = graph.add(
        "BsdfHairPrincipled",
        model="CHIANG",
        parametrization="COLOR",
        named={"Color": colour, "Roughness": 0.35, "Radial Roughness": 0.4},
    )
    graph.add("OutputMaterial", hair.outputs[0])
    output = graph.add("OutputAOV", named={"Value": 1.0})
    output.aov_name = COVERAGE_PASS
    return material
