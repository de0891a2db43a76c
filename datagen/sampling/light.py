"""A render template and a clip index -> the light and background of the clip."""

from __future__ import annotations

import math

from datagen.sampling.streams import draw, unit
from datagen.templates import Light, RenderTemplate
from manifests.clip import AreaLight, Scene


def sample_scene(template: RenderTemplate, seed: int, index: int) -> Scene:
    """The scene of one clip. Each value has its own stream, named after the light and the field."""
    mirrored = unit(seed, "light.mirror", index) < template.mirror_share
    lights = tuple(_area_light(light, name, mirrored, seed, index) for name, light in sorted(template.lights.items()))
    world = template.world
    maps, colours = world.maps, template.background_colours
    return Scene(
        lights=lights,
        world_map=maps[int(unit(seed, "light.world.map", index) * len(maps))] if maps else "",
        world_colour=world.colour,
        world_strength=draw(world.strength, seed, "light.world.strength", index),
        world_rotation_deg=draw(world.rotation_deg, seed, "light.world.rotation", index),
        background=template.background,
        background_colour=(
            colours[int(unit(seed, "light.background", index) * len(colours))] if colours else (0.0, 0.0, 0.0)
        ),
        exposure_ev=draw(template.exposure_ev, seed, "light.exposure", index),
        view_transform=template.view_transform,
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


def _area_light(light: Light, name: str, mirrored: bool, seed: int, index: int) -> AreaLight:
    def value(field: str, limits: tuple[float, float]) -> float:
        return draw(limits, seed, f"light.{name}.{field}", index)

    azimuth = math.radians(value("azimuth", light.azimuth_deg)) * (-1 if mirrored else 1)
    elevation = math.radians(value("elevation", light.elevation_deg))
    distance = value("distance", light.distance_m)
    return AreaLight(
        position=(
            distance * math.sin(azimuth) * math.cos(elevation),
            distance * math.sin(elevation),
            distance * math.cos(azimuth) * math.cos(elevation),
        ),
        power_w=value("power", light.power_w),
        size_m=value("size", light.size_m),
        colour=black_body(value("temperature", light.temperature_k)),
    )
