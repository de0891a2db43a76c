"""Recipe and settings -> where the cameras of a clip are, frame by frame.

Fixed cameras stand still; moving ones follow a trajectory in continuous time, each view from a start of its
own. Every path keeps within the configured ranges of yaw, pitch and distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datagen.geometry.cameras import SENSOR_WIDTH_MM, intrinsics_from_focal, look_at
from datagen.sampling.curves import PEAK_SPEED, minimum_jerk, wander
from datagen.sampling.streams import choose, draw, lerp, rng, unit
from datagen.sections import CameraSettings
from manifests.clip import Cameras

Array = NDArray[np.float64]

HEAD_HEIGHT_M = 0.24
"""Chin to crown; people have 0.20 to 0.25 (Tilley and Dreyfuss, "The Measure of Man and Woman", 2002)."""
BREATH = 0.12
"""How much a spiral's distance changes to each side."""
HANDHELD_HZ = (0.2, 1.2)
HANDHELD_AIM_M = 0.008
SPIRAL_DEG = (25.0, 20.0)
"""A spiral's greatest radius in yaw and in pitch; smaller where the ranges are."""
SPIRAL_RADIUS = (0.4, 1.0)
"""Between which shares of it the radius swells and shrinks."""


@dataclass(frozen=True)
class CameraRig:
    """The cameras of a clip, and what a person knows them by: yaw, pitch and distance, each [V, T]."""

    cameras: Cameras
    yaw_deg: Array
    pitch_deg: Array
    distance_m: Array
    focal_length_mm: float
    trajectory: str


@dataclass(frozen=True)
class _Path:
    """Camera positions about the aim point: degrees and a factor on the distance, all [V, T]."""

    yaw_deg: Array
    pitch_deg: Array
    distance: Array


def sample_cameras(
    settings: CameraSettings,
    head_centre: tuple[float, float, float],
    recipe: str,
    seed: int,
    index: int,
    views: int,
    times: Array,
    size: tuple[int, int],
) -> CameraRig:
    """The cameras of one clip: V views at ``times`` [T] seconds, ``size`` (width, height) in pixels."""
    shape = (views, len(times))
    focal_mm = draw(settings.focal_length_mm, seed, "camera.focal_length", index)
    trajectory = "fixed"
    if recipe == "phone":
        path = _fixed(settings.phone_yaw_deg, settings.phone_pitch_deg, seed, index, shape)
    elif recipe == "studio":
        path = _fixed(settings.yaw_deg, settings.pitch_deg, seed, index, shape)
    else:
        trajectory = choose(settings.trajectories.items(), unit(seed, "camera.trajectory", index))
        path = _MOVING[trajectory](settings, seed, index, views, times)
    unsteady = trajectory == "handheld"

    rest = _rest_distance(settings, focal_mm, seed, index, views, size)
    distance = np.clip(rest[:, None] * path.distance, *settings.distance_m)
    yaw, pitch = np.radians(path.yaw_deg), np.radians(path.pitch_deg)
    towards = np.stack([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], axis=-1)
    aim = _aim(settings, head_centre, seed, index, views, times, unsteady)
    roll = np.radians(lerp(settings.roll_deg, rng(seed, "camera.roll", index).random((views, 1))))
    world_to_camera = look_at(aim + distance[..., None] * towards, aim, np.broadcast_to(roll, shape))
    width, height = size
    intrinsics = np.broadcast_to(intrinsics_from_focal(focal_mm, width, height, SENSOR_WIDTH_MM), (*shape, 3, 3))
    cameras = Cameras(np.array(intrinsics, np.float64), world_to_camera, width, height)
    return CameraRig(cameras, path.yaw_deg, path.pitch_deg, distance, focal_mm, trajectory)


def _rest_distance(
    settings: CameraSettings, focal_mm: float, seed: int, index: int, views: int, size: tuple[int, int]
) -> Array:
    """Distance [V] that gives a head its share of the picture's height, or any in the range."""
    units = rng(seed, "camera.distance", index).random(views)
    if settings.head_share is None:
        return np.asarray(lerp(settings.distance_m, units))
    width, height = size
    share = np.asarray(lerp(settings.head_share, units))
    return np.asarray(HEAD_HEIGHT_M * focal_mm / SENSOR_WIDTH_MM * (width / height) / share)


def _aim(
    settings: CameraSettings,
    head_centre: tuple[float, float, float],
    seed: int,
    index: int,
    views: int,
    times: Array,
    unsteady: bool,
) -> Array:
    """Where the cameras look [V, T, 3]."""
    jitter = settings.aim_jitter_m * (2 * rng(seed, "camera.aim", index).random((views, 3)) - 1)
    height = lerp(settings.aim_height_m, rng(seed, "camera.aim_height", index).random(views))
    aim = np.asarray(head_centre) + jitter + np.stack([np.zeros(views), height, np.zeros(views)], axis=1)
    path = np.repeat(aim[:, None], len(times), axis=1)
    if unsteady:
        units = rng(seed, "camera.handheld.aim", index).random((views, 3, 4, 2))
        path += HANDHELD_AIM_M * np.array(
            [np.stack([wander(axis, times, *HANDHELD_HZ) for axis in view], axis=1) for view in units]
        )
    return path


def _fixed(
    yaw_deg: tuple[float, float],
    pitch_deg: tuple[float, float],
    seed: int,
    index: int,
    shape: tuple[int, int],
) -> _Path:
    """Cameras that stand still, spread evenly over the yaw range."""
    yaw = lerp(yaw_deg, _spread(seed, "camera.yaw", index, shape[0]))
    pitch = lerp(pitch_deg, rng(seed, "camera.pitch", index).random(shape[0]))
    return _Path(_held(yaw, shape), _held(pitch, shape), np.ones(shape))


