"""Whether a clip's summary, which people filter and plot by, says what its own cameras, motion and record say."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.audit.arrays import Add
from manifests.clip import ClipSummary

Array = NDArray[Any]
Stored = Mapping[str, Mapping[str, Array]]

SENSOR_WIDTH_MM = 36.0
"""Of the full frame, to which focal lengths refer."""
_SECTIONS = ("traits", "appearance", "scene")
_ANCESTRIES = ("african", "asian", "european")
_ANGLE_DEG, _FOCAL_MM, _RELATIVE, _TRAIT = 0.01, 1e-3, 1e-4, 1e-3
_UNSTEADY_AIM_M = 0.03
"""How far a handheld camera's aim wanders beyond the configured ranges, at most."""


def check_summary(spec: Mapping[str, Any], stored: Stored, config: Mapping[str, Any], add: Add) -> None:
    """Compare each field of the summary that follows from something else in the sample with that.

    ``stored`` holds ``cameras`` and ``motion``, as far as they are sound. What the record lacks is not compared.
    """
    summary = _mapping(spec, "summary")
    for field, expected, room in (*_of_record(spec), *_of_cameras(stored, spec, config), *_of_motion(stored)):
        if field in summary and not _agrees(summary[field], expected, room):
            add("spec-disagrees", f"spec.json:summary.{field}", _shown(expected, room), str(summary[field]))
    if "motion" in stored:
        _check_traits(spec, stored["motion"]["shape"], add)


Wanted = tuple[str, Any, float]
"""A field of the summary, what it should be, and how far a number may be from that."""


def _of_record(spec: Mapping[str, Any]) -> Iterator[Wanted]:
    for field in ClipSummary.__dataclass_fields__:
        for section in _SECTIONS:
            if field in (content := _mapping(spec, section)):
                yield field, content[field], 0.0
    shares = [_number(_mapping(spec, "traits").get(name)) for name in _ANCESTRIES]
    if None not in shares:
        yield "ancestry", _ANCESTRIES[int(np.argmax(np.array(shares, float)))], 0.0
    lights = _mapping(spec, "scene").get("lights")
    if isinstance(lights, list):
        powers = [_number(light.get("power_w")) if isinstance(light, dict) else None for light in lights]
        if None not in powers:
            total = sum(power for power in powers if power is not None)
            yield "light_power_w", total, _RELATIVE * abs(total)


