"""Glasses: a frame that fits pupils, nose and ears, and two thin lenses. They move with the head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

from datagen.blender.axes import set_transform
from datagen.blender.nodes import Graph
from datagen.blender.sheets import Sheet, disc, join, sheet_object, tube
from datagen.geometry.posed import PosedClip
from manifests.clip import Appearance
from manifests.conventions import LEFT_PUPIL, RIGHT_PUPIL

Array = NDArray[Any]

_WRAP = 0.10
"""How far the front bends back per metre outward of the bridge."""


@dataclass(frozen=True)
class _Shape:
    width_m: float
    height_m: float
    power: float
    """Of the superellipse that the rim is: 2 is an ellipse."""
    droop: float
    """How much wider the lower outer corner is: aviators hang."""
    wire_m: float
    """Radius of the rim."""


_SHAPES = {
    "round": _Shape(0.046, 0.044, 2.0, 0.0, 0.0011),
    "rectangle": _Shape(0.052, 0.034, 4.0, 0.0, 0.0019),
    "aviator": _Shape(0.056, 0.050, 2.5, 0.22, 0.0009),
}
"""Lens sizes of adult frames: 44 to 58 mm wide (the "box" of ISO 8624), frames 2 to 4 mm thick."""


class Glasses:
    """Nothing for a person without."""

    def __init__(self, bpy: Any, collection: Any, posed: PosedClip, appearance: Appearance) -> None:
        self._head = posed.head_to_world
        self.blocks: list[Any] = []
        self._things: list[Any] = []
        made = make_glasses(posed, appearance)
        for name, sheet in zip(("frame", "lenses"), made or (), strict=False):
            material = _frame_material(bpy, appearance) if name == "frame" else _lens_material(bpy)
            thing, mesh = sheet_object(bpy, collection, name, sheet, material)
            thing.visible_shadow = name == "frame"
            self._things.append(thing)
            self.blocks += [thing, mesh, material]

    def pose(self, frame: int) -> None:
        for thing in self._things:
            set_transform(thing, self._head[frame])


def make_glasses(posed: PosedClip, appearance: Appearance) -> tuple[Sheet, Sheet] | None:
    """Frame and lenses at rest."""
    if appearance.glasses == "none":
        return None
    shape = _SHAPES[appearance.glasses]
    rest, marks = posed.rest.astype(np.float64), posed.rest_landmarks.astype(np.float64)
    skin = rest[posed.surface.vertices_of("skin")]
    pupils = marks[[RIGHT_PUPIL, LEFT_PUPIL]]
    middle = 0.5 * (pupils[0, 0] + pupils[1, 0])
    apart = max(0.5 * abs(pupils[1, 0] - pupils[0, 0]) + 0.001, 0.5 * shape.width_m + 0.008)
    level = pupils[:, 1].mean() - 0.003
    outlines = [_rim(shape, side) + [middle + side * apart, level] for side in (-1.0, 1.0)]
    depth = _depth(skin, pupils, np.concatenate(outlines), middle) + shape.wire_m
    rims = [_placed(outline, depth, middle) for outline in outlines]
    parts = [tube(rim, shape.wire_m, closed=True) for rim in rims]
    parts += _bridges(shape, middle, apart, level, depth, skin)
    ears, skull = rest[posed.regions.ears > 0.5], rest[(posed.regions.ears < 0.4) & (rest[:, 1] > marks[8, 1])]
    for side, rim in zip((-1.0, 1.0), rims, strict=True):
        parts.append(tube(_temple(side, rim, ears, skull, shape.wire_m), max(shape.wire_m, 0.0012)))
    lenses = [disc(rim) for rim in rims]
    return join(*parts), join(*lenses)


def _rim(shape: _Shape, side: float) -> Array:
    """Outline [64, 2] about the pupil; ``side`` is that of the temple."""
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    c, s = np.cos(angle), np.sin(angle)
    radius = (np.abs(c) ** shape.power + np.abs(s) ** shape.power) ** (-1 / shape.power)
    x, y = 0.5 * shape.width_m * radius * c, 0.5 * shape.height_m * radius * s
    narrow = 1 - shape.droop * (1 - s) * 0.5 * (c < 0) * np.abs(c)  # the nose's side gives way below
    y = y - 0.12 * shape.droop * shape.height_m * (1 - s) * (0.5 + 0.5 * c)
    return np.stack([side * x * narrow, y], axis=1)


def _placed(outline: Array, depth: float, middle: float) -> Array:
    out = np.abs(outline[:, 0] - middle)
    return np.column_stack([outline, depth - _WRAP * out])


def _depth(skin: Array, pupils: Array, outline: Array, middle: float) -> float:
    """How far in front the rims stand: clear of cheeks, brows and the eyes' lashes."""
    front = skin[skin[:, 2] > pupils[:, 2].mean() - 0.03]
    index = cKDTree(front[:, :2]).query(outline, k=4)[1]
    over = front[index][..., 2].max(axis=1) + 0.0015 + _WRAP * np.abs(outline[:, 0] - middle)
    beside_nose = np.abs(outline[:, 0] - middle) > 0.010
    return float(max(pupils[:, 2].mean() + 0.013, over[beside_nose].max()))


