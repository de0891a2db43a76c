"""Curves at other times: exact where they were sampled, between their neighbours elsewhere, held beyond."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from datagen.geometry.cameras import camera_centre, look_at
from training.animation.resample import at_times, cameras_at_times, frame_times, rotations_at_times


def test_times_cover_what_is_shown_at_another_rate() -> None:
    np.testing.assert_allclose(frame_times(10, 5, 10), np.arange(20) / 10)
    np.testing.assert_allclose(frame_times(10, 30, 15), np.arange(5) / 15)
    assert len(frame_times(1, 30, 5)) == 1


def test_values() -> None:
    curve = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, -1.0]], np.float32)
    np.testing.assert_array_equal(at_times(curve, 10, np.arange(3) / 10), curve)
    found = at_times(curve, 10, np.array([0.05, 0.15, 0.9, -1.0]))
    np.testing.assert_allclose(found, [[1, 2], [3, 1], [4, -1], [0, 1]], atol=1e-6)
    assert found.dtype == np.float32


def test_rotations_take_the_shortest_arc_at_an_even_speed() -> None:
    ends = np.array([[0, np.radians(170), 0], [0, np.radians(-170), 0]], np.float32)  # 20 degrees apart
    found = Rotation.from_rotvec(rotations_at_times(ends, 1.0, np.array([0, 0.25, 0.5, 1.0, 5.0])))
    first = Rotation.from_rotvec(ends[0])
    turned = np.degrees((first.inv() * found).magnitude())
    np.testing.assert_allclose(turned, [0, 5, 10, 20, 20], atol=1e-3)
    one = np.array([[0.1, 0, 0]])
    np.testing.assert_array_equal(rotations_at_times(one, 5, np.arange(3)), np.repeat(one, 3, axis=0))


def test_cameras_are_rigid_between_keys_and_exact_at_them() -> None:
    eyes = np.array([[0, 0, 2.0], [1, 0, 1.5], [1.2, 0.4, 1.0]])
    keys = look_at(eyes, np.zeros(3))
    np.testing.assert_allclose(cameras_at_times(keys, 4, np.arange(3) / 4), keys, atol=1e-12)
    (between,) = cameras_at_times(keys, 4, np.array([0.125]))
    np.testing.assert_allclose(camera_centre(between), (eyes[0] + eyes[1]) / 2, atol=1e-12)
    np.testing.assert_allclose(between[:3, :3] @ between[:3, :3].T, np.eye(3), atol=1e-12)
    assert between[3].tolist() == pytest.approx([0, 0, 0, 1])
