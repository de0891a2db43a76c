"""Cloth as a shader: colour, pattern, weave and gloss, on the skin mesh's clothed part and on garments alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from datagen.blender.nodes import Graph

REST, WEAVE = "rest", "weave"
"""Vertex attributes of cloth that is a mesh of its own: rest position, and (across, along) the cloth, metres."""

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Cloth:
    """What a piece is made of."""

    fabric: str
    colour: Colour
    pattern: str
    """``plain``, ``stripes`` or ``checks``."""
    period_m: float
    """Of the pattern."""

    @classmethod
    def of(cls, fabric: str, colour: Colour, seed: int) -> Cloth:
        """The pattern is drawn from the seed: 70 in 100 plain, 18 striped, 12 checked; denim and satin are plain."""
        rng = np.random.default_rng([seed, 41])
        pattern = ("plain", "stripes", "checks")[int(np.searchsorted([0.70, 0.88], rng.random()))]
        period = rng.uniform(0.014, 0.034)
        return cls(fabric, colour, "plain" if fabric in ("denim", "satin") else pattern, float(period))


@dataclass(frozen=True)
class Shade:
    """Sockets or numbers of a Principled shader; ``height`` in metres."""

    colour: Any
    height: Any
    roughness: float
    specular: float
    sheen: float


def shade(graph: Graph, cloth: Cloth, rest: Any, weave: Any) -> Shade:
    """Cloth at ``rest`` (socket, metres), its threads running along x and y of ``weave`` (socket, metres)."""
    across, along, _ = graph.add("SeparateXYZ", weave).outputs
    fine = graph.add("TexNoise", rest, named={"Scale": 420.0, "Detail": 3.0, "Roughness": 0.7}).outputs[0]
    kind = _KINDS[cloth.fabric]
    tone = graph.math("MULTIPLY_ADD", fine, kind.grain, 1.0 - kind.grain / 2)
    height = graph.math("MULTIPLY", fine, kind.fuzz_m)
    if cloth.fabric == "knit":
        uneven = graph.add("TexNoise", rest, named={"Scale": 45.0, "Detail": 1.0}).outputs[0]
        rib = _wave(graph, graph.math("MULTIPLY_ADD", uneven, 0.003, across), 0.0066)
        stitch = _wave(graph, graph.math("ADD", along, graph.math("MULTIPLY", rib, 0.0012)), 0.0050)
        relief = graph.math("MULTIPLY_ADD", rib, 0.7, graph.math("MULTIPLY", stitch, 0.3))
        height = graph.math("MULTIPLY_ADD", relief, 0.0009, height)
        tone = graph.math("MULTIPLY", tone, graph.math("MULTIPLY_ADD", relief, 0.45, 0.75))
    elif cloth.fabric == "denim":
        # Twill as noise drawn out along the diagonal: regular lines finer than a pixel would ring.
        lines = graph.add(
            "CombineXYZ",
            graph.math("MULTIPLY", graph.math("ADD", across, along), 620.0),
            graph.math("MULTIPLY", graph.math("SUBTRACT", across, along), 60.0),
        )
        twill = graph.add("TexNoise", lines.outputs[0], named={"Scale": 1.0, "Detail": 1.0}).outputs[0]
        height = graph.math("MULTIPLY_ADD", twill, 0.0003, height)
        tone = graph.math("MULTIPLY", tone, graph.math("MULTIPLY_ADD", twill, 0.5, 0.8))
    colour = _pattern(graph, cloth, across, along)
    colour = graph.add("VectorMath", colour, operation="SCALE", named={"Scale": tone}).outputs[0]
    return Shade(colour, height, kind.roughness, kind.specular, kind.sheen)


def fabric_material(bpy: Any, name: str, cloth: Cloth, covers: str = "clothing") -> Any:
    """Cloth for a mesh with the attributes REST and WEAVE, counted to the class ``covers``."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    graph = Graph(material.node_tree)
    look = shade(graph, cloth, graph.attribute(REST).outputs["Vector"], graph.attribute(WEAVE).outputs["Vector"])
    bump = graph.add("Bump", named={"Strength": 1.0, "Distance": 1.0, "Height": look.height})
    surface = graph.add(
        "BsdfPrincipled",
        named={
            "Base Color": look.colour,
            "Roughness": look.roughness,
            "Specular IOR Level": look.specular,
            "Sheen Weight": look.sheen,
            "Sheen Roughness": 0.5,
            "Normal": bump.outputs[0],
        },
    )
    graph.add("OutputMaterial", surface.outputs[0])
    graph.covers(covers)
    return material


