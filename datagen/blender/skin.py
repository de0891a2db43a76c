"""Materials of skin, clothing, teeth and tongue."""

from __future__ import annotations

from typing import Any

from datagen.blender.fabric import Cloth, worn_on_skin
from datagen.blender.nodes import Graph
from manifests.clip import Appearance

REST, COLOUR, ROUGHNESS, FIELDS = "rest", "colour", "roughness", "fields"
"""Vertex attributes the skin reads: rest position (metres), linear colour, roughness, and (distance into the
brows, distance into the clothing, lash darkness)."""

_SUBSURFACE_SCALE_M = 0.0045


def skin_material(bpy: Any, appearance: Appearance) -> Any:
    """Skin that turns into fabric where the clothing starts: one closure, its parameters switched."""
    material = bpy.data.materials.new("skin")
    material.use_nodes = True
    graph = Graph(material.node_tree)
    rest = graph.attribute(REST).outputs["Vector"]
    fields = graph.add("SeparateXYZ", graph.attribute(FIELDS).outputs["Vector"])
    brow_distance, clothing_distance, lashes = fields.outputs
    fine = graph.add("TexNoise", rest, named={"Scale": 420.0, "Detail": 3.0, "Roughness": 0.7}).outputs[0]
    clothed = graph.ramp(clothing_distance, -0.0002, 0.0004)

    mottled = graph.math("MULTIPLY_ADD", fine, 0.55, 0.725)  # albedo guides the denoiser, so grain survives it
    plain = graph.add(
        "VectorMath", graph.attribute(COLOUR).outputs["Color"], operation="SCALE", named={"Scale": mottled}
    ).outputs[0]
    skin = _hairs(graph, plain, rest, brow_distance, lashes, appearance)
    cloth = Cloth.of(appearance.fabric, appearance.clothing_colour, appearance.seed)
    fabric = worn_on_skin(graph, cloth, appearance.clothing, rest, clothing_distance)
    pores = graph.math("MULTIPLY", fine, 0.00012)
    height = graph.lerp(clothed, pores, fabric.height)
    bump = graph.add("Bump", named={"Strength": 1.0, "Distance": 1.0, "Height": height})
    surface = graph.add(
        "BsdfPrincipled",
        subsurface_method="RANDOM_WALK",
        named={
            "Base Color": graph.mix(clothed, skin, fabric.colour),
            "Roughness": graph.lerp(clothed, graph.attribute(ROUGHNESS).outputs["Fac"], fabric.roughness),
            "Specular IOR Level": graph.lerp(clothed, 0.35, fabric.specular),
            "Sheen Weight": graph.lerp(clothed, 0.0, fabric.sheen),
            "Subsurface Weight": graph.lerp(clothed, 1.0, 0.0),
            "Subsurface Radius": (1.0, 0.35, 0.20),
            "Subsurface Scale": _SUBSURFACE_SCALE_M,
            "Normal": bump.outputs[0],
        },
    )
    graph.add("OutputMaterial", surface.outputs[0])
    return material


def teeth_material(bpy: Any) -> Any:
    return _plain(bpy, "teeth", (0.66, 0.60, 0.49), 0.25)


def tongue_material(bpy: Any) -> Any:
    return _plain(bpy, "tongue", (0.42, 0.12, 0.11), 0.38)


def _hairs(graph: Graph, plain: Any, rest: Any, brow_distance: Any, lashes: Any, appearance: Appearance) -> Any:
    """Skin colour with brows and lashes painted in: streaks along the brow, frayed at its border."""
    x, y, _ = graph.add("SeparateXYZ", rest).outputs
    outward = graph.math("ABSOLUTE", x)
    across = graph.math("MULTIPLY_ADD", outward, -0.45, y)  # the hairs rise towards the temple
    along = graph.add("CombineXYZ", graph.math("MULTIPLY", outward, 330.0), graph.math("MULTIPLY", across, 1900.0))
    streaks = graph.add("TexNoise", along.outputs[0], named={"Scale": 1.0, "Detail": 2.0}).outputs[0]
    frayed = graph.math("MULTIPLY_ADD", graph.math("SUBTRACT", streaks, 0.5), 0.008, brow_distance)
    brow = graph.math("MULTIPLY", graph.ramp(frayed, -0.0024, 0.0014), 0.9)
    dark = tuple(0.75 * c + 0.002 for c in appearance.hair_colour)
    colour = graph.mix(brow, plain, dark)
    return graph.mix(lashes, colour, (0.012, 0.008, 0.006))


def _plain(bpy: Any, name: str, colour: tuple[float, float, float], roughness: float) -> Any:
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    graph = Graph(material.node_tree)
    surface = graph.add("BsdfPrincipled", named={"Base Color": colour, "Roughness": roughness})
    graph.add("OutputMaterial", surface.outputs[0])
    return material
