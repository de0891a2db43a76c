"""Recipe, head model and a clip's times -> the motion of the head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datagen.recordings import read_recording
from datagen.sampling.curves import gaussian_process, wander
from datagen.sampling.expression import (
    Tracks,
    blink_curve,
    emotion_curves,
    held_emotion,
    lids_follow_gaze,
    plain_name,
    settle,
    sides,
)
from datagen.sampling.faces import JAW, NOT_USED
from datagen.sampling.gaze import HEAD_LEAD_S, fixation_times, gaze_curve, held_gaze, left_and_right
from datagen.sampling.head_pose import head_curve, held_pose
from datagen.sampling.lids import Lids
from datagen.sampling.replay import head_angles, recording_of, replay
from datagen.sampling.rotations import about, axis_angle, inverse, multiply, turned
from datagen.sampling.speech import NAMES, held_viseme, speaks, speech_curve
from datagen.sampling.streams import rng
from datagen.sections import MotionSettings
from manifests.clip import HeadInfo, Motion

Array = NDArray[np.float64]

BASIS_HZ = (0.15, 1.2)
"""Band of the curves of unnamed expression components."""
SWAY_HZ = (0.1, 0.5)


@dataclass(frozen=True)
class Performance:
    """A motion, and the head's yaw, pitch and roll in degrees [T, 3] that made it."""

    motion: Motion
    head_deg: Array


@dataclass(frozen=True)
class _Face:
    """Named expression curves, jaw opening [T] in [0, 1], and the eyes' angles [T, 2] in degrees."""

    tracks: Tracks
    jaw: Array
    left_eye: Array
    right_eye: Array


def perform(
    settings: MotionSettings, head: HeadInfo, shape: NDArray[np.float32], seed: int, index: int, times: Array
) -> tuple[Performance, str]:
    """Dynamic motion of clip ``index``, and the recording that it is from, or "" where it is sampled."""
    if settings.recordings is not None:
        files = settings.recordings.files
        name = recording_of(files, settings.recorded_share, seed, index)
        if name:
            recording = read_recording(settings.recordings.path, name, files[name], head)
            motion = replay(recording, shape, seed, index, times)
            return Performance(motion, head_angles(motion)), name
    return sample_motion(settings, head, shape, seed, index, times), ""


def sample_motion(
    settings: MotionSettings, head: HeadInfo, shape: NDArray[np.float32], seed: int, index: int, times: Array
) -> Performance:
    """Dynamic motion of clip ``index`` at ``times`` [T] seconds (from 0 on).

    A function of continuous time: another frame rate sees the same motion at other instants, and a longer
    clip begins with the shorter one.
    """
    head_deg = head_curve(settings, seed, index, times)
    starts = fixation_times(seed, index, float(times[-1]))
    looks = np.append(0.0, np.maximum(starts + HEAD_LEAD_S, 0.0))
    ahead = head_curve(settings, seed, index, looks)[:, :2]
    gaze = gaze_curve(settings, seed, index, times, head_deg[:, :2], ahead)
    left, right = left_and_right(settings, gaze, seed, index)
    known = _known(head)
    jaw, talking, visemes = speech_curve(settings, seed, index, times)
    emotions = emotion_curves(settings, seed, index, times, known)
    # A talking mouth leaves emotions half the room.
    tracks = {
        name: curve * (1 - 0.5 * talking) if name.startswith("mouth") else curve for name, curve in emotions.items()
    }
    jaw = np.maximum(jaw, tracks.pop(JAW, np.zeros(len(times))) * (1 - 0.5 * talking))
    for column, name in enumerate(NAMES):
        for full in sides(name, known):
            tracks[full] = tracks.get(full, 0.0) + visemes[:, column]
    tracks |= lids_follow_gaze(left, right)
    blink = blink_curve(settings, seed, index, times, speaks(settings, seed, index))
    tracks = settle(tracks, blink, jaw, known, _lids(head, shape))
    expression = _expression(settings, head, tracks, seed, "motion.basis", index, times)
    sway = rng(seed, "motion.sway", index).random((3, 5, 2))
    translation = settings.sway_m * np.stack([wander(units, times, *SWAY_HZ) for units in sway], axis=1)
    return _performance(settings, shape, expression, head_deg, _Face(tracks, jaw, left, right), translation)