def worn_on_skin(graph: Graph, cloth: Cloth, garment: str, rest: Any, distance: Any) -> Shade:
    """The clothed part of the skin mesh: ``distance`` (socket, metres) is that into the clothing.

    Round necks and cut ones end in a ribbed band with a seam; shirts in a narrow hem; under a jacket lies a
    shirt of another shade.
    """
    look = shade(graph, cloth, rest, rest)
    band = _BANDS_M.get(garment, 0.004)
    inner = graph.ramp(distance, band - 0.0004, band)
    off_seam = graph.math("ABSOLUTE", graph.math("SUBTRACT", distance, band))
    seam = graph.ramp(off_seam, 0.0010, 0.0004)
    dimmer = graph.math("SUBTRACT", graph.lerp(inner, 0.84, 1.0), graph.math("MULTIPLY", seam, 0.4))
    hem = graph.math("MULTIPLY", graph.ramp(distance, -0.0005, 0.0025), 0.0020)
    step = graph.math("MULTIPLY", inner, -0.0008)
    height = graph.math("ADD", look.height, graph.math("ADD", hem, step))
    colour = look.colour
    if garment == "jacket":
        colour = _under_jacket(graph, cloth, rest, colour)
    colour = graph.add("VectorMath", colour, operation="SCALE", named={"Scale": dimmer}).outputs[0]
    return Shade(colour, height, look.roughness, look.specular, look.sheen)


_BANDS_M = {"crew": 0.016, "v_neck": 0.014, "scoop": 0.011, "jacket": 0.012}


def _under_jacket(graph: Graph, cloth: Cloth, rest: Any, colour: Any) -> Any:
    """Cloth of another shade between the lapels, whose inner edges ``garments`` lays along the same line."""
    x, y, z = graph.add("SeparateXYZ", rest).outputs
    half = graph.add("MapRange", y, -0.22, -0.085, 0.012, 0.060).outputs[0]
    outside = graph.ramp(graph.math("SUBTRACT", graph.math("ABSOLUTE", x), half), -0.001, 0.001)
    front = graph.ramp(z, -0.01, -0.005)
    light = max(cloth.colour) < 0.3
    other = (0.62, 0.61, 0.58) if light else (0.03, 0.03, 0.035)
    inner = graph.math("MULTIPLY", graph.math("SUBTRACT", 1.0, outside), front)
    return graph.mix(inner, colour, other)


@dataclass(frozen=True)
class _Kind:
    roughness: float
    specular: float
    sheen: float
    grain: float
    """How much the colour varies."""
    fuzz_m: float
    """Height of the irregular part of the weave."""


_KINDS = {
    "jersey": _Kind(0.92, 0.10, 0.05, 0.40, 0.00030),
    "knit": _Kind(0.95, 0.08, 0.15, 0.40, 0.00030),
    "denim": _Kind(0.88, 0.15, 0.00, 0.55, 0.00025),
    "wool": _Kind(0.97, 0.05, 0.35, 0.60, 0.00060),
    "satin": _Kind(0.34, 0.55, 0.10, 0.06, 0.00004),
}


def _wave(graph: Graph, position: Any, period_m: float) -> Any:
    """In [0, 1]."""
    sine = graph.math("SINE", graph.math("MULTIPLY", position, 2 * np.pi / period_m))
    return graph.math("MULTIPLY_ADD", sine, 0.5, 0.5)


def _pattern(graph: Graph, cloth: Cloth, across: Any, along: Any) -> Any:
    red, green, blue = cloth.colour
    bright = max(cloth.colour) > 0.25
    other = (red * 0.3, green * 0.3, blue * 0.3) if bright else (red + 0.3, green + 0.3, blue + 0.3)
    if cloth.pattern == "plain":
        return graph.mix(0.0, cloth.colour, other)
    share = graph.ramp(_wave(graph, along, cloth.period_m), 0.62, 0.72)
    if cloth.pattern == "checks":
        crossing = graph.ramp(_wave(graph, across, cloth.period_m), 0.62, 0.72)
        share = graph.math("MULTIPLY", graph.math("ADD", share, crossing), 0.5)
    return graph.mix(share, cloth.colour, other)
