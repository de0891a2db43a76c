"""The world map: what lights the scene from all around, and what is seen behind the person."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from datagen.blender.axes import points_to_blender
from datagen.blender.nodes import Graph
from datagen.geometry.cameras import pixel_rays
from manifests.clip import Scene
from manifests.errors import UserError

Array = NDArray[Any]

_BLUR_DEG = 1.6
"""Standard deviation: a portrait lens at f/2 (aperture 40 mm) focused at 0.8 m smears infinity by about 3
degrees."""
_BRIGHTEST = 30.0
"""Cap on what is seen of a lamp or the sun, in multiples of the map's unit; it still lights in full."""


def map_path(folder: Path, name: str) -> Path:
    """A world map shipped with Blender. Raises UserError when there is none of that name."""
    path = folder / name
    if not path.is_file():
        names = ", ".join(sorted(file.name for file in folder.glob("*.exr")))
        raise UserError(f"scene.world_map: {name!r} does not ship with Blender; use one of {names}")
    return path


def light_world(bpy: Any, world: Any, scene: Scene, folder: Path) -> None:
    """Light ``world`` by the clip's map, or by its plain colour."""
    world.use_nodes = True
    world.cycles.sampling_method = "MANUAL"
    world.cycles.sample_map_resolution = 512
    graph = Graph(world.node_tree)
    colour: Any = scene.world_colour
    if scene.world_map:
        image = bpy.data.images.load(str(map_path(folder, scene.world_map)), check_existing=True)
        direction = graph.add("TexCoord").outputs["Generated"]
        turn = (0.0, 0.0, -np.deg2rad(scene.world_rotation_deg))
        turned = graph.add("Mapping", vector_type="POINT", named={"Vector": direction, "Rotation": turn})
        colour = graph.add("TexEnvironment", turned.outputs[0], image=image).outputs[0]
    background = graph.add("Background", colour, float(scene.world_strength))
    graph.add("OutputWorld", background.outputs[0])


def background_colour(
    scene: Scene, folder: Path, intrinsics: Array, world_to_camera: Array, width: int, height: int
) -> Array:
    """Linear light behind the person: [3] for a plain background, [H, W, 3] for the blurred world."""
    if scene.background == "black":
        return np.zeros(3, np.float32)
    if scene.background == "colour":
        return np.asarray(scene.background_colour, np.float32)
    if not scene.world_map:
        return np.asarray(scene.world_colour, np.float32) * np.float32(scene.world_strength)
    directions = pixel_rays(intrinsics, world_to_camera, height, width)
    seen = sample_map(_blurred(str(map_path(folder, scene.world_map))), directions, scene.world_rotation_deg)
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


@lru_cache(maxsize=8)
def _blurred(path: str) -> Array:
    """The map out of focus, [H, W, 3] at half its resolution."""
    with OpenEXR.File(path) as file:
        image = np.minimum(np.asarray(file.channels()["RGB"].pixels, np.float32), _BRIGHTEST)
    image = (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4
    sigma = _BLUR_DEG / 180 * len(image)
    image = gaussian_filter1d(image, sigma, axis=1, mode="wrap")
    return gaussian_filter1d(image, sigma, axis=0, mode="nearest").astype(np.float32)
