from pathlib import Path

import numpy as np
import pytest

from datagen.sampling.light import RING, black_body, sample_scene
from datagen.templates import Light, RenderTemplate, World, load_template, shipped_templates, template_path


def test_black_bodies_have_their_known_colours() -> None:
    assert black_body(6500) == pytest.approx((1, 1, 1), abs=0.08)
    red, green, blue = black_body(3000)  # sRGB about (255, 180, 107), linear (1, 0.46, 0.15)
    assert red == 1
    assert green == pytest.approx(0.46, abs=0.03)
    assert blue == pytest.approx(0.15, abs=0.03)
    red, green, blue = black_body(12000)
    assert blue == 1
    assert red < green < 1
    assert min(black_body(1700)) >= 0


@pytest.mark.parametrize("name", shipped_templates())
def test_scenes_stay_in_their_template(name: str) -> None:
    template = load_template(template_path(name, Path("."), "test"))
    for index in range(50):
        scene = sample_scene(template, 1, index)
        rings = [RING if ranges.ring_m[1] else 1 for _, ranges in sorted(template.lights.items())]
        assert len(scene.lights) == sum(rings)
        starts = np.cumsum(rings) - rings
        for start, count, (_, ranges) in zip(starts, rings, sorted(template.lights.items()), strict=True):
            lamps = scene.lights[start : start + count]
            position = np.mean([lamp.position for lamp in lamps], axis=0)
            distance = np.linalg.norm(position)
            assert ranges.distance_m[0] - 1e-9 <= distance <= ranges.distance_m[1] + 1e-9
            assert ranges.power_w[0] <= sum(lamp.power_w for lamp in lamps) * (1 + 1e-9)
            assert sum(lamp.power_w for lamp in lamps) <= ranges.power_w[1] * (1 + 1e-9)
            assert max(lamp.size_m for lamp in lamps) <= ranges.size_m[1]
            radii = [np.linalg.norm(np.subtract(lamp.position, position)) for lamp in lamps]
            assert np.allclose(radii, radii[0], atol=1e-9)
            assert ranges.ring_m[0] - 1e-9 <= 2 * radii[0] <= ranges.ring_m[1] + 1e-9
            elevation = np.degrees(np.arcsin(position[1] / distance))
            assert ranges.elevation_deg[0] - 1e-6 <= elevation <= ranges.elevation_deg[1] + 1e-6
        assert scene.world_map in template.world.maps or (scene.world_map == "" and not template.world.maps)
        assert scene.background == template.background
        if scene.background == "colour":
            assert scene.background_colour in template.background_colours


def light(**ranges: tuple[float, float]) -> Light:
    return Light(**({"azimuth_deg": (30.0, 60.0), "elevation_deg": (0.0, 30.0), "power_w": (10.0, 20.0)} | ranges))


def test_mirroring_flips_every_light_in_its_share_of_the_clips() -> None:
    template = RenderTemplate(lights={"key": light(), "fill": light(azimuth_deg=(-50.0, -40.0))}, mirror_share=0.3)
    scenes = [sample_scene(template, 1, index) for index in range(1000)]
    mirrored = [scene.lights[1].position[0] < 0 for scene in scenes]
    assert np.mean(mirrored) == pytest.approx(0.3, abs=0.05)
    assert all(scene.lights[0].position[0] * scene.lights[1].position[0] < 0 for scene in scenes)


def test_a_change_of_one_light_leaves_the_rest() -> None:
    one = RenderTemplate(lights={"key": light()}, world=World(maps=("city.exr", "night.exr")))
    two = RenderTemplate(
        lights={"fill": light(), "key": light(power_w=(1.0, 2.0))},
        world=World(maps=("city.exr", "night.exr")),
    )
    for index in range(5):
        before, after = sample_scene(one, 1, index), sample_scene(two, 1, index)
        assert before.lights[0].position == after.lights[1].position
        assert before.lights[0].power_w != after.lights[1].power_w
        assert (before.world_map, before.world_rotation_deg) == (after.world_map, after.world_rotation_deg)
