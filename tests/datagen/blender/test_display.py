"""Colour management and the world behind the person, against Blender's own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from PIL import Image

from datagen.assets import Assets
from datagen.blender.display import Display
from datagen.blender.renderer import ClipRenderer
from datagen.blender.world import background_colour, light_world, open_world, sample_map
from datagen.geometry.cameras import pixel_rays
from tests.datagen.blender.people import SCENE
from tests.datagen.geometry.scenes import cameras_around


@pytest.mark.parametrize("view_transform", ["AgX", "Standard"])
def test_view_transform_is_blenders(renderer: ClipRenderer, tmp_path: Path, view_transform: str) -> None:
    studio = renderer.studio
    linear = np.random.default_rng(3).uniform(0, 1.2, (16, 16, 3)).astype(np.float32) ** 2
    exposure_ev = 0.7
    image = studio.bpy.data.images.new("ramp", 16, 16, float_buffer=True)
    image.pixels.foreach_set(np.concatenate([linear[::-1], np.ones((16, 16, 1), np.float32)], axis=2).ravel())
    scene = studio.bpy.data.scenes.new("saver")
    scene.view_settings.view_transform, scene.view_settings.exposure = view_transform, exposure_ev
    scene.render.image_settings.file_format = "PNG"
    image.save_render(str(tmp_path / "ramp.png"), scene=scene)
    studio.bpy.data.images.remove(image)
    studio.bpy.data.scenes.remove(scene)
    theirs = np.asarray(Image.open(tmp_path / "ramp.png").convert("RGB")).astype(int)
    config = studio.data_files / "colormanagement" / "config.ocio"
    ours = Display(config, view_transform, exposure_ev)(linear, np.ones((16, 16), np.float32), np.zeros(3))
    assert np.abs(ours.astype(int) - theirs).max() <= 2
    assert len(np.unique(ours)) > 50


def test_half_covered_pixels_mix_in_linear_light(renderer: ClipRenderer) -> None:
    display = Display(renderer.studio.data_files / "colormanagement" / "config.ocio", "Standard", 0.0)
    half = np.full((1, 1), 0.5, np.float32)
    mixed = display(np.full((1, 1, 3), 0.5 * 0.8, np.float32), half, np.full(3, 0.2))
    solid = display(np.full((1, 1, 3), 0.5, np.float32), np.ones((1, 1), np.float32), np.zeros(3))
    assert np.array_equal(mixed, solid)
    assert abs(int(solid[0, 0, 0]) - 188) <= 1


def test_world_is_sampled_as_blender_sees_it(renderer: ClipRenderer) -> None:
    studio = renderer.studio
    size = 128
    look = dataclasses.replace(SCENE, world_map="forest.exr", world_rotation_deg=50.0, world_strength=0.7)
    world = open_world(studio.bpy, dataclasses.replace(look, background="world"), studio.world_maps, Assets())
    light_world(studio.bpy, studio.scene, world, np.zeros(3))
    studio.scene.render.film_transparent = False
    studio.scene.render.resolution_x = studio.scene.render.resolution_y = size
    with OpenEXR.File(str(studio.world_maps / "forest.exr")) as file:
        image = np.asarray(file.channels()["RGB"].pixels, np.float32)
    try:
        for camera in cameras_around(3, seed=8, size=size):
            theirs = studio.shoot(*camera, 1).stack("Combined", "RGB")
            ours = 0.7 * sample_map(image, pixel_rays(*camera, size, size), 50.0)
            shape = np.corrcoef(np.log(theirs + 0.01).ravel(), np.log(ours + 0.01).ravel())[0, 1]
            assert shape > 0.97
            assert abs(np.median(theirs / ours) - 1) < 0.05
            blurred = background_colour(world, *camera, size, size)
            assert blurred.shape == (size, size, 3)
            assert np.abs(np.diff(blurred, axis=1)).mean() < np.abs(np.diff(ours, axis=1)).mean()
    finally:
        studio.scene.render.film_transparent = True
