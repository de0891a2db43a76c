"""Where named cameras stand, what key poses are interpolated to, and what is no camera."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datagen.geometry.cameras import camera_centre, look_at, project
from manifests.errors import UserError
from training.animation.camera_paths import CameraTrack, KeyPose, camera_path, check_outside
from training.footage import Footage

CENTRE = (0.0, 0.09, 0.05)
FOOTAGE = Footage(
    fps=10, focal=2.0, distance_m=0.8, yaw_deg=40, pitch_low_deg=-10, pitch_high_deg=20, height=64, width=80
)
TIMES = np.arange(41) / 10


def place(track: CameraTrack) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Yaw and pitch in degrees about the head's centre, and metres from it."""
    x, y, z = (camera_centre(track.world_to_camera) - CENTRE).T
    return np.degrees(np.arctan2(x, z)), np.degrees(np.arctan2(y, np.hypot(x, z))), np.sqrt(x**2 + y**2 + z**2)


@pytest.mark.parametrize("name", ["front", "turntable", "spiral"])
def test_named_paths_keep_to_what_the_model_has_seen_and_to_the_head(name: str) -> None:
    track = camera_path(name, TIMES, FOOTAGE, CENTRE, (64, 80))
    yaw, pitch, distance = place(track)
    assert np.abs(yaw).max() <= 40 + 1e-6
    assert -10 - 1e-6 <= pitch.min() <= pitch.max() <= 20 + 1e-6
    assert np.abs(distance / 0.8 - 1).max() <= 0.1 + 1e-6
    pixels, depth = project(np.array([CENTRE]), track.intrinsics, track.world_to_camera)
    np.testing.assert_allclose(pixels[:, 0], [[40, 32]] * 41, atol=1e-6)
    assert depth.min() > 0
    np.testing.assert_allclose(track.intrinsics[:, 0, 0], 160)


def test_a_turntable_swings_once_to_either_side() -> None:
    yaw, pitch, distance = place(camera_path("turntable", TIMES, FOOTAGE, CENTRE, (64, 80)))
    np.testing.assert_allclose(yaw[[0, 10, 20, 30, 40]], [0, 40, 0, -40, 0], atol=1e-6)
    np.testing.assert_allclose(pitch, 0, atol=1e-6)
    np.testing.assert_allclose(distance, 0.8)
    around = Footage(**{**vars(FOOTAGE), "yaw_deg": 180.0})
    yaw, _, _ = place(camera_path("turntable", TIMES, around, CENTRE, (64, 80)))
    np.testing.assert_allclose(np.mod(yaw[[0, 10, 20, 30]], 360), [0, 90, 180, 270], atol=1e-6)


def test_cameras_look_where_those_of_the_footage_did() -> None:
    low = Footage(**{**vars(FOOTAGE), "aim_height_m": -0.03})
    track = camera_path("spiral", TIMES, low, CENTRE, (64, 80))
    pixels, _ = project(np.array([np.add(CENTRE, [0, -0.03, 0])]), track.intrinsics, track.world_to_camera)
    np.testing.assert_allclose(pixels[:, 0], [[40, 32]] * 41, atol=1e-6)


def test_one_frame_is_a_path() -> None:
    for name in ("front", "turntable", "spiral"):
        track = camera_path(name, np.zeros(1), FOOTAGE, CENTRE, (64, 80))
        assert track.world_to_camera.shape == (1, 4, 4)
        assert np.isfinite(track.world_to_camera).all()


