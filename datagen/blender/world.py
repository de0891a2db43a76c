"""The world: what lights the scene from all around, and what is seen behind the person."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from datagen.asset_files import open_image
from datagen.assets import Assets
from datagen.blender.axes import look_along, points_to_blender
from datagen.blender.meter import metered_gain, shrink
from datagen.blender.nodes import Graph
from datagen.blender.quiet import quiet
from datagen.blender.sky import sky_map, sun_direction, sun_irradiance
from datagen.geometry.cameras import pixel_rays
from manifests.clip import Scene
from manifests.errors import UserError

Array = NDArray[Any]

_BLUR_DEG = 1.6
"""Standard deviation: a portrait lens at f/2 (aperture 40 mm) focused at 0.8 m smears infinity by about 3
degrees."""
_BRIGHTEST = 30.0
"""Cap on what is seen of a lamp or the sun, in multiples of the map's unit; it still lights in full."""
_ROWS = 512
"""Of a user's map, at most; those that ship with Blender have as many."""


@dataclass(frozen=True)
class World:
    """The world of one clip."""

    scene: Scene
    shipped: Path | None
    """Blender's own map, if the scene has one."""
    radiance: Array
    """Equirectangular, float32 [H, W, 3], before rotation and strength; [1, 1, 3] if plain."""
    picture: Path | None
    """The image behind the person."""

    @cached_property
    def gain(self) -> float:
        """Factor from the scene's light to a picture that is exposed as the meter says."""
        return metered_gain(self.scene, self.turned)

    @property
    def turned(self) -> Array:
        """The radiance as it is round the head, rotated and with its strength."""
        scene = self.scene
        columns = round(scene.world_rotation_deg / 360 * self.radiance.shape[1]) if self.turns else 0
        return np.roll(self.radiance, -columns, axis=1) * np.float32(scene.world_strength)

    @property
    def turns(self) -> bool:
        """A sky does not: its sun has a direction."""
        return self.scene.sky is None

    @cached_property
    def blurred(self) -> Array:
        """The map as it is seen behind the person."""
        return _blurred(str(self.shipped)) if self.shipped else out_of_focus(self.radiance)


def open_world(bpy: Any, scene: Scene, folder: Path, assets: Assets) -> World:
    """The world of a scene; ``folder`` holds the maps that ship with Blender.

    Raises UserError when a map or an image does not exist, or is not what it was.
    """
    shipped, radiance = None, np.asarray(scene.world_colour, np.float32)[None, None]
    if scene.sky is not None:
        radiance = sky_map(scene.sky)
    elif scene.world_map_sha256:
        radiance = _user_map(bpy, str(assets.file(scene.world_map, scene.world_map_sha256)), scene.world_map_sha256)
    elif scene.world_map:
        shipped = map_path(folder, scene.world_map)
        radiance = _shipped_map(str(shipped))
    image = scene.background_image
    return World(scene, shipped, radiance, assets.file(image, scene.background_image_sha256) if image else None)


def map_path(folder: Path, name: str) -> Path:
    """A world map shipped with Blender. Raises UserError when there is none of that name."""
    path = folder / name
    if not path.is_file():
        names = ", ".join(sorted(file.name for file in folder.glob("*.exr")))
        raise UserError(f"scene.world_map: {name!r} does not ship with Blender; use one of {names}")
    return path


def light_world(bpy: Any, scene: Any, world: World, centre: Array) -> list[Any]:
    """Light Blender's ``scene``, with the head's ``centre`` [3], by the world. Returns the data blocks it made."""
    look, blender = world.scene, scene.world
    blender.use_nodes = True
    blender.cycles.sampling_method = "MANUAL"
    blender.cycles.sample_map_resolution = 512
    graph = Graph(blender.node_tree)
    colour: Any = look.world_colour
    blocks: list[Any] = []
    if world.radiance.shape[0] > 1:
        if world.shipped:
            image = bpy.data.images.load(str(world.shipped), check_existing=True)
        else:
            image = _image(bpy, world.radiance)
            blocks.append(image)
        direction = graph.add("TexCoord").outputs["Generated"]
        turn = (0.0, 0.0, -np.deg2rad(look.world_rotation_deg) if world.turns else 0.0)
        turned = graph.add("Mapping", vector_type="POINT", named={"Vector": direction, "Rotation": turn})
        colour = graph.add("TexEnvironment", turned.outputs[0], image=image).outputs[0]
    background = graph.add("Background", colour, float(look.world_strength))
    graph.add("OutputWorld", background.outputs[0])
    if look.sky is not None:
        light = sun_irradiance(look.sky) * look.world_strength
        lamp = bpy.data.lights.new("sun", "SUN")
        lamp.energy = float(light.max())
        lamp.color = light / max(float(light.max()), 1e-9)
        lamp.angle = np.deg2rad(look.sky.sun_size_deg)
        sun = bpy.data.objects.new("sun", lamp)
        scene.collection.objects.link(sun)
        look_along(sun, centre + sun_direction(look.sky), centre)
        blocks += [sun, lamp]
    return blocks


