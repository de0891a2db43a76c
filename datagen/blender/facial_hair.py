"""Brows, lashes and beard of one person in Blender's scene."""

from __future__ import annotations

from typing import Any

from datagen.blender.beard import beard_colour, grow_beard
from datagen.blender.brows import brow_colour, grow_brows
from datagen.blender.follicles import Ground
from datagen.blender.lashes import grow_lashes
from datagen.blender.rooted import RootedHair, strand_material
from datagen.geometry.posed import PosedClip
from manifests.clip import Appearance

_LASHES = (0.012, 0.009, 0.008)


class FacialHair:
    """The hair of the face, which moves with its skin. ``blocks`` lists every data block it made."""

    def __init__(self, bpy: Any, collection: Any, posed: PosedClip, appearance: Appearance, thickness: float) -> None:
        """``thickness`` scales the strands to the picture's resolution."""
        ground = Ground(posed)
        made = (
            ("brows", "brows", brow_colour(appearance), grow_brows(posed, ground, appearance, thickness)),
            ("lashes", "lashes", _LASHES, grow_lashes(posed, ground, appearance, thickness)),
            ("beard", "hair", beard_colour(appearance), grow_beard(posed, ground, appearance, thickness)),
        )
        self._hairs = [
            RootedHair(bpy, collection, posed, strands, name, strand_material(bpy, name, colour, segmentation_class))
            for name, segmentation_class, colour, strands in made
            if strands is not None and len(strands.points)
        ]
        self.blocks = [block for hair in self._hairs for block in hair.blocks]

    def pose(self, frame: int) -> None:
        for hair in self._hairs:
            hair.pose(frame)