def _turntable(settings: CameraSettings, seed: int, index: int, views: int, times: Array) -> _Path:
    """Round the head; a harmonic swing if the yaw range leaves a gap. Pitch and distance stay."""
    low, high = settings.yaw_deg
    begin, direction, speed = _start(settings, seed, index, views)
    travel = direction * speed * times
    if high - low >= 360.0:
        yaw = low + np.mod(begin[:, None] * 360.0 + travel, 360.0)
    else:
        half = max((high - low) / 2, 1e-9)
        yaw = (low + high) / 2 + half * np.sin(2 * np.pi * begin[:, None] + travel / half)
    pitch = lerp(settings.pitch_deg, rng(seed, "camera.pitch", index).random(views))
    return _Path(yaw, _held(pitch, yaw.shape), np.ones(yaw.shape))


def _spiral(settings: CameraSettings, seed: int, index: int, views: int, times: Array) -> _Path:
    """Circles in yaw and pitch whose radius and distance swell and shrink, out of step with the turns."""
    centres, halves = [], []
    spans = (settings.yaw_deg, settings.pitch_deg)
    for name, span, most in zip(("yaw", "pitch"), spans, SPIRAL_DEG, strict=True):
        half = min((span[1] - span[0]) / 2, most)
        halves.append(half)
        centres.append(lerp((span[0] + half, span[1] - half), _spread(seed, f"camera.spiral.{name}", index, views)))
    begin, direction, speed = _start(settings, seed, index, views)
    turn = 2 * np.pi * begin[:, None] + direction * speed * times / max(*halves, 1e-9)
    swell = turn / 1.5 + 2 * np.pi * unit(seed, "camera.spiral", index)
    radius = lerp(SPIRAL_RADIUS, 0.5 + 0.5 * np.sin(swell))
    yaw = centres[0][:, None] + halves[0] * radius * np.cos(turn)
    pitch = centres[1][:, None] + halves[1] * radius * np.sin(turn)
    return _Path(yaw, np.asarray(pitch), 1 + BREATH * np.cos(swell))


def _arc(settings: CameraSettings, seed: int, index: int, views: int, times: Array) -> _Path:
    """To and fro between two viewpoints about half the ranges apart, at rest at both."""
    begin, _, speed = _start(settings, seed, index, views)
    first_yaw = _spread(seed, "camera.yaw", index, views)
    first_pitch, step, pitch_step = rng(seed, "camera.arc", index).random((views, 3)).T
    ends = []
    for span, first, shift in (
        (settings.yaw_deg, first_yaw, step),
        (settings.pitch_deg, first_pitch, pitch_step),
    ):
        second = np.mod(first + 0.4 + 0.2 * shift, 1.0)
        ends.append((lerp(span, first), lerp(span, second)))
    (yaw0, yaw1), (pitch0, pitch1) = ends
    length = np.hypot(yaw1 - yaw0, pitch1 - pitch0)
    duration = np.maximum(PEAK_SPEED * length / max(speed, 1e-9), 1e-3)
    phase = np.mod(times / duration[:, None] + 2 * begin[:, None], 2.0)
    progress = minimum_jerk(np.minimum(phase, 2 - phase))
    yaw = yaw0[:, None] + (yaw1 - yaw0)[:, None] * progress
    pitch = pitch0[:, None] + (pitch1 - pitch0)[:, None] * progress
    return _Path(yaw, pitch, np.ones(yaw.shape))


def _handheld(settings: CameraSettings, seed: int, index: int, views: int, times: Array) -> _Path:
    """One viewpoint each, with the wandering of a hand."""
    units = rng(seed, "camera.handheld", index).random((views, 3, 5, 2))
    noise = np.array([[wander(axis, times, *HANDHELD_HZ) for axis in view] for view in units])
    paths = []
    for axis, (span, base) in enumerate(
        (
            (settings.yaw_deg, _spread(seed, "camera.yaw", index, views)),
            (settings.pitch_deg, rng(seed, "camera.pitch", index).random(views)),
        )
    ):
        stray = min(settings.handheld_deg, (span[1] - span[0]) / 2)
        middle = np.asarray(lerp((span[0] + stray, span[1] - stray), base))
        paths.append(middle[:, None] + stray * noise[:, axis])
    return _Path(paths[0], paths[1], 1 + 0.02 * noise[:, 2])


_MOVING = {"turntable": _turntable, "spiral": _spiral, "arc": _arc, "handheld": _handheld}


def _start(settings: CameraSettings, seed: int, index: int, views: int) -> tuple[Array, float, float]:
    """Each view's start on its path [V] in [0, 1), the direction (1 or -1), the speed in degrees a second."""
    direction = 1.0 if unit(seed, "camera.direction", index) < 0.5 else -1.0
    return _spread(seed, "camera.start", index, views), direction, draw(
        settings.sweep_deg_per_s, seed, "camera.sweep_speed", index
    )  # fmt: skip


def _spread(seed: int, stream: str, index: int, count: int) -> Array:
    """Unit variates [count], one in each of ``count`` equal stretches, in random order."""
    units = rng(seed, stream, index).random(2 * count)
    return np.asarray((np.argsort(units[:count], kind="stable") + units[count:]) / count)


def _held(values: float | Array, shape: tuple[int, ...]) -> Array:
    return np.repeat(np.asarray(values)[:, None], shape[1], axis=1)
