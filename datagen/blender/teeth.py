"""Teeth and gums: one band along each jaw in the mesh, parted into teeth by the shader."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull

from datagen.blender.nodes import Graph
from datagen.geometry.posed import PosedClip
from manifests.clip import Appearance

Array = NDArray[Any]

PLACE = "tooth_place"
"""Vertex attribute: along the jaw from its middle, height over the biting edge (both metres), 1 on the upper jaw."""

_WIDTHS_MM: Final = {"upper": (8.5, 6.5, 7.5, 7, 7, 10, 9), "lower": (5, 5.5, 7, 7, 7, 11, 10.5)}
"""From the central incisor to the second molar. Source: Nelson, "Wheeler's dental anatomy", table of measurements."""
_CROWN_MM: Final = {"upper": 10.5, "lower": 9.0}
"""Height of the incisors' crowns, from the same table."""
_PAPILLA_MM: Final = 3.0
"""How much further gums reach between two teeth, by eye."""
_SEAM_MM: Final = 0.35
_LONGEST_MM: Final = 70.0
_COLUMN_RAD: Final = 0.07


def tooth_places(posed: PosedClip) -> Array:
    """float32 [Vs, 3], what ``PLACE`` holds; zero elsewhere and on heads without teeth. Taken at rest."""
    out = np.zeros(posed.rest.shape, np.float32)
    jaws = sorted(_jaws(posed), key=lambda jaw: float(posed.rest[jaw, 1].mean()))
    for jaw, upper in zip(jaws, (False, True), strict=False):
        out[jaw] = _places(posed.rest[jaw].astype(np.float64), upper)
    return out


def teeth_material(bpy: Any, appearance: Appearance) -> Any:
    """Enamel, yellower towards the gums, seams between the teeth, and gums with a little of the skin's melanin."""
    material = bpy.data.materials.new("teeth")
    material.use_nodes = True
    graph = Graph(material.node_tree)
    along, height, upper = graph.add("SeparateXYZ", graph.attribute(PLACE).outputs["Vector"]).outputs
    from_middle = graph.math("DIVIDE", graph.math("ABSOLUTE", along), _LONGEST_MM / 1000)
    ramps = {jaw: _ramp(graph, from_middle, widths) for jaw, widths in _WIDTHS_MM.items()}
    enamel, bulge, _ = graph.add("SeparateColor", graph.mix(upper, ramps["lower"], ramps["upper"])).outputs
    crown = graph.lerp(upper, _CROWN_MM["lower"] / 1000, _CROWN_MM["upper"] / 1000)
    line = graph.math("MULTIPLY_ADD", graph.math("SUBTRACT", bulge, 1.0), _PAPILLA_MM / 1000, crown)
    over = graph.math("SUBTRACT", height, line)
    gums = graph.ramp(over, -0.0003, 0.0003)

    stained = np.random.default_rng([appearance.seed, 9]).random()
    bright, neck = (0.70, 0.65, 0.55 - 0.10 * stained), (0.60, 0.50, 0.34 - 0.06 * stained)
    tooth = graph.mix(graph.ramp(height, 0.002, 0.010), bright, neck)
    tooth = graph.mix(enamel, (0.28, 0.20, 0.14), tooth)
    dark = 0.6 * appearance.melanin
    pink = graph.mix(dark, (0.45, 0.16, 0.15), (0.17, 0.07, 0.06))
    relief = graph.math("MULTIPLY_ADD", gums, 0.0006, graph.math("MULTIPLY", enamel, 0.0004))
    surface = graph.add(
        "BsdfPrincipled",
        named={
            "Base Color": graph.mix(gums, tooth, pink),
            "Roughness": graph.lerp(gums, 0.22, 0.30),
            "Normal": graph.add("Bump", named={"Strength": 1.0, "Distance": 1.0, "Height": relief}).outputs[0],
        },
    )
    graph.add("OutputMaterial", surface.outputs[0])
    return material


def tongue_material(bpy: Any) -> Any:
    """Wet and rough with papillae."""
    material = bpy.data.materials.new("tongue")
    material.use_nodes = True
    graph = Graph(material.node_tree)
    grain = graph.add("TexNoise", graph.attribute("rest").outputs["Vector"], named={"Scale": 900.0}).outputs[0]
    surface = graph.add(
        "BsdfPrincipled",
        named={
            "Base Color": graph.mix(grain, (0.36, 0.10, 0.09), (0.48, 0.15, 0.14)),
            "Roughness": 0.38,
            "Normal": graph.add("Bump", named={"Strength": 1.0, "Distance": 2e-4, "Height": grain}).outputs[0],
        },
    )
    graph.add("OutputMaterial", surface.outputs[0])
    return material


def _jaws(posed: PosedClip) -> list[Array]:
    """The vertices of each connected piece of the teeth."""
    teeth = posed.surface.vertices_of("teeth")
    if len(teeth) == 0:
        return []
    faces = posed.surface.faces
    own = np.searchsorted(teeth, faces[np.isin(faces, teeth).all(axis=1)])
    links = coo_matrix((np.ones(own.size), (own.ravel(), np.roll(own, 1, axis=1).ravel())), (len(teeth),) * 2)
    count, piece = connected_components(links, directed=False)
    return [teeth[piece == k] for k in range(count)]


def _places(points: Array, upper: bool) -> Array:
    """``PLACE`` of one jaw's vertices [N, 3]: arc length on the outline seen from above, height from the edge."""
    x, y, z = (points - [points[:, 0].mean(), 0.0, points[:, 2].min()]).T
    angle = np.arctan2(x, z)  # from the throat; 0 is in front
    outline = ConvexHull(np.column_stack([x, z])).vertices
    outline = outline[np.argsort(angle[outline])]
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x[outline]), np.diff(z[outline])))])
    arc -= np.interp(0.0, angle[outline], arc)
    up = y if upper else -y
    column = np.abs(angle[:, None] - angle[None]) < _COLUMN_RAD
    edge = np.where(column, up[None], np.inf).min(axis=1)
    return np.column_stack([np.interp(angle, angle[outline], arc), up - edge, np.full(len(points), float(upper))])


def _ramp(graph: Graph, from_middle: Any, widths: tuple[float, ...]) -> Any:
    """Red: 0 in the seams between teeth, 1 on them. Green: 0 in the seams, 1 at the middle of a tooth."""
    node = graph.add("ValToRGB", from_middle)
    ends = np.cumsum(widths)
    stops = [(0.0, 0.0, 0.0)]
    for end, width in zip(ends, widths, strict=True):
        before, after = end - width + _SEAM_MM, end - _SEAM_MM
        stops += [(before, 1.0, 0.3), (end - width / 2, 1.0, 1.0), (after, 1.0, 0.3), (float(end), 0.0, 0.0)]
    elements = node.color_ramp.elements
    while len(elements) < len(stops):
        elements.new(1.0)
    for element, (place, enamel, bulge) in zip(elements, stops, strict=True):
        element.position, element.color = place / _LONGEST_MM, (enamel, bulge, 0.0, 1.0)
    return node.outputs[0]