def _bridges(shape: _Shape, middle: float, apart: float, level: float, depth: float, skin: Array) -> list[Sheet]:
    """An arch over the nose; aviators have a second bar above. Pads hold it."""
    inner = apart - 0.5 * shape.width_m
    heights = [level + 0.006] if shape.droop == 0 else [level + 0.004, level + 0.5 * shape.height_m - 0.004]
    x = np.linspace(-1, 1, 13)
    out = []
    for height in heights:
        reach = inner if height < level + 0.01 else inner + 0.012
        arch = np.column_stack([middle + reach * x, height + 0.004 * (1 - x**2), np.full(13, depth)])
        ridge = skin[(np.abs(skin[:, 0] - middle) < 0.006) & (np.abs(skin[:, 1] - height) < 0.008)]
        least = ridge[:, 2].max(initial=-1.0) + shape.wire_m + 0.0015
        arch[:, 2] += np.maximum(least - depth, 0.002) * (1 - x**4)
        out.append(tube(arch, shape.wire_m))
    return out


def _temple(side: float, rim: Array, ears: Array, skull: Array, wire_m: float) -> Array:
    """From the hinge back over the ear and down behind it."""
    hinge = rim[np.argmax(side * rim[:, 0] + 0.6 * rim[:, 1])]
    ear = ears[side * ears[:, 0] > 0]
    if len(ear) < 8:
        ear = np.array([[side * 0.075, hinge[1] - 0.004, hinge[2] - 0.11]])
    top = ear[ear[:, 1].argmax()]
    root_z = ear[ear[:, 1] > top[1] - 0.015, 2].mean()
    back = ear[:, 2].min()

    def beside(y: float, z: float) -> float:
        near = skull[(np.hypot(skull[:, 1] - y, skull[:, 2] - z) < 0.010) & (side * skull[:, 0] > 0.03)]
        return float((side * near[:, 0]).max(initial=0.05)) + wire_m + 0.0015

    rest_y = top[1] + wire_m + 0.001
    stations = [
        (hinge[1] + (rest_y - hinge[1]) * s, hinge[2] + (root_z - hinge[2]) * s) for s in (0.35, 0.65, 0.85, 1.0)
    ]
    stations += [(rest_y - 0.008, back - 0.004), (rest_y - 0.026, back - 0.007)]
    wide = [max(beside(y, z), side * hinge[0] * (0.9 if k == 0 else 0)) for k, (y, z) in enumerate(stations)]
    corner = hinge + [side * 0.004, 0, -0.004]
    path = np.array([hinge, corner, *([side * w, y, z] for w, (y, z) in zip(wide, stations, strict=True))])
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    smooth = np.column_stack([np.interp(np.linspace(0, length[-1], 60), length, column) for column in path.T])
    return np.asarray(
        CubicSpline(np.linspace(0, 1, 20), smooth[np.linspace(0, 59, 20).astype(int)])(np.linspace(0, 1, 50))
    )


def _frame_material(bpy: Any, appearance: Appearance) -> Any:
    material = bpy.data.materials.new("frame")
    material.use_nodes = True
    graph = Graph(material.node_tree)
    metal = appearance.glasses == "aviator" or min(appearance.glasses_colour) > 0.2
    named = {
        "Base Color": appearance.glasses_colour,
        "Roughness": 0.25,
        "Metallic": 1.0 if metal else 0.0,
        "Specular IOR Level": 0.5,
    }
    graph.add("OutputMaterial", graph.add("BsdfPrincipled", named=named).outputs[0])
    graph.covers("glasses")
    return material


_LENS_ROUGHNESS = 0.2
"""Rough enough that lamps are found by aiming at them: a mirror's rare hits are white specks at few samples."""


def _lens_material(bpy: Any) -> Any:
    """Coated glass: lets all light through unbent, and reflects what a coating leaves, 1 in 100 and more aslant.

    It covers nothing: labels look through it.
    """
    material = bpy.data.materials.new("lenses")
    material.use_nodes = True
    graph = Graph(material.node_tree)
    aslant = graph.add("LayerWeight", named={"Blend": 0.5}).outputs["Facing"]
    share = graph.math("MULTIPLY_ADD", graph.math("POWER", aslant, 4.0), 0.30, 0.012)
    clear = graph.add("BsdfTransparent", (0.985, 0.99, 0.985))
    gloss = graph.add("BsdfAnisotropic", (1.0, 1.0, 1.0), named={"Roughness": _LENS_ROUGHNESS})
    surface = graph.add("MixShader", share, clear.outputs[0], gloss.outputs[0])
    graph.add("OutputMaterial", surface.outputs[0])
    return material
