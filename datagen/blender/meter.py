"""A light meter at the face: how bright a grey card there would be, whatever skin stands behind it.

It reads the irradiance that lights and world give surfaces in front of the face, in closed form, so the exposure is
part of what a scene is and costs no picture. Shadows that the person casts on itself are left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.blender.sky import map_directions, sun_direction, sun_irradiance
from manifests.clip import Scene

Array = NDArray[Any]

LOWEST_GAIN, HIGHEST_GAIN = 2.0**-10, 2.0**10

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
_ROWS = 32
_CARDS = 64


def metered_gain(scene: Scene, radiance: Array) -> float:
    """Factor on the scene's light that exposes the face: a grey card of 18 % comes to lie at 0.18 of display white,
    before the view transform.

    ``radiance`` [H, W, 3] is the world's, rotated and with its strength (``World.turned``). The irradiance is the
    root mean square over cards that face the front half space, the more those that look ahead: between an average,
    by which a strong side light would burn, and the brightest card, by which a lit edge would leave the face dark.
    """
    cards = _cards()
    irradiance = np.sqrt(np.average(card_irradiance(scene, radiance, cards) ** 2, weights=cards[:, 2]))
    return float(np.clip(np.pi / max(float(irradiance), 1e-9), LOWEST_GAIN, HIGHEST_GAIN))


def card_irradiance(scene: Scene, radiance: Array, normals: Array) -> Array:
    """Irradiance [N] (Rec.709 luminance) of small cards at the head's centre with these unit normals [N, 3]."""
    small = shrink(radiance, _ROWS)
    if small.shape[0] == 1:
        total = np.full(len(normals), np.pi * float(small[0, 0] @ _LUMINANCE))
    else:
        directions = map_directions(len(small)).reshape(-1, 3)
        level = np.hypot(directions[:, 0], directions[:, 2])
        weight = level * np.pi / len(small) * 2 * np.pi / small.shape[1] * (small.reshape(-1, 3) @ _LUMINANCE)
        total = np.maximum(normals @ directions.T, 0) @ weight
    for light in scene.lights:
        # Blender's area lights are Lambertian: their radiance is power / (pi area).
        for point in _points(np.asarray(light.position), light.size_m):
            distance = np.linalg.norm(point)
            towards = -np.asarray(light.position) / np.linalg.norm(light.position)
            leaves = max(float(-point @ towards / distance), 0.0)
            power = light.power_w * float(np.asarray(light.colour) @ _LUMINANCE)
            total = total + power / np.pi * leaves / distance**2 * np.maximum(normals @ point / distance, 0) / 9
    if scene.sky is not None:
        sun = float(sun_irradiance(scene.sky) @ _LUMINANCE) * scene.world_strength
        total = total + sun * np.maximum(normals @ sun_direction(scene.sky), 0)
    result: Array = total
    return result


def shrink(radiance: Array, rows: int) -> Array:
    """A map [H, W, 3] averaged over whole blocks of pixels to about so many rows."""
    step = max(len(radiance) // rows, 1)
    height, width = (edge // step * step for edge in radiance.shape[:2])
    blocks = radiance[:height, :width].reshape(height // step, step, width // step, step, 3)
    small: Array = blocks.mean((1, 3))
    return small


def _points(centre: Array, size: float) -> Array:
    """Nine points [9, 3] spread over a square light that faces the origin."""
    ahead = centre / np.linalg.norm(centre)
    aside = np.cross([0.0, 1.0, 0.0] if abs(ahead[1]) < 0.9 else [0.0, 0.0, 1.0], ahead)
    aside /= np.linalg.norm(aside)
    up = np.cross(ahead, aside)
    steps = np.array([-1.0, 0.0, 1.0]) * size / 3
    points: Array = np.array([centre + a * aside + b * up for a in steps for b in steps])
    return points


def _cards() -> Array:
    """Unit normals [N, 3] spread evenly over the half space in front of the face (Fibonacci's lattice)."""
    k = np.arange(_CARDS) + 0.5
    z = k / _CARDS
    turn = np.pi * (1 + 5**0.5) * k
    level = np.sqrt(1 - z**2)
    return np.stack([level * np.cos(turn), level * np.sin(turn), z], axis=-1)