def write(path: Path, content: Any) -> str:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_key_poses_are_met_and_not_overshot(tmp_path: Path) -> None:
    poses = [
        {"time_s": 1, "yaw_deg": -30, "pitch_deg": 5},
        {"time_s": 2, "yaw_deg": 0, "distance_m": 1.2, "roll_deg": 10},
        {"time_s": 3, "yaw_deg": 0, "focal_length_mm": 50},
    ]
    track = camera_path(write(tmp_path / "k.json", poses), TIMES, FOOTAGE, CENTRE, (64, 80))
    yaw, pitch, distance = place(track)
    np.testing.assert_allclose(yaw[[0, 10, 20, 30, 40]], [-30, -30, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(pitch[[10, 20]], [5, 0], atol=1e-6)
    np.testing.assert_allclose(distance[[10, 20, 30]], [0.8, 1.2, 0.8], atol=1e-6)
    assert yaw.max() <= 1e-6
    assert (np.diff(yaw) >= -1e-9).all()
    np.testing.assert_allclose(track.intrinsics[[0, 40], 0, 0], [160, 50 / 36 * 80])
    rolled = look_at(camera_centre(track.world_to_camera[20]), CENTRE, np.radians(10))
    np.testing.assert_allclose(track.world_to_camera[20], rolled, atol=1e-9)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no JSON"),
        ({}, "holds no list of key poses"),
        ([], "holds no list of key poses"),
        ([{"yaw_deg": 1}], "pose 0: has no time_s"),
        ([{"time_s": 0, "yaw": 1}], "pose 0: 'yaw' is unknown; a pose has time_s, yaw_deg"),
        ([{"time_s": 0, "yaw_deg": "1"}], "pose 0: yaw_deg is '1'; give a number"),
        ('[{"time_s": NaN}]', "pose 0: time_s is nan; give a number"),
        ('[{"time_s": 1' + "0" * 400 + "}]", "pose 0: time_s is 1000.*; give a number of at most"),
        ([{"time_s": 0, "yaw_deg": 1e308}], "pose 0: yaw_deg is 1e.308; give a number of at most"),
        ([{"time_s": 0}, {"time_s": 1e-320}], "let times rise by 0.001 s or more"),
        ([{"time_s": 0, "distance_m": 0.1}], r"pose 0: distance_m 0.1 given, below 0.2 m is the inside of a head"),
        ([{"time_s": 0, "focal_length_mm": 0}], "focal_length_mm 0 given"),
        ([{"time_s": 0, "pitch_deg": 91}], "pitch_deg 91 given"),
        ([{"time_s": 1}, {"time_s": 1}], "time_s 1 follows 1; let times rise"),
        ([{"time_s": True}], "time_s is True"),
    ],
)
def test_files_that_are_none(content: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        camera_path(write(tmp_path / "k.json", content), TIMES, FOOTAGE, CENTRE, (64, 80))


def test_key_poses_without_a_file(tmp_path: Path) -> None:
    told = [{"time_s": 0.0, "yaw_deg": -10.0}, {"time_s": 1.0, "yaw_deg": 20.0, "distance_m": 0.9}]
    from_file = camera_path(write(tmp_path / "k.json", told), TIMES, FOOTAGE, CENTRE, (64, 80))
    given = camera_path([KeyPose(**pose) for pose in told], TIMES, FOOTAGE, CENTRE, (64, 80))
    np.testing.assert_array_equal(given.world_to_camera, from_file.world_to_camera)
    np.testing.assert_array_equal(given.intrinsics, from_file.intrinsics)
    for poses, said in (([], "no key pose"), ([KeyPose(1), KeyPose(1)], "let times rise")):
        with pytest.raises(UserError, match=said):
            camera_path(poses, TIMES, FOOTAGE, CENTRE, (64, 80))


@pytest.mark.parametrize(
    ("pose", "said"),
    [
        ({"time_s": None}, "time_s is None; give a number"),
        ({"time_s": 0, "yaw_deg": float("nan")}, "yaw_deg is nan; give a number"),
        ({"time_s": 0, "yaw_deg": None}, "yaw_deg is None"),
        ({"time_s": 0, "distance_m": 0.01}, "the inside of a head"),
        ({"time_s": 0, "pitch_deg": 170}, "give -90 to 90"),
        ({"time_s": 0, "focal_length_mm": 1}, "give 5 to 1000"),
    ],
)
def test_a_key_pose_that_is_none(pose: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        KeyPose(**pose)


def test_a_key_pose_of_numpys_numbers() -> None:
    pose = KeyPose(np.int64(0), np.float32(-30), distance_m=np.float64(0.9))
    yaw, _, distance = place(camera_path([pose], TIMES, FOOTAGE, CENTRE, (64, 80)))
    np.testing.assert_allclose((yaw[0], distance[0]), (-30, 0.9), atol=1e-6)


def test_what_is_no_camera(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="choose front, turntable, spiral"):
        camera_path("sideways", TIMES, FOOTAGE, CENTRE, (64, 80))
    with pytest.raises(UserError, match="cannot be read"):
        camera_path(str(tmp_path / "none.json"), TIMES, FOOTAGE, CENTRE, (64, 80))
    with pytest.raises(UserError, match="does not say where its cameras stood"):
        camera_path("front", TIMES, Footage(), CENTRE, (64, 80))
    inside = look_at([[0, 0.09, 1.0], [0, 0.09, 0.15]], CENTRE)
    with pytest.raises(UserError, match=r"0.10 m from the head's centre in frame 1, inside the head"):
        check_outside(inside, np.array([CENTRE, CENTRE]))
    check_outside(inside, np.array([CENTRE, np.add(CENTRE, [0, 0, -0.2])]))
