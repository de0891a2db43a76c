"""Frames: the same whatever came before, with hair where there is hair and a background where there is none."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys
from collections.abc import Iterable

import numpy as np
import pytest

from datagen.blender.renderer import ClipRenderer, RenderedFrame, noise_seed
from manifests.errors import UserError
from tests.datagen.blender.people import SCENE, SIZE, person
from tests.datagen.geometry.scenes import sphere_clip


def digest(frames: Iterable[RenderedFrame]) -> str:
    total = hashlib.sha256()
    for frame in frames:
        for array in (frame.colour, frame.alpha, frame.coverage["hair"]):
            total.update(array.tobytes())
    return total.hexdigest()


def first_clip(renderer: ClipRenderer) -> str:
    return digest(renderer.frames(*person("short", frames=2)))


def test_order_and_shapes(renderer: ClipRenderer) -> None:
    frames = list(renderer.frames(*person(frames=2)))
    assert [(frame.frame, frame.view) for frame in frames] == [(t, v) for t in (0, 1) for v in (0, 1, 2)]
    for frame in frames:
        assert frame.colour.shape == (SIZE, SIZE, 3)
        assert frame.colour.dtype == np.uint8
        assert frame.alpha.shape == (SIZE, SIZE)
        assert frame.alpha.dtype == np.uint8
        assert frame.coverage["hair"].shape == (SIZE, SIZE)
        assert frame.coverage["hair"].dtype == np.float32


def test_same_clip_same_bytes_whatever_came_between(renderer: ClipRenderer) -> None:
    once = first_clip(renderer)
    list(renderer.frames(*person("bob", identity=2, scene=dataclasses.replace(SCENE, world_map="studio.exr"))))
    assert first_clip(renderer) == once


def test_same_clip_same_bytes_in_another_process_with_two_threads(renderer: ClipRenderer) -> None:
    program = (
        "from datagen.blender.renderer import ClipRenderer\n"
        "from tests.datagen.blender.conftest import SETTINGS\n"
        "from tests.datagen.blender.test_renderer import first_clip\n"
        "print(first_clip(ClipRenderer(SETTINGS, threads=2)))"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert other.stdout == first_clip(renderer) + "\n"  # and nothing of what Blender prints


def test_an_abandoned_clip_leaves_nothing_behind(renderer: ClipRenderer) -> None:
    blocks = renderer.studio.bpy.data
    before = {thing.name for thing in blocks.objects}  # cameras, of this renderer and any other of the process
    frames = renderer.frames(*person("short", frames=2))
    next(frames)
    assert blocks.meshes
    assert blocks.hair_curves
    frames.close()
    assert not blocks.meshes
    assert not blocks.hair_curves
    assert not blocks.materials
    assert not blocks.lights
    assert {thing.name for thing in blocks.objects} == before
    assert all(name.startswith("camera") for name in before)


def test_hair_only_where_there_is_hair(renderer: ClipRenderer) -> None:
    bald = next(renderer.frames(*person("bald")))
    short = next(renderer.frames(*person("short")))
    assert bald.coverage["hair"].max() == 0
    assert short.coverage["hair"].max() > 0.9
    assert np.all(short.coverage["hair"] <= short.alpha / 255 + 0.01)
    rows = np.nonzero(short.coverage["hair"].sum(axis=1) > 1)[0]
    middle = np.nonzero(short.alpha.sum(axis=1))[0].mean()
    assert np.mean(rows) < middle  # it sits on the head, not on the shoulders


def test_background_shows_where_the_person_is_not(renderer: ClipRenderer) -> None:
    scene = dataclasses.replace(SCENE, background="colour")
    black = next(renderer.frames(*person()))
    green = next(renderer.frames(*person(scene=scene)))
    assert np.array_equal(black.alpha, green.alpha)
    outside, inside = black.alpha == 0, black.alpha == 255
    assert outside.any()
    assert inside.any()
    assert np.all(black.colour[outside] == 0)
    linear = np.asarray(scene.background_colour)
    srgb = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    assert np.abs(green.colour[outside] - 255 * srgb).max() <= 1
    assert np.array_equal(black.colour[inside], green.colour[inside])


def test_people_are_neither_burnt_nor_crushed(renderer: ClipRenderer) -> None:
    frame = next(renderer.frames(*person()))
    light = frame.colour[frame.alpha == 255].mean(axis=1)
    assert 40 < np.median(light) < 220
    assert np.mean(light > 250) < 0.02


def test_unknown_world_map_is_named(renderer: ClipRenderer) -> None:
    scene = dataclasses.replace(SCENE, world_map="attic.exr")
    with pytest.raises(UserError, match=r"world_map: 'attic\.exr'.*studio\.exr"):
        next(renderer.frames(*person(scene=scene)))


def test_noise_differs_between_pictures() -> None:
    spec = sphere_clip(frames=1, views=1, size=8, labels=())[0].spec
    seeds = {noise_seed(dataclasses.replace(spec, index=i), t, v) for i in (0, 1) for t in (0, 1) for v in (0, 1)}
    assert len(seeds) == 8
    assert all(0 <= seed < 2**31 for seed in seeds)
