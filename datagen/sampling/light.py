"""A render template and a clip index -> the light and background of the clip."""

from __future__ import annotations

import math

from datagen.sampling.streams import draw, unit
from datagen.templates import Light, RenderTemplate, World
from manifests.clip import AreaLight, Scene, Sky

RING = 12
"""Lights in a ring."""


def sample_scene(template: RenderTemplate, seed: int, index: int) -> Scene:
    """The scene of one clip. Each value has its own stream, named after the light and the field."""
    mirrored = unit(seed, "light.mirror", index) < template.mirror_share
    lights = [
        lamp
        for name, light in sorted(template.lights.items())
        for lamp in _area_lights(light, name, mirrored, seed, index)
    ]
    world, colours, images = template.world, template.background_colours, template.background_folder
    world_map, world_map_sha256 = _world_map(world, unit(seed, "light.world.map", index))
    image, image_sha256 = images.choose(unit(seed, "light.background.image", index)) if images else ("", "")
    return Scene(
        lights=tuple(lights),
        world_map=world_map,
        world_colour=world.colour,
        world_strength=draw(world.strength, seed, "light.world.strength", index),
        world_rotation_deg=draw(world.rotation_deg, seed, "light.world.rotation", index),
        background=template.background,
        background_colour=(
            colours[int(unit(seed, "light.background", index) * len(colours))] if colours else (0.0, 0.0, 0.0)
        ),
        exposure_ev=draw(template.exposure_ev, seed, "light.exposure", index),
        view_transform=template.view_transform,
        world_map_sha256=world_map_sha256,
        sky=_sky(world, mirrored, seed, index),
        background_image=image,
        background_image_sha256=image_sha256,
        background_blur=draw(template.background_blur, seed, "light.background.blur", index) if image else 0.0,
    )


def black_body(temperature_k: float) -> tuple[float, float, float]:
    """Linear Rec.709 colour of a black body, the greatest channel 1; 6500 K is near white.

    The Planckian locus by Kim et al. 2002 (US patent 7024034), valid for 1667 to 25000 K.
    """
    t = 1000.0 / temperature_k
    if temperature_k <= 4000:
        x = -0.2661239 * t**3 - 0.2343589 * t**2 + 0.8776956 * t + 0.179910
    else:
        x = -3.0258469 * t**3 + 2.1070379 * t**2 + 0.2226347 * t + 0.240390
    if temperature_k <= 2222:
        y = -1.1063814 * x**3 - 1.34811020 * x**2 + 2.18555832 * x - 0.20219683
    elif temperature_k <= 4000:
        y = -0.9549476 * x**3 - 1.37418593 * x**2 + 2.09137015 * x - 0.16748867
    else:
        y = 3.0817580 * x**3 - 5.87338670 * x**2 + 3.75112997 * x - 0.37001483
    big_x, big_z = x / y, (1 - x - y) / y
    # XYZ with Y = 1 to linear Rec.709 (ITU-R BT.709, D65).
    red = 3.2404542 * big_x - 1.5371385 - 0.4985314 * big_z
    green = -0.9692660 * big_x + 1.8760108 + 0.0415560 * big_z
    blue = 0.0556434 * big_x - 0.2040259 + 1.0572252 * big_z
    top = max(red, green, blue)
    return (max(red, 0.0) / top, max(green, 0.0) / top, max(blue, 0.0) / top)


def _world_map(world: World, u: float) -> tuple[str, str]:
    """File name and, of a user's map, SHA-256."""
    pool: list[tuple[str, str]] = [(name, "") for name in world.maps]
    pool += sorted(world.folder.files.items()) if world.folder else []
    return pool[int(u * len(pool))] if pool else ("", "")


def _sky(world: World, mirrored: bool, seed: int, index: int) -> Sky | None:
    sky = world.sky
    if sky is None:
        return None
    azimuth = draw(sky.sun_azimuth_deg, seed, "light.sky.azimuth", index)
    return Sky(
        sun_elevation_deg=draw(sky.sun_elevation_deg, seed, "light.sky.elevation", index),
        sun_azimuth_deg=-azimuth if mirrored else azimuth,
        sun_size_deg=draw(sky.sun_size_deg, seed, "light.sky.size", index),
        turbidity=draw(sky.turbidity, seed, "light.sky.turbidity", index),
        ground=sky.ground,
    )


def _area_lights(light: Light, name: str, mirrored: bool, seed: int, index: int) -> list[AreaLight]:
    def value(field: str, limits: tuple[float, float]) -> float:
        return draw(limits, seed, f"light.{name}.{field}", index)

    azimuth = math.radians(value("azimuth", light.azimuth_deg)) * (-1 if mirrored else 1)
    elevation = math.radians(value("elevation", light.elevation_deg))
    distance, radius = value("distance", light.distance_m), value("ring", light.ring_m) / 2
    size = value("size", light.size_m)
    red, green, blue = black_body(value("temperature", light.temperature_k))
    if light.gels:
        gel = light.gels[int(value("gel", (0.0, 1.0)) * len(light.gels))]
        red, green, blue = red * gel[0], green * gel[1], blue * gel[2]
    count = RING if radius else 1
    lamps = []
    for k in range(count):
        turn = 2 * math.pi * k / count
        aside, up = radius * math.cos(turn), radius * math.sin(turn)  # in the plane across the line to the head
        ahead, height = math.cos(elevation), math.sin(elevation)
        level = distance * ahead - up * height
        lamps.append(
            AreaLight(
                position=(
                    level * math.sin(azimuth) + aside * math.cos(azimuth),
                    distance * height + up * ahead,
                    level * math.cos(azimuth) - aside * math.sin(azimuth),
                ),
                power_w=value("power", light.power_w) / count,
                size_m=size,
                colour=(red, green, blue),
            )
        )
    return lamps
