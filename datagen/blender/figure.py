"""One person in Blender's scene, made of parts that move each in its own way."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from datagen.asset_files import open_image
from datagen.blender import skin
from datagen.blender.axes import points_to_blender, set_transform
from datagen.blender.beard import beard_shade
from datagen.blender.bend import Bend
from datagen.blender.complexion import Complexion, paint
from datagen.blender.coverings import Covering, hides_hair, kept_under
from datagen.blender.eyes import DIRECTION, eye_directions, eye_material
from datagen.blender.facial_hair import FacialHair
from datagen.blender.garments import Garment
from datagen.blender.glasses import Glasses
from datagen.blender.hair import hair_curves, hair_material
from datagen.blender.strands import grow
from datagen.blender.teeth import PLACE, teeth_material, tongue_material, tooth_places
from datagen.blender.things import shaped_object
from datagen.geometry.posed import PosedClip
from manifests.clip import Appearance, ClipSpec

Array = NDArray[Any]

_SLOT = np.array([0, 1, 1, 2, 3])
"""Material slot of each of ``manifests.conventions.PARTS``."""

_INSIDE_THE_NECK = np.diag([1e-3, 1e-3, 1e-3, 1.0])
"""Where hair's twin hides, a fifth of a millimetre small. Cycles bakes the transform of curves that one object
uses into their acceleration structure and rebuilds it when they move; of curves that two use it does not."""


class Part(Protocol):
    """Something of a person that Blender draws. ``blocks`` lists every data block it made, for removal."""

    blocks: list[Any]

    def pose(self, frame: int) -> None:
        """Take the shape of one frame."""


class Figure:
    """Built once a clip."""

    def __init__(
        self, bpy: Any, collection: Any, posed: PosedClip, spec: ClipSpec, thickness: float, albedo: Path | None = None
    ) -> None:
        """``thickness`` scales the strands of hair to the picture's resolution; ``albedo`` is the user's picture of
        the skin. Raises UserError if that cannot be read."""
        appearance = spec.appearance
        self._parts: list[Part] = [
            Body(bpy, collection, posed, appearance, spec.traits.age_years, albedo),
            Hair(bpy, collection, posed, appearance, thickness),
            FacialHair(bpy, collection, posed, appearance, thickness),
            Garment(bpy, collection, posed, appearance),
            Glasses(bpy, collection, posed, appearance),
            Covering(bpy, collection, posed, appearance),
        ]
        self.blocks = [block for part in self._parts for block in part.blocks]

    def pose(self, frame: int) -> None:
        for part in self._parts:
            part.pose(frame)


class Body:
    """The head's own mesh, which moves by its vertices."""

    def __init__(
        self,
        bpy: Any,
        collection: Any,
        posed: PosedClip,
        appearance: Appearance,
        age_years: float,
        albedo: Path | None,
    ) -> None:
        self._vertices = posed.vertices
        self._shown: int | None = None
        look = paint(posed, appearance, age_years)
        picture = np.asarray(open_image(albedo)) if albedo else look.texture
        texture = None if picture is None or posed.surface.uv is None else _image(bpy, picture)
        materials = [
            skin.skin_material(bpy, appearance, texture, lines=albedo is None),
            eye_material(bpy, appearance),
            teeth_material(bpy, appearance),
            tongue_material(bpy),
        ]
        self._mesh = _mesh(bpy, posed, look)
        _attribute(self._mesh, skin.BEARD, "FLOAT", "value", beard_shade(posed, appearance))
        for material in materials:
            self._mesh.materials.append(material)
        body = shaped_object(bpy, collection, "figure", self._mesh)
        self.blocks = [body, self._mesh, *materials, *([texture] if texture else [])]

    def pose(self, frame: int) -> None:
        """A frame like the last one costs Blender nothing."""
        vertices = self._vertices
        if self._shown is None or not np.array_equal(vertices[frame], vertices[self._shown]):
            self._mesh.vertices.foreach_set("co", points_to_blender(vertices[frame]).ravel())
            self._mesh.update()
        self._shown = frame


