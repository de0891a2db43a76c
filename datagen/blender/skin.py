"""The material of skin and of the clothing that is painted on it."""

from __future__ import annotations

from typing import Any

from datagen.blender.fabric import Cloth, worn_on_skin
from datagen.blender.nodes import Graph
from datagen.blender.pigment import mean_colour
from datagen.blender.wrinkles import DEEPEST_M
from manifests.clip import Appearance

REST, COLOUR, ROUGHNESS, FIELDS = "rest", "colour", "roughness", "fields"
"""Vertex attributes the skin reads: rest position (metres), linear colour, roughness, and (distance into the
brows, distance into the clothing, lash darkness)."""

BEARD = "beard"
"""Vertex attribute: how dense facial hair grows there, in [0, 1]."""

UV_LAYER = "uv"

_STUBBLE_M = 0.003
_MEAN_FREE_PATH_MM = (3.67, 1.37, 0.68)
"""How far red, green and blue light spreads in skin: 1 / sqrt(3 a (a + s)) of the absorption a and the reduced
scattering s measured for "skin1" by Jensen et al., "A practical model for subsurface light transport", 2001. The
melanin lies above the layers that spread it, so one set does for all tones."""


def skin_material(bpy: Any, appearance: Appearance, texture: Any = None, lines: bool = True) -> Any:
    """Skin that turns into fabric where the clothing starts: one closure, its parameters switched.

    ``texture`` is an image in the head's texture coordinates, with the depth of ``lines`` in its alpha; without one
    the vertices' colour shows.
    """
    material = bpy.data.materials.new("skin")
    material.use_nodes = True
    graph = Graph(material.node_tree)
    rest = graph.attribute(REST).outputs["Vector"]
    fields = graph.add("SeparateXYZ", graph.attribute(FIELDS).outputs["Vector"])
    brow_distance, clothing_distance, lashes = fields.outputs
    fine = graph.add("TexNoise", rest, named={"Scale": 420.0, "Detail": 3.0, "Roughness": 0.7}).outputs[0]
    clothed = graph.ramp(clothing_distance, -0.0002, 0.0004)

    mottled = graph.math("MULTIPLY_ADD", fine, 0.55, 0.725)  # albedo guides the denoiser, so grain survives it
    depth: Any = 0.0
    painted = graph.attribute(COLOUR).outputs["Color"]
    if texture is not None:
        place = graph.add("UVMap", uv_map=UV_LAYER)
        seen = graph.add("TexImage", place.outputs[0], image=texture, extension="EXTEND")
        painted = seen.outputs["Color"]
        depth = graph.math("MULTIPLY", seen.outputs["Alpha"], DEEPEST_M) if lines else 0.0
    plain = graph.add("VectorMath", painted, operation="SCALE", named={"Scale": mottled}).outputs[0]
    skin = _hairs(graph, plain, rest, brow_distance, lashes, appearance)
    cloth = Cloth.of(appearance.fabric, appearance.clothing_colour, appearance.seed)
    fabric = worn_on_skin(graph, cloth, appearance.clothing, rest, clothing_distance)
    pores = graph.math("SUBTRACT", graph.math("MULTIPLY", fine, 0.00012), depth)
    height = graph.lerp(clothed, pores, fabric.height)
    bump = graph.add("Bump", named={"Strength": 1.0, "Distance": 1.0, "Height": height})
    surface = graph.add(
        "BsdfPrincipled",
        subsurface_method="RANDOM_WALK_SKIN",
        named={
            "Base Color": graph.mix(clothed, skin, fabric.colour),
            "Roughness": graph.lerp(clothed, graph.attribute(ROUGHNESS).outputs["Fac"], fabric.roughness),
            "Specular IOR Level": graph.lerp(clothed, 0.35, fabric.specular),
            "Sheen Weight": graph.lerp(clothed, 0.0, fabric.sheen),
            "Subsurface Weight": graph.lerp(clothed, 1.0, 0.0),
            "Subsurface Radius": _MEAN_FREE_PATH_MM,
            "Subsurface Scale": 1e-3,
            "Normal": bump.outputs[0],
        },
    )
    graph.add("OutputMaterial", surface.outputs[0])
    return material


def _hairs(graph: Graph, plain: Any, rest: Any, brow_distance: Any, lashes: Any, appearance: Appearance) -> Any:
    """Skin colour with the shade that lies under brows and beard and along the lashes' roots.

    Skin between the hairs of a beard that is longer than stubble counts as beard.
    """
    hair = tuple(0.75 * c + 0.002 for c in mean_colour(appearance))
    brow = graph.math("MULTIPLY", graph.ramp(brow_distance, -0.0016, 0.0018), 0.16 + 0.14 * appearance.brow_density)
    colour = graph.mix(brow, plain, hair)
    beard = graph.attribute(BEARD).outputs["Fac"]
    length = appearance.facial_hair_length_m
    colour = graph.mix(graph.math("MULTIPLY", beard, min(0.75, 0.25 + 60.0 * length)), colour, hair)
    if length > _STUBBLE_M:
        graph.add("OutputAOV", named={"Value": graph.ramp(beard, 0.45, 0.55)}).aov_name = "hair"
    return graph.mix(graph.math("MULTIPLY", lashes, 0.85), colour, (0.012, 0.008, 0.006))