def _of_cameras(stored: Stored, spec: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[Wanted]:
    """A camera's yaw and pitch are the direction from what it looks at to it."""
    if "cameras" not in stored:
        return
    pose, k = stored["cameras"]["world_to_camera"], stored["cameras"]["K"]
    summary = _mapping(spec, "summary")
    towards = -pose[..., 2, :3]
    yaw = np.degrees(np.arctan2(towards[..., 0], towards[..., 2]))
    pitch = np.degrees(np.arcsin(np.clip(towards[..., 1], -1, 1)))
    if np.abs(pitch).max() < 89.9:  # straight above, yaw is anything
        yield from _ends("camera_yaw_deg", _turned_into(yaw, summary), _ANGLE_DEG)
    yield from _ends("camera_pitch_deg", pitch, _ANGLE_DEG)
    focal = k[..., 0, 0] * SENSOR_WIDTH_MM / spec["width"] if _number(spec.get("width")) else k[..., 0, 0]
    yield "focal_length_mm", float(focal.mean()), _FOCAL_MM
    centre, beside = _mapping(spec, "head").get("head_centre"), _aim_beside(config)
    if beside is not None and _is_point(centre):
        eye = -np.einsum("...ji,...j->...i", pose[..., :3, :3], pose[..., :3, 3])
        along = ((np.array(centre, float) - eye) * pose[..., 2, :3]).sum(axis=-1)
        yield from _ends("camera_distance_m", along, beside)


def _of_motion(stored: Stored) -> Iterator[Wanted]:
    """A head's yaw and pitch are where root and neck together turn the face."""
    if "motion" not in stored:
        return
    motion = stored["motion"]
    face = _rotate(motion["root"], _rotate(motion["neck"], np.array([0.0, 0.0, 1.0])))
    yield from _ends("head_yaw_deg", np.degrees(np.arctan2(face[:, 0], face[:, 2])), _ANGLE_DEG)
    yield from _ends("head_pitch_deg", np.degrees(np.arcsin(np.clip(-face[:, 1], -1, 1))), _ANGLE_DEG)
    activity = float(np.linalg.norm(motion["expression"].astype(np.float64), axis=1).mean())
    yield "expression_activity", activity, _RELATIVE * (1 + activity)


def _check_traits(spec: Mapping[str, Any], shape: Array, add: Add) -> None:
    """The head's first components carry the traits, if it says that they do."""
    components, traits = _mapping(spec, "head").get("traits"), _mapping(spec, "traits")
    for at, component in enumerate(components if isinstance(components, list) else []):
        if at >= len(shape) or not isinstance(component, dict):
            return
        name = str(component.get("name"))
        value, mean, deviation = (
            _number(v) for v in (traits.get(name), component.get("mean"), component.get("deviation"))
        )
        if value is None or mean is None or not deviation:
            continue
        expected = (value - mean) / deviation
        if not abs(expected - float(shape[at])) < _TRAIT * (1 + abs(expected)):
            add(
                "spec-disagrees",
                f"motion.npz:shape[{at}]",
                f"{expected:.4g}, by the {name} of spec.json",
                f"{shape[at]:.4g}",
            )


def _aim_beside(config: Mapping[str, Any]) -> float | None:
    """How far from the head's centre a camera of this configuration may look, metres."""
    camera = _mapping(config, "camera")
    jitter, height = _number(camera.get("aim_jitter_m")), camera.get("aim_height_m")
    ends = [_number(end) for end in height] if isinstance(height, list) else []
    if jitter is None or not ends or None in ends:
        return None
    return math.sqrt(3) * jitter + max(abs(end) for end in ends if end is not None) + _UNSTEADY_AIM_M


def _ends(name: str, values: Array, room: float) -> Iterator[Wanted]:
    yield f"{name}_min", float(values.min()), room
    yield f"{name}_max", float(values.max()), room


def _turned_into(degrees: Array, summary: Mapping[str, Any]) -> Array:
    """The same angles, by whole turns as near as can be to the summary's range."""
    low, high = (_number(summary.get(f"camera_yaw_deg_{end}")) for end in ("min", "max"))
    if low is None or high is None or max(abs(low), abs(high)) > 1e6:
        return degrees
    start = low - max(0.0, 360.0 - (high - low)) / 2 - _ANGLE_DEG
    return np.asarray(start + np.mod(degrees - start, 360.0))


def _rotate(axis_angle: Array, vector: Array) -> Array:
    """Vectors [T, 3] turned by [T, 3] in radians: Rodrigues' formula."""
    turn = axis_angle.astype(np.float64)
    angle = np.linalg.norm(turn, axis=-1, keepdims=True)
    axis = turn / np.where(angle > 0, angle, 1)
    along = (axis * vector).sum(axis=-1, keepdims=True)
    return np.asarray(
        np.cos(angle) * vector + np.sin(angle) * np.cross(axis, vector) + (1 - np.cos(angle)) * along * axis
    )


def _agrees(seen: Any, expected: Any, room: float) -> bool:
    number, wanted = _number(seen), _number(expected)
    if number is None or wanted is None:
        return bool(seen == expected)
    return abs(number - wanted) <= room


def _shown(expected: Any, room: float) -> str:
    return f"{expected:.6g}" + (f" +- {room:.2g}" if room else "") if isinstance(expected, float) else str(expected)


def _mapping(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = value.get(name)
    return inner if isinstance(inner, dict) else {}


def _number(value: Any) -> float | None:
    whole = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if whole and math.isfinite(value) else None


def _is_point(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(_number(item) is not None for item in value)
