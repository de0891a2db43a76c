"""Light: the meter reads what a grey card shows, no template burns or crushes, users' pictures arrive."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from datagen.assets import IMAGES, AssetFolder, Assets, list_folder
from datagen.blender.axes import points_to_blender
from datagen.blender.meter import card_irradiance
from datagen.blender.renderer import ClipRenderer
from datagen.blender.sky import map_directions, sky_map, sun_direction
from datagen.blender.studio import Studio
from datagen.blender.world import light_world, open_world, sample_map
from datagen.geometry.cameras import intrinsics_from_focal, look_at
from datagen.geometry.posed import pose_clip
from datagen.sampling.light import sample_scene
from datagen.templates import load_template, shipped_templates, template_path
from manifests.clip import Scene, Sky
from manifests.errors import UserError
from tests.datagen.blender.people import SCENE, SIZE, open_head, person

Array = NDArray[Any]

SKY = Sky(35.0, 40.0, 2.0, 3.0, (0.2, 0.2, 0.2))
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def scene_of(name: str, index: int) -> Scene:
    return sample_scene(load_template(template_path(name, Path("."), "test")), 3, index)


def card(studio: Studio, scene: Scene, normal: Array) -> tuple[float, float]:
    """Irradiance of a small white card at the origin: what Cycles shows, and what the meter says."""
    bpy = studio.bpy
    world = open_world(bpy, scene, studio.world_maps, Assets())
    blocks = [block for light in scene.lights for block in studio._light(light, (0.0, 0.0, 0.0))]
    blocks += light_world(bpy, studio.scene, world, np.zeros(3))
    mesh = bpy.data.meshes.new("card")
    aside = np.cross(normal, [0.3, 0.9, 0.1])
    up = np.cross(normal, aside)
    corners = [0.05 * (a * aside + b * up) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    mesh.from_pydata(points_to_blender(np.array(corners)).tolist(), [], [(0, 1, 2, 3)])
    material = bpy.data.materials.new("white")
    material.use_nodes = True
    nodes = material.node_tree.nodes
    nodes.clear()
    shader, output = nodes.new("ShaderNodeBsdfDiffuse"), nodes.new("ShaderNodeOutputMaterial")
    shader.inputs["Color"].default_value = (1, 1, 1, 1)
    material.node_tree.links.new(shader.outputs[0], output.inputs[0])
    mesh.materials.append(material)
    thing = bpy.data.objects.new("card", mesh)
    studio.scene.collection.objects.link(thing)
    studio.scene.render.resolution_x = studio.scene.render.resolution_y = 16
    try:
        shot = studio.shoot(intrinsics_from_focal(200.0, 16, 16), look_at(0.2 * normal, np.zeros(3), 0.0), 1)
        seen = shot.stack("Combined", "RGBA")[2:14, 2:14].mean((0, 1))
        assert seen[3] > 0.99
        told = card_irradiance(scene, world.turned, normal[None])[0]
        return float(seen[:3] @ LUMINANCE) * np.pi, float(told)
    finally:
        bpy.data.batch_remove([thing, mesh, material, *blocks])


@pytest.mark.parametrize("name", ["studio_black", "ring_light", "outdoor", "open_sky"])
def test_the_meter_reads_what_a_card_shows(renderer: ClipRenderer, name: str) -> None:
    for index, direction in enumerate(([0.0, 0.2, 1.0], [0.7, -0.1, 0.6])):
        normal = np.array(direction) / np.linalg.norm(direction)
        seen, told = card(renderer.studio, scene_of(name, index), normal)
        assert told == pytest.approx(seen, rel=0.12)


@pytest.mark.parametrize("name", shipped_templates())
def test_no_template_burns_or_crushes_a_person(renderer: ClipRenderer, name: str) -> None:
    """Over eight scenes each, of light and of dark skin in turn: dark looks may be dark, but show the person."""
    clip, _ = person()
    posed = pose_clip(clip, open_head(), 0)
    cameras = clip.cameras
    cameras = dataclasses.replace(
        cameras,
        intrinsics=cameras.intrinsics[:1] * np.array([64 / SIZE, 64 / SIZE, 1])[:, None],
        world_to_camera=cameras.world_to_camera[:1],
        width=64,
        height=64,
    )
    darkest, brightest = (40, 155) if name in ("film", "night") else (75, 215)  # the lightest skin in a bright studio
    for index in range(8):
        appearance = dataclasses.replace(clip.spec.appearance, melanin=(0.05, 0.9)[index % 2])
        spec = dataclasses.replace(clip.spec, scene=scene_of(name, index), appearance=appearance)
        frame = next(renderer.frames(dataclasses.replace(clip, spec=spec, cameras=cameras), posed))
        shown = frame.colour[frame.alpha == 255]
        assert np.mean((shown >= 250).all(axis=1)) < 0.02
        lit = (frame.colour[20:44, 20:44] @ LUMINANCE).ravel()  # of the face
        lit = lit[lit > np.percentile(lit, 40)]  # the half that the light falls on
        assert darkest < np.median(lit) < brightest


def test_the_meter_leaves_skin_tones_apart(renderer: ClipRenderer) -> None:
    """However strong the light is the picture is the same, and dark skin stays darker than light skin."""
    clip, posed = person()
    seen = {}
    for melanin in (0.05, 0.9):
        for power in (5.0, 80.0):
            light = dataclasses.replace(SCENE.lights[0], power_w=power)
            scene = dataclasses.replace(SCENE, lights=(light,), world_strength=power / 40)
            appearance = dataclasses.replace(clip.spec.appearance, melanin=melanin)
            spec = dataclasses.replace(clip.spec, scene=scene, appearance=appearance)
            frame = next(renderer.frames(dataclasses.replace(clip, spec=spec), posed))
            seen[melanin, power] = np.median(frame.colour[36:60, 36:60] @ LUMINANCE)  # the face
    assert seen[0.05, 5.0] == pytest.approx(seen[0.05, 80.0], abs=4)
    assert seen[0.9, 5.0] < 0.75 * seen[0.05, 5.0]


def test_the_sky_is_brightest_at_its_sun_and_lies_where_the_map_says() -> None:
    sky = sky_map(SKY)
    directions = map_directions(len(sky))
    assert np.allclose(sample_map(sky, directions, 0.0), sky, atol=1e-3 * sky.max())
    top = np.unravel_index(np.argmax(sky @ LUMINANCE), sky.shape[:2])
    assert directions[top] @ sun_direction(SKY) > np.cos(np.radians(3))
    away = directions[..., 1] > np.sin(np.radians(50))
    away &= directions @ sun_direction(SKY) < 0.3
    red, _, blue = sky[away].mean(0)
    assert blue > 1.5 * red
    assert np.all(sky >= 0)
    low, high = (sky_map(dataclasses.replace(SKY, sun_elevation_deg=e)).mean() for e in (5.0, 60.0))
    assert low < 0.4 * high


def test_a_users_image_and_map_are_used(renderer: ClipRenderer, tmp_path: Path) -> None:
    Image.fromarray(np.full((30, 90, 3), (200, 40, 90), np.uint8)).save(tmp_path / "wall.png")
    images = AssetFolder(**list_folder(str(tmp_path), tmp_path, IMAGES, "test"))
    (tmp_path / "red.hdr").write_bytes(
        b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 2 +X 4\n" + bytes([128, 8, 8, 129]) * 8
    )
    maps = AssetFolder(**list_folder(str(tmp_path), tmp_path, (".hdr",), "test"))
    scene = dataclasses.replace(
        SCENE, lights=(), background="image", background_image="wall.png", world_map="red.hdr",
        background_image_sha256=images.files["wall.png"], world_map_sha256=maps.files["red.hdr"],
    )  # fmt: skip
    clip, posed = person(scene=scene)
    studio = renderer.studio
    with pytest.raises(UserError, match="no folder of the configuration"):
        next(renderer.frames(clip, posed))
    studio.assets = Assets([images, maps])
    try:
        frame = next(renderer.frames(clip, posed))
        assert not [image for image in studio.bpy.data.images if image.name.startswith(("world", "red"))]
    finally:
        studio.assets = Assets()
    assert np.abs(frame.colour[frame.alpha == 0].astype(int) - (200, 40, 90)).max() <= 1
    red, green, _ = frame.colour[frame.alpha == 255].mean(0)
    assert red > 3 * green


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    folder = AssetFolder(**list_folder(str(tmp_path), tmp_path, IMAGES, "test"))
    assets, sha256 = Assets([folder]), folder.files["a.png"]
    assert assets.file("a.png", sha256) == tmp_path / "a.png"
    other = AssetFolder(path=str(tmp_path), files={"b.png": sha256})
    with pytest.raises(UserError, match=r"b\.png: cannot be read.*every machine"):
        Assets([other]).file("b.png", sha256)
    (tmp_path / "b.png").write_bytes(b"something else")
    with pytest.raises(UserError, match=r"b\.png: has changed"):
        Assets([other]).file("b.png", sha256)