def background_colour(world: World, intrinsics: Array, world_to_camera: Array, width: int, height: int) -> Array:
    """Linear light behind the person, before exposure: [3] for a plain background, else [H, W, 3].

    A colour or an image is lit as the meter wants it: an exposure of 0 shows it as it is.
    """
    scene = world.scene
    if scene.background == "image" and world.picture:
        return _fitted(str(world.picture), width, height, scene.background_blur) / np.float32(world.gain)
    if scene.background == "colour":
        return np.asarray(scene.background_colour, np.float32) / np.float32(world.gain)
    if scene.background != "world":
        return np.zeros(3, np.float32)
    if world.radiance.shape[0] == 1:
        return world.radiance[0, 0] * np.float32(scene.world_strength)
    directions = pixel_rays(intrinsics, world_to_camera, height, width)
    seen = sample_map(world.blurred, directions, scene.world_rotation_deg if world.turns else 0.0)
    return seen * np.float32(scene.world_strength)


def sample_map(image: Array, directions: Array, rotation_deg: float) -> Array:
    """Equirectangular ``image`` [H, W, 3] along world directions [..., 3] (any length), bilinear.

    The mapping is Blender's. A positive rotation turns the map counter-clockwise as seen from above.
    """
    x, y, z = np.moveaxis(points_to_blender(directions), -1, 0)
    azimuth = np.arctan2(y, x) - np.float32(np.deg2rad(rotation_deg))
    height, width = image.shape[:2]
    column = (0.5 - azimuth / (2 * np.pi)) * width - 0.5
    row = (0.5 - np.arctan2(z, np.hypot(x, y)) / np.pi) * height - 0.5
    left, top = np.floor(column), np.floor(row)
    right_share, lower_share = (column - left)[..., None], (row - top)[..., None]
    columns = [(left.astype(int) + k) % width for k in (0, 1)]
    rows = [np.clip(top.astype(int) + k, 0, height - 1) for k in (0, 1)]
    upper, lower = (image[r, columns[0]] * (1 - right_share) + image[r, columns[1]] * right_share for r in rows)
    return (upper * (1 - lower_share) + lower * lower_share).astype(np.float32)


def out_of_focus(image: Array) -> Array:
    """A map as it is seen behind the person, [H, W, 3] at half its resolution."""
    image = np.minimum(image, np.float32(_BRIGHTEST))
    image = (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4
    sigma = _BLUR_DEG / 180 * len(image)
    image = gaussian_filter1d(image, sigma, axis=1, mode="wrap")
    return gaussian_filter1d(image, sigma, axis=0, mode="nearest").astype(np.float32)


@lru_cache(maxsize=8)
def _blurred(path: str) -> Array:
    return out_of_focus(_shipped_map(path))


@lru_cache(maxsize=8)
def _shipped_map(path: str) -> Array:
    with OpenEXR.File(path) as file:
        return np.asarray(file.channels()["RGB"].pixels, np.float32)


_BRIGHTEST_READ = np.float32(65_504)
"""The largest half float: what a map in 16 bits can hold."""


@lru_cache(maxsize=4)
def _user_map(bpy: Any, path: str, sha256: str) -> Array:
    """A user's map, float32 [H, W, 3] with an even number of rows and columns; ``sha256`` tells contents apart."""
    with quiet(1, 2):
        image = bpy.data.images.load(path, check_existing=False)
        read = len(image.pixels)
    try:
        width, height = image.size
        if width < 2 or height < 2 or read != width * height * image.channels:
            raise UserError(f"{path}: Blender cannot read this map; replace it or take it away")
        pixels = np.empty(width * height * image.channels, np.float32)
        image.pixels.foreach_get(pixels)
        channels = image.channels
    finally:
        bpy.data.images.remove(image)
    light = pixels.reshape(height, width, channels)[::-1, :, :3]
    light = shrink(np.minimum(np.nan_to_num(light, nan=0.0, neginf=0.0), _BRIGHTEST_READ), _ROWS)
    light = np.maximum(light[: len(light) // 2 * 2, : light.shape[1] // 2 * 2], 0)
    if not light.size or light.shape[2] != 3:
        raise UserError(f"{path}: is too small, or not in colour; replace it or take it away")
    if not light.any():
        raise UserError(f"{path}: is all black; replace it or take it away")
    return np.ascontiguousarray(light, np.float32)


def _image(bpy: Any, radiance: Array) -> Any:
    height, width = radiance.shape[:2]
    image = bpy.data.images.new("world", width, height, alpha=False, float_buffer=True)
    image.colorspace_settings.name = "Linear Rec.709"
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :3] = radiance[::-1]
    image.pixels.foreach_set(rgba.ravel())
    image.update()
    return image


@lru_cache(maxsize=4)
def _fitted(path: str, width: int, height: int, blur: float) -> Array:
    """An image that covers the frame, blurred, as linear light [H, W, 3]."""
    from PIL import Image, ImageOps

    fitted = ImageOps.fit(open_image(Path(path)), (width, height), Image.Resampling.BOX)
    encoded = np.asarray(fitted, np.float32) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    sigma = blur * height
    return gaussian_filter(linear, (sigma, sigma, 0), mode="nearest").astype(np.float32)