class Hair:
    """The hair of the head. It moves as a whole, but for long hair, whose ends stay on the shoulders."""

    def __init__(self, bpy: Any, collection: Any, posed: PosedClip, appearance: Appearance, thickness: float) -> None:
        self._head = posed.head_to_world
        self._shown: int | None = None
        self._bend: Bend | None = None
        self.blocks: list[Any] = []
        strands = None if hides_hair(appearance) else grow(posed, appearance, thickness)
        strands = kept_under(posed, appearance, strands)
        if strands is None:
            return
        material = hair_material(bpy, appearance)
        self._curves = hair_curves(bpy, strands, material)
        if strands.head_share is not None:
            self._hair = shaped_object(bpy, collection, "hair", self._curves)
            self.blocks = [self._hair, self._curves, material]
            self._bend = Bend(posed, strands.points, strands.head_share)
            return
        self._hair = bpy.data.objects.new("hair", self._curves)
        collection.objects.link(self._hair)
        self.blocks = [self._hair, self._curves, material]
        self._twin = bpy.data.objects.new("hair twin", self._curves)
        collection.objects.link(self._twin)
        self.blocks.insert(1, self._twin)

    def pose(self, frame: int) -> None:
        if not self.blocks:
            return
        if self._bend is not None:
            if self._shown is None or not self._bend.alike(frame, self._shown):
                self._curves.position_data.foreach_set("vector", points_to_blender(self._bend.at(frame)).ravel())
                self._curves.update_tag()
        elif self._shown is None or not np.array_equal(self._head[frame], self._head[self._shown]):
            set_transform(self._hair, self._head[frame])
            set_transform(self._twin, self._head[frame] @ _INSIDE_THE_NECK)
        self._shown = frame


def _mesh(bpy: Any, posed: PosedClip, complexion: Complexion) -> Any:
    faces = posed.surface.faces
    mesh = bpy.data.meshes.new("figure")
    mesh.vertices.add(len(posed.rest))
    mesh.vertices.foreach_set("co", points_to_blender(posed.rest).ravel())
    mesh.loops.add(faces.size)
    mesh.loops.foreach_set("vertex_index", faces.ravel())
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, 3, dtype=np.int32))
    mesh.polygons.foreach_set("material_index", _SLOT[posed.surface.part].astype(np.int32))
    mesh.update(calc_edges=True)
    if posed.surface.uv is not None and posed.surface.uv_faces is not None:
        layer = mesh.uv_layers.new(name=skin.UV_LAYER, do_init=False)
        layer.uv.foreach_set("vector", posed.surface.uv[posed.surface.uv_faces].astype(np.float32).ravel())
    rgba = np.concatenate([complexion.colour, np.ones((len(posed.rest), 1), np.float32)], axis=1)
    fields = np.stack([complexion.brows, complexion.clothing, complexion.lashes], axis=1)
    _attribute(mesh, skin.REST, "FLOAT_VECTOR", "vector", posed.rest)
    _attribute(mesh, skin.COLOUR, "FLOAT_COLOR", "color", rgba)
    _attribute(mesh, skin.ROUGHNESS, "FLOAT", "value", complexion.roughness)
    _attribute(mesh, skin.FIELDS, "FLOAT_VECTOR", "vector", fields)
    _attribute(mesh, DIRECTION, "FLOAT_VECTOR", "vector", eye_directions(posed))
    _attribute(mesh, PLACE, "FLOAT_VECTOR", "vector", tooth_places(posed))
    return mesh


def _image(bpy: Any, picture: Array) -> Any:
    """An sRGB picture uint8 [H, W, 3 or 4], top row first, whose fourth channel is no transparency."""
    height, width, channels = picture.shape
    image = bpy.data.images.new("skin", width, height, alpha=True)
    image.alpha_mode = "CHANNEL_PACKED"
    texels = np.ones((height, width, 4), np.float32)
    texels[..., :channels] = picture[::-1] / np.float32(255)
    image.pixels.foreach_set(texels.ravel())
    return image


def _attribute(mesh: Any, name: str, kind: str, field: str, values: Array) -> None:
    data = mesh.attributes.new(name, kind, "POINT").data
    data.foreach_set(field, np.ascontiguousarray(values, np.float32).ravel())
