"""Strands as one Blender curves object, and the material that makes them hair."""

from __future__ import annotations

from typing import Any

from datagen.blender.axes import points_to_blender
from datagen.blender.nodes import Graph
from datagen.blender.strands import Strands
from manifests.clip import Appearance


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
    """A diffuse fibre with a highlight along it, each strand a little different.

    Kajiya and Kay, "Rendering fur with three dimensional textures", 1989: on a picture's few samples it is
    cheaper and less noisy than a scattering model, and from a metre away as good.
    """
    material = bpy.data.materials.new("hair")
    material.use_nodes = True
    graph = Graph(material.node_tree)
    info = graph.add("HairInfo")
    shade = graph.math("MULTIPLY_ADD", info.outputs["Random"], 0.8, 0.6)
    grown = graph.math("MULTIPLY_ADD", info.outputs["Intercept"], 0.5, 0.7)
    scale = graph.math("MULTIPLY", shade, grown)
    hair = appearance.hair_colour
    colour = graph.add("VectorMath", hair, operation="SCALE", named={"Scale": scale}).outputs[0]
    fibre = graph.add("BsdfDiffuse", colour)
    gloss = tuple(0.03 + 0.5 * c for c in hair)
    highlight = graph.add(
        "BsdfHair",
        gloss,
        component="Reflection",
        named={"RoughnessU": 0.22, "RoughnessV": 0.7, "Offset": -0.05},
    )
    graph.add("OutputMaterial", graph.add("AddShader", fibre.outputs[0], highlight.outputs[0]).outputs[0])
    graph.covers("hair")
    return material
