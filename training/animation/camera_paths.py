"""Where the camera is in each frame of a video: by a name, or by key poses in a file."""

from __future__ import annotations

import itertools
import json
import numbers
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from datagen.geometry.cameras import SENSOR_WIDTH_MM, camera_centre, intrinsics_from_focal, look_at
from manifests.errors import UserError
from training.footage import Footage

Array = NDArray[Any]

NEAREST_M: Final = 0.2
"""From the head's centre; nearer ones are in the head, or all but."""
_FARTHEST_M: Final = 100.0
_BREATH: Final = 0.1
"""How much a spiral's distance changes to each side."""
_SPIRAL_TURNS: Final = 2
_LEAST_S: Final = 0.001
"""From one key pose to the next."""
_LARGEST: Final = 1e6
"""Seconds or degrees of a key pose: what is beyond is a slip, and too coarse for frames."""
_MOST_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class CameraTrack:
    """One camera over T frames: intrinsics [T, 3, 3] in pixels, world_to_camera [T, 4, 4] in metres; float64."""

    intrinsics: Array
    world_to_camera: Array


@dataclass(frozen=True)
class KeyPose:
    """Where the camera is at one time; what is not given is as in the footage the model learnt from.

    Raises UserError for what is no number, and for a camera in the head."""

    time_s: float
    yaw_deg: float = 0.0
    """About where it looks, the head's centre or what the footage's cameras look at: 0 is in front, 90 on the head's
    left."""
    pitch_deg: float = 0.0
    """Above it."""
    roll_deg: float = 0.0
    distance_m: float | None = None
    focal_length_mm: float | None = None
    """Of a sensor 36 mm wide."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            usual = value is None and name in ("distance_m", "focal_length_mm")
            number = isinstance(value, numbers.Real) and not isinstance(value, bool)
            if not usual and not (number and abs(value) <= _LARGEST):
                raise UserError(f"{name} is {repr(value)[:40]}; give a number of at most {_LARGEST:g}")
        if self.distance_m is not None and not NEAREST_M <= self.distance_m <= _FARTHEST_M:
            raise UserError(
                f"distance_m {self.distance_m:g} given, below {NEAREST_M} m is the inside of a head; give {NEAREST_M} "
                f"to {_FARTHEST_M:g}"
            )
        if self.focal_length_mm is not None and not 5 <= self.focal_length_mm <= 1000:
            raise UserError(f"focal_length_mm {self.focal_length_mm:g} given; give 5 to 1000")
        if abs(self.pitch_deg) > 90:
            raise UserError(f"pitch_deg {self.pitch_deg:g} given; give -90 to 90")


def camera_path(
    path: str | Sequence[KeyPose],
    times: Array,
    footage: Footage,
    head_centre: tuple[float, float, float],
    size: tuple[int, int],
) -> CameraTrack:
    """The camera at ``times`` [T] seconds, for pictures of ``size`` (H, W): ``front`` stands still, ``turntable``
    swings once as far as the footage's cameras stand to either side (or once around), ``spiral`` circles in front of
    the head; others are `KeyPose`s, or a JSON file of them: a list of objects with these names.

    Raises UserError for what is none of these, a damaged file, and a camera in the head.
    """
    usual = footage.distance_m, footage.focal * SENSOR_WIDTH_MM
    if not usual[0] or not usual[1]:
        raise UserError("camera: the model does not say where its cameras stood; export its checkpoint again")
    share = times / max(times[-1], 1e-9)
    distance, roll, focal = np.full(len(times), usual[0]), np.zeros(len(times)), np.full(len(times), usual[1])
    middle = (footage.pitch_low_deg + footage.pitch_high_deg) / 2
    pitch = np.full(len(times), np.clip(0.0, footage.pitch_low_deg, footage.pitch_high_deg))
    if not isinstance(path, str):
        yaw, pitch, roll, distance, focal = _interpolated(path, times, usual)
    elif path == "front":
        yaw = np.zeros(len(times))
    elif path == "turntable":
        around = footage.yaw_deg >= 180
        yaw = 360 * share if around else footage.yaw_deg * np.sin(2 * np.pi * share)
    elif path == "spiral":
        turn, swell = 2 * np.pi * _SPIRAL_TURNS * share, 0.5 - 0.5 * np.cos(2 * np.pi * share)
        yaw = min(footage.yaw_deg, 25) * swell * np.cos(turn)
        pitch = middle + (footage.pitch_high_deg - footage.pitch_low_deg) / 2 * swell * np.sin(turn)
        distance = distance * (1 + _BREATH * np.sin(2 * np.pi * share))
    elif path.endswith(".json"):
        yaw, pitch, roll, distance, focal = _interpolated(read_key_poses(path), times, usual)
    else:
        raise UserError(
            f"camera {path!r}: is none; choose front, turntable, spiral, a clip (CORPUS:KEY.v00) or a .json file of "
            "key poses"
        )
    height, width = size
    yaw, pitch = np.radians(yaw), np.radians(pitch)
    towards = np.stack([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], axis=-1)
    centre = np.asarray(head_centre, np.float64) + [0, footage.aim_height_m, 0]
    return CameraTrack(
        intrinsics_from_focal(focal, width, height, SENSOR_WIDTH_MM),
        look_at(centre + distance[:, None] * towards, centre, np.radians(roll)),
    )


def read_key_poses(path: str | Path) -> list[KeyPose]:
    """Raises UserError for a file that is not there, is no list of poses, or has one in the head; names the pose."""
    try:
        text = Path(path).read_bytes()
        listed = json.loads(text) if len(text) <= _MOST_BYTES else None
    except OSError as error:
        raise UserError(f"camera {path}: cannot be read ({error.strerror}); name a file of key poses") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"camera {path}: is no JSON ({' '.join(str(error).split())[:100]}); mend it") from None
    if not isinstance(listed, list) or not listed:
        raise UserError(f'camera {path}: holds no list of key poses; write [{{"time_s": 0, "yaw_deg": -30}}, ...]')
    poses = [_key_pose(f"camera {path}, pose {k}", entry) for k, entry in enumerate(listed)]
    _check_times(f"camera {path}", poses)
    return poses


def check_outside(world_to_camera: Array, head_centres: Array) -> None:
    """Raises UserError where a camera [T, 4, 4] is in the head, whose centre is at [T, 3], at some time."""
    distance = np.linalg.norm(camera_centre(world_to_camera) - head_centres, axis=1)
    at = int(distance.argmin())
    if distance[at] < NEAREST_M:
        raise UserError(
            f"camera: is {distance[at]:.2f} m from the head's centre in frame {at}, inside the head; keep {NEAREST_M} "
            "m, by another camera or a driver that comes less near"
        )


def _key_pose(name: str, entry: Any) -> KeyPose:
    known = [field.name for field in fields(KeyPose)]
    if not isinstance(entry, dict) or "time_s" not in entry:
        raise UserError(f"{name}: has no time_s; a pose has {', '.join(known)}")
    for key, value in entry.items():
        if key not in known:
            raise UserError(f"{name}: {str(key)[:40]!r} is unknown; a pose has {', '.join(known)}")
        if value is None:
            raise UserError(f"{name}: {key} is None; give a number")
    try:
        return KeyPose(**entry)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None


def _check_times(name: str, poses: Sequence[KeyPose]) -> None:
    if not poses:
        raise UserError(f"{name}: no key pose; give one or more")
    for before, after in itertools.pairwise(poses):
        if not after.time_s - before.time_s >= _LEAST_S:
            raise UserError(
                f"{name}: time_s {after.time_s:g} follows {before.time_s:g}; let times rise by {_LEAST_S} s or more"
            )


def _interpolated(poses: Sequence[KeyPose], times: Array, usual: tuple[float, float]) -> list[Array]:
    """yaw, pitch, roll, distance and focal length [T] of smooth curves through the poses that do not overshoot (Fritsch
    and Carlson, "Monotone piecewise cubic interpolation", 1980), held before the first and after the last."""
    _check_times("camera", poses)
    keys = np.array([
        [pose.yaw_deg, pose.pitch_deg, pose.roll_deg, pose.distance_m or usual[0], pose.focal_length_mm or usual[1]]
        for pose in poses
    ], np.float64)  # fmt: skip
    at = np.array([pose.time_s for pose in poses], np.float64)
    if len(poses) == 1:
        return list(np.repeat(keys, len(times), axis=0).T)
    return list(PchipInterpolator(at, keys)(np.clip(times, at[0], at[-1])).T)
