"""A clear sky with its sun, in closed form, so that every engine and the background show the same.

Preetham, Shirley and Smits 1999, "A practical analytic model for daylight": the sky's distribution by Perez et
al. 1993, its zenith, and the sun's attenuation by air and haze. Light is in units of 20 kcd/m², in which a white card
in full sun is about 1.5.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.clip import Sky

Array = NDArray[Any]

HEIGHT = 256
"""Rows of the sky's map; twice as many columns."""

_UNIT_KCD = 20.0
_SUN_KLX = 128.0
"""Illuminance by the sun above the atmosphere."""
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
_WAVELENGTH_UM = np.array([0.65, 0.55, 0.45])
"""Of red, green and blue light, in the attenuation."""

# Perez' five coefficients of Y, x and y: slope and offset over turbidity.
_PEREZ = np.array([
    [(0.1787, -1.4630), (-0.3554, 0.4275), (-0.0227, 5.3251), (0.1206, -2.5771), (-0.0670, 0.3703)],
    [(-0.0193, -0.2592), (-0.0665, 0.0008), (-0.0004, 0.2125), (-0.0641, -0.8989), (-0.0033, 0.0452)],
    [(-0.0167, -0.2608), (-0.0950, 0.0092), (-0.0079, 0.2102), (-0.0441, -1.6537), (-0.0109, 0.0529)],
])  # fmt: skip
# The zenith's chromaticity: rows are powers 2, 1, 0 of turbidity, columns powers 3 to 0 of the sun's zenith angle.
_ZENITH_X = np.array([
    [0.00166, -0.00375, 0.00209, 0.0], [-0.02903, 0.06377, -0.03202, 0.00394], [0.11693, -0.21196, 0.06052, 0.25886],
])  # fmt: skip
_ZENITH_Y = np.array([
    [0.00275, -0.00610, 0.00317, 0.0], [-0.04214, 0.08970, -0.04153, 0.00516], [0.15346, -0.26756, 0.06670, 0.26688],
])  # fmt: skip
_XYZ_TO_RGB = np.array([
    [3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560], [0.0556434, -0.2040259, 1.0572252],
])  # fmt: skip


def sun_direction(sky: Sky) -> Array:
    """Unit vector [3] from the head to the sun, world axes."""
    azimuth, elevation = np.radians([sky.sun_azimuth_deg, sky.sun_elevation_deg])
    return np.array([np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)])


def sun_irradiance(sky: Sky) -> Array:
    """Linear Rec.709 [3], on a surface that faces the sun."""
    zenith_deg = 90 - sky.sun_elevation_deg
    # Relative air mass by Kasten 1965, as Preetham gives it.
    air = 1 / (np.cos(np.radians(zenith_deg)) + 0.15 * (93.885 - zenith_deg) ** -1.253)
    rayleigh = 0.008735 * _WAVELENGTH_UM**-4.08
    haze = (0.04608 * sky.turbidity - 0.04586) * _WAVELENGTH_UM**-1.3
    light: Array = _SUN_KLX / _UNIT_KCD * np.exp(-air * (rayleigh + haze))
    return light


def sky_map(sky: Sky) -> Array:
    """Radiance without the sun's disc, float32 [HEIGHT, 2 HEIGHT, 3], equirectangular as world maps are."""
    directions = map_directions(HEIGHT)
    upper = directions.copy()
    upper[..., 1] = np.maximum(upper[..., 1], 0.01)  # the horizon's light goes on a little below it
    upper /= np.linalg.norm(upper, axis=-1, keepdims=True)
    light = _sky_radiance(sky, upper)
    area = np.cos(np.linspace(np.pi / 2, -np.pi / 2, HEIGHT, endpoint=False) - np.pi / HEIGHT / 2)
    area *= np.pi / HEIGHT * 2 * np.pi / (2 * HEIGHT)
    above = np.maximum(directions[..., 1], 0) * area[:, None]
    level = (light * above[..., None]).sum((0, 1)) + sun_irradiance(sky) * sun_direction(sky)[1]
    ground = np.asarray(sky.ground) * level / np.pi
    share = np.clip(directions[..., 1:2] / 0.02 + 0.5, 0, 1)
    result: Array = (ground * (1 - share) + light * share).astype(np.float32)
    return result


def map_directions(height: int) -> Array:
    """World directions [height, 2 height, 3] of an equirectangular map's pixel centres, in Blender's mapping."""
    elevation = (0.5 - (np.arange(height) + 0.5) / height) * np.pi
    azimuth = (0.5 - (np.arange(2 * height) + 0.5) / (2 * height)) * 2 * np.pi  # about Blender's Z, from its X
    level = np.cos(elevation)[:, None]
    up = np.broadcast_to(np.sin(elevation)[:, None], (height, 2 * height))
    return np.stack([level * np.cos(azimuth), up, -level * np.sin(azimuth)], axis=-1)


def _sky_radiance(sky: Sky, directions: Array) -> Array:
    turbidity = sky.turbidity
    sun = sun_direction(sky)
    zenith_angle = np.arccos(sun[1])
    chi = (4 / 9 - turbidity / 120) * (np.pi - 2 * zenith_angle)
    powers = np.array([turbidity**2, turbidity, 1.0])
    angles = zenith_angle ** np.array([3, 2, 1, 0])
    zenith = [
        max((4.0453 * turbidity - 4.9710) * np.tan(chi) - 0.2155 * turbidity + 2.4192, 0.05),
        powers @ _ZENITH_X @ angles,
        powers @ _ZENITH_Y @ angles,
    ]
    cosine = directions[..., 1]
    to_sun = np.clip(directions @ sun, -1, 1)
    luminance, x, y = (
        value * _perez(table, turbidity, cosine, to_sun) / _perez(table, turbidity, np.ones(()), np.asarray(sun[1]))
        for value, table in zip(zenith, _PEREZ, strict=True)
    )
    xyz = np.stack([x / y * luminance, luminance, (1 - x - y) / y * luminance], axis=-1)
    light: Array = np.maximum(xyz @ _XYZ_TO_RGB.T, 0) / _UNIT_KCD
    return light


def _perez(table: Array, turbidity: float, cosine: Array, to_sun: Array) -> Array:
    a, b, c, d, e = table[:, 0] * turbidity + table[:, 1]
    spread: Array = (1 + a * np.exp(b / cosine)) * (1 + c * np.exp(d * np.arccos(to_sun)) + e * to_sun**2)
    return spread
