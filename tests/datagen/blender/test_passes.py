"""The rasteriser and Blender's own passes, two routes to depth and normals, must agree in any camera."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from datagen.blender.axes import points_to_blender
from datagen.blender.film import Exposure
from datagen.blender.renderer import ClipRenderer
from datagen.blender.studio import Studio
from datagen.geometry.cameras import camera_centre, pixel_rays
from datagen.geometry.normals import shading_normals, vertex_normals
from datagen.geometry.raster import View
from tests.datagen.blender.people import SIZE, person, views
from tests.datagen.geometry.scenes import cameras_around, sphere

Array = NDArray[Any]


@pytest.fixture
def studio(renderer: ClipRenderer) -> Iterator[Studio]:
    """The studio with one unfiltered sample a pixel, through its centre, and plain shading normals."""
    studio = renderer.studio
    scene, layer = studio.scene, studio.scene.view_layers[0]
    before = scene.cycles.samples, scene.cycles.filter_width, scene.cycles.use_denoising
    scene.cycles.samples, scene.cycles.filter_width, scene.cycles.use_denoising = 1, 0.01, False
    layer.use_pass_z = layer.use_pass_normal = True
    layer.material_override = studio.bpy.data.materials.new("plain")
    yield studio
    studio.clear()
    studio.bpy.data.materials.remove(layer.material_override)
    layer.use_pass_z = layer.use_pass_normal = False
    scene.cycles.samples, scene.cycles.filter_width, scene.cycles.use_denoising = before


def world_normals(exposure: Exposure) -> Array:
    """Blender's axes back to the world's: the inverse of ``points_to_blender``."""
    x, y, z = np.moveaxis(exposure.stack("Normal", "XYZ"), -1, 0)
    return np.stack([x, z, -y], axis=-1)


def angles_deg(a: Array, b: Array) -> Array:
    return np.degrees(np.arccos(np.clip(np.sum(a * b, axis=-1), -1, 1)))


@pytest.mark.parametrize("view", range(3))
def test_depth_and_normals_agree_with_the_rasteriser(studio: Studio, view: int) -> None:
    clip, posed = person(frames=2)
    intrinsics, world_to_camera = views()[view]
    studio.open(clip, posed)
    studio.pose(1)
    exposure = studio.shoot(intrinsics, world_to_camera, 1)
    vertices, faces = posed.vertices[1], posed.surface.faces
    hits = View(vertices, faces, intrinsics, world_to_camera).hits(SIZE, SIZE)
    normals = hits.picture(shading_normals(hits, faces, vertex_normals(vertices, faces)))
    depth = exposure.value("Depth")
    both = hits.mask & (depth < 100)
    assert both.sum() > 0.98 * hits.mask.sum() > 500
    apart_m = np.abs(hits.picture(hits.depth) - depth)[both]
    apart_deg = angles_deg(normals, world_normals(exposure))[both]
    assert np.median(apart_m) < 1e-4
    assert np.mean(apart_m < 1e-3) > 0.98
    assert np.median(apart_deg) < 0.5
    assert np.mean(apart_deg < 5) > 0.95


def test_sphere_has_its_known_normals_in_every_camera(studio: Studio) -> None:
    vertices, faces = sphere(5)
    mesh = studio.bpy.data.meshes.new("ball")
    mesh.from_pydata(points_to_blender(vertices).tolist(), [], faces.tolist())
    mesh.polygons.foreach_set("use_smooth", np.ones(len(faces), bool))
    ball = studio.bpy.data.objects.new("ball", mesh)
    studio.scene.collection.objects.link(ball)
    studio.scene.render.resolution_x = studio.scene.render.resolution_y = SIZE
    try:
        for intrinsics, world_to_camera in cameras_around(5, seed=4, size=SIZE):
            exposure = studio.shoot(intrinsics, world_to_camera, 1)
            rays, origin = pixel_rays(intrinsics, world_to_camera, SIZE, SIZE), camera_centre(world_to_camera)
            depth = exposure.value("Depth")
            seen = depth < 100
            assert seen.sum() > 300
            points = origin + depth[seen, None] * rays[seen]
            assert np.abs(np.linalg.norm(points, axis=1) - 0.1).max() < 1e-3
            true = points / np.linalg.norm(points, axis=1, keepdims=True)
            assert np.median(angles_deg(true, world_normals(exposure)[seen])) < 0.5
    finally:
        studio.bpy.data.batch_remove([ball, mesh])


@pytest.mark.parametrize("view", range(3))
def test_silhouette_agrees_with_alpha(studio: Studio, view: int) -> None:
    clip, posed = person()
    intrinsics, world_to_camera = views()[view]
    studio.open(clip, posed)
    studio.pose(0)
    alpha = studio.shoot(intrinsics, world_to_camera, 1).stack("Combined", "A")[..., 0] > 0.5
    mask = View(posed.vertices[0], posed.surface.faces, intrinsics, world_to_camera).hits(SIZE, SIZE).mask
    assert (alpha & mask).sum() > 0.99 * (alpha | mask).sum()
