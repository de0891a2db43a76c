"""Blender's scene: one camera, the clip's lights and world, one person; moved, never rebuilt, within a clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.assets import Assets
from datagen.blender.axes import look_along, place_camera
from datagen.blender.device import apply_settings
from datagen.blender.figure import Figure
from datagen.blender.film import Exposure, Film
from datagen.blender.libraries import load_bpy
from datagen.blender.quiet import quiet
from datagen.blender.world import World, light_world, open_world
from datagen.geometry.posed import PosedClip
from manifests.clip import AreaLight, Clip, RenderSettings
from manifests.conventions import WORN_CLASSES

Array = NDArray[Any]

LAYER = "ViewLayer"


class Studio:
    """Owns one scene for the life of a worker. ``open`` a clip, ``pose`` and ``shoot``, then ``clear``."""

    def __init__(self, settings: RenderSettings, threads: int = 1, assets: Assets | None = None) -> None:
        """Raises UserError when Blender, or the device asked for, is not there."""
        self.bpy = load_bpy(threads)
        self.assets = assets or Assets()
        self.film = Film()
        self.scene = self.bpy.data.scenes.new("studio")
        self._figure: Figure | None = None
        self._blocks: list[Any] = []
        scene = self.scene
        scene.view_layers[0].name = LAYER
        apply_settings(self.bpy, scene, settings, threads)
        scene.world = self.bpy.data.worlds.new("world")
        camera = self.bpy.data.objects.new("camera", self.bpy.data.cameras.new("camera"))
        scene.collection.objects.link(camera)
        scene.camera = camera
        render = scene.render
        render.film_transparent = True
        render.resolution_percentage = 100
        render.use_compositing = render.use_sequencer = False
        render.dither_intensity = 0.0
        render.filepath = self.film.path
        render.use_file_extension = False
        render.image_settings.file_format = "OPEN_EXR_MULTILAYER"
        render.image_settings.color_depth = "32"
        render.image_settings.exr_codec = "NONE"
        for name in WORN_CLASSES:
            aov = scene.view_layers[0].aovs.add()
            aov.name, aov.type = name, "VALUE"

    @property
    def data_files(self) -> Path:
        """Where Blender keeps its colour management and world maps."""
        return Path(self.bpy.utils.system_resource("DATAFILES"))

    @property
    def world_maps(self) -> Path:
        return self.data_files / "studiolights" / "world"

    def open(self, clip: Clip, posed: PosedClip) -> World:
        """Bring in the clip's person, lights and world. Raises UserError for a world map or a user's file that is
        not there."""
        self.clear()
        spec = clip.spec
        self.scene.render.resolution_x, self.scene.render.resolution_y = (
            clip.cameras.width,
            clip.cameras.height,
        )
        world = open_world(self.bpy, spec.scene, self.world_maps, self.assets)
        self._blocks = [block for light in spec.scene.lights for block in self._light(light, spec.head.head_centre)]
        self._blocks += light_world(self.bpy, self.scene, world, np.asarray(spec.head.head_centre))
        thickness = strand_thickness(clip)
        look = spec.appearance
        albedo = self.assets.file(look.albedo, look.albedo_sha256) if look.albedo else None
        self._figure = Figure(self.bpy, self.scene.collection, posed, spec, thickness, albedo)
        return world

    def pose(self, frame: int) -> None:
        """Show the person in one frame of the open clip."""
        if self._figure is None:
            raise RuntimeError("no clip is open")
        self._figure.pose(frame)

    def shoot(self, intrinsics: Array, world_to_camera: Array, seed: int) -> Exposure:
        """Render what one camera sees; ``seed`` (31 bits) decides the noise."""
        scene = self.scene
        place_camera(scene.camera, intrinsics, world_to_camera, scene.render.resolution_x, scene.render.resolution_y)
        scene.cycles.seed = seed
        with quiet():
            self.bpy.ops.render.render(write_still=True, scene=scene.name)
        return self.film.read(LAYER)

    def clear(self) -> None:
        """Remove the clip's data; world maps stay, shared by later clips."""
        # Cycles keeps its scene from render to render, which is only for one clip's pictures: what an earlier clip
        # left there would show in the last bit of a pixel. Blender frees it when the setting goes off.
        render = self.scene.render
        render.use_persistent_data = False
        render.use_persistent_data = True
        blocks = [*self._blocks, *(self._figure.blocks if self._figure else [])]
        if blocks:
            self.bpy.data.batch_remove(blocks)
        self._blocks, self._figure = [], None

    def _light(self, light: AreaLight, centre: tuple[float, float, float]) -> list[Any]:
        lamp = self.bpy.data.lights.new("light", "AREA")
        lamp.shape = "SQUARE"
        lamp.size = light.size_m
        lamp.energy = light.power_w
        lamp.color = light.colour
        thing = self.bpy.data.objects.new("light", lamp)
        thing.visible_camera = False
        self.scene.collection.objects.link(thing)
        look_along(thing, np.asarray(centre) + light.position, np.asarray(centre))
        return [thing, lamp]


def strand_thickness(clip: Clip) -> float:
    """Factor on hair's thickness: strands much thinner than a pixel cost samples and show nothing more."""
    cameras = clip.cameras
    centre = np.append(clip.spec.head.head_centre, 1.0)
    depth = (cameras.world_to_camera @ centre)[..., 2]
    pixel_m = np.median(np.abs(depth) / cameras.intrinsics[..., 0, 0])
    return float(np.clip(np.sqrt(pixel_m / 0.0013), 0.6, 1.6))
