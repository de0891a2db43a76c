"""Strands as one Blender curves object, and the material that makes them hair."""

from __future__ import annotations

from typing import Any

import numpy as np

from datagen.blender.axes import points_to_blender
from datagen.blender.nodes import Graph
from datagen.blender.pigment import WHITE
from datagen.blender.strands import Strands
from manifests.clip import Appearance

PIGMENT, WHITENESS = "pigment", "white"
"""Attributes of each strand: see ``pigment.strand_colours``."""


def hair_curves(bpy: Any, strands: Strands, material: Any) -> Any:
    """A curves data block with the strands in rest space."""
    count, points = strands.radius.shape
    curves = bpy.data.hair_curves.new("hair")
    curves.add_curves([points] * count)
    curves.position_data.foreach_set("vector", points_to_blender(strands.points).ravel())
    curves.attributes.new("radius", "FLOAT", "POINT").data.foreach_set("value", strands.radius.ravel())
    for name, values, default in ((PIGMENT, strands.pigment, 1.0), (WHITENESS, strands.white, 0.0)):
        values = np.full(count, default, np.float32) if values is None else values
        curves.attributes.new(name, "FLOAT", "CURVE").data.foreach_set("value", values)
    curves.materials.append(material)
    return curves


def hair_material(bpy: Any, appearance: Appearance) -> Any:
    """A diffuse fibre with a highlight along it, each strand a little different.

    Kajiya and Kay, "Rendering fur with three dimensional textures", 1989: on a picture's few samples it is
    cheaper and less noisy than a scattering model, and from a metre away as good.
    """
    material = bpy.data.materials.new("hair")
    material.use_nodes = True
    graph = Graph(material.node_tree)
    pigment = graph.attribute(PIGMENT).outputs["Fac"]
    grown = graph.math("MULTIPLY_ADD", graph.add("HairInfo").outputs["Intercept"], -0.18, 1.06)
    # Light crosses pigment, and what it leaves is a power of its amount.
    own = graph.add("Gamma", appearance.hair_colour, graph.math("MULTIPLY", pigment, grown)).outputs[0]
    colour = graph.mix(graph.attribute(WHITENESS).outputs["Fac"], own, WHITE)
    fibre = graph.add("BsdfDiffuse", colour)
    gloss = graph.add("VectorMath", colour, (0.5, 0.5, 0.5), (0.03, 0.03, 0.03), operation="MULTIPLY_ADD").outputs[0]
    highlight = graph.add(
        "BsdfHair",
        gloss,
        component="Reflection",
        named={"RoughnessU": 0.22, "RoughnessV": 0.7, "Offset": -0.05},
    )
    graph.add("OutputMaterial", graph.add("AddShader", fibre.outputs[0], highlight.outputs[0]).outputs[0])
    graph.covers("hair")
    return material