def hold_still(
    settings: MotionSettings,
    head: HeadInfo,
    shape: NDArray[np.float32],
    seed: int,
    identity: int,
    frames: int,
) -> Performance:
    """Static motion: one expression and pose of an identity, the same in all ``frames``."""
    head_deg = held_pose(settings, seed, identity)[None]
    left, right = left_and_right(settings, held_gaze(settings, seed, identity)[None], seed, identity)
    known = _known(head)
    shapes = held_emotion(settings, seed, identity, known)
    opening, viseme = held_viseme(seed, identity)
    for name, value in viseme.items():
        for full in sides(name, known):
            shapes[full] = shapes.get(full, 0.0) + value
    jaw = np.array([max(opening, shapes.pop(JAW, 0.0))])
    tracks = {name: np.array([value]) for name, value in shapes.items()} | lids_follow_gaze(left, right)
    tracks = settle(tracks, np.zeros(1), jaw, known, _lids(head, shape))
    now = np.zeros(1)
    expression = _expression(settings, head, tracks, seed, "motion.held.basis", identity, now)
    face = _Face(tracks, jaw, left, right)
    one = _performance(settings, shape, expression, head_deg, face, np.zeros((1, 3)))
    return Performance(
        Motion(
            shape=one.motion.shape,
            **{
                name: np.repeat(getattr(one.motion, name), frames, axis=0)
                for name in ("expression", "root", "neck", "jaw", "left_eye", "right_eye", "translation")
            },
        ),
        np.repeat(head_deg, frames, axis=0),
    )


def _known(head: HeadInfo) -> set[str]:
    return {plain_name(name) for name in head.expression_names} - NOT_USED.keys()


def _lids(head: HeadInfo, shape: NDArray[np.float32]) -> Lids:
    return Lids.of(head, shape, tuple(plain_name(name) for name in head.expression_names))


def _expression(
    settings: MotionSettings, head: HeadInfo, tracks: Tracks, seed: int, stream: str, index: int, times: Array
) -> Array:
    """Coefficients [T, E]: the named curves, or smooth noise for a basis without names."""
    expression = np.zeros((len(times), head.expression_size))
    if head.expression_names:
        for column, name in enumerate(head.expression_names):
            if plain_name(name) in tracks:
                expression[:, column] = tracks[plain_name(name)]
        return expression
    count = min(settings.expression_components, head.expression_size)
    units = rng(seed, stream, index).random((count, 6, 2))
    expression[:, :count] = settings.expression_spread * gaussian_process(units, times, *BASIS_HZ)
    return expression


def _performance(
    settings: MotionSettings,
    shape: NDArray[np.float32],
    expression: Array,
    head_deg: Array,
    face: _Face,
    translation: Array,
) -> Performance:
    """Angles -> joint rotations. Root and neck together turn the head as ``head_deg`` says, exactly."""
    yaw, pitch, roll = np.radians(head_deg).T
    root = about(1, settings.body_share * yaw)
    neck = multiply(inverse(root), turned(yaw, pitch, roll))
    jaw = np.zeros((len(head_deg), 3))
    jaw[:, 0] = np.radians(settings.jaw_open_deg) * np.clip(face.jaw, 0.0, 1.0)

    def eye(angles: Array) -> Array:
        eye_yaw, eye_pitch = np.radians(angles).T
        return axis_angle(turned(eye_yaw, eye_pitch, np.zeros_like(eye_yaw)))

    return Performance(
        Motion(
            shape=shape.astype(np.float32),
            expression=expression.astype(np.float32),
            root=axis_angle(root).astype(np.float32),
            neck=axis_angle(neck).astype(np.float32),
            jaw=jaw.astype(np.float32),
            left_eye=eye(face.left_eye).astype(np.float32),
            right_eye=eye(face.right_eye).astype(np.float32),
            translation=translation.astype(np.float32),
        ),
        head_deg,
    )
