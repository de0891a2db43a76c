import numpy as np
import pytest

from datagen.geometry.cameras import (
    camera_centre,
    intrinsics_from_focal,
    look_at,
    plucker_rays,
    project,
    scale_intrinsics,
    unproject,
    world_normals_to_camera,
)
from tests.datagen.geometry.scenes import cameras_around


def test_a_frontal_camera_sees_left_and_up_as_a_viewer_does() -> None:
    intrinsics, pose = intrinsics_from_focal(36, 100, 100), look_at([0, 0, 2], [0, 0, 0])
    pixels, depth = project(np.array([[0.0, 0, 0], [0.2, 0, 0], [0, 0.2, 0]]), intrinsics, pose)
    assert np.allclose(pixels, [[50, 50], [60, 50], [50, 40]])
    assert np.allclose(depth, 2)


def test_positive_roll_turns_the_camera_clockwise() -> None:
    intrinsics, pose = intrinsics_from_focal(36, 100, 100), look_at([0, 0, 2], [0, 0, 0], np.pi / 2)
    pixels, _ = project(np.array([[0, 0.2, 0]]), intrinsics, pose)
    assert np.allclose(pixels, [[40, 50]]), "the world's up points to the left of the picture"


def test_look_at_is_rigid_and_puts_the_target_in_the_middle() -> None:
    rng = np.random.default_rng(0)
    eye, target, roll = rng.normal(size=(5, 4, 3)), rng.normal(size=(5, 4, 3)), rng.normal(size=(5, 4))
    pose = look_at(eye, target, roll)
    rotation = pose[..., :3, :3]
    assert np.allclose(rotation @ np.swapaxes(rotation, -1, -2), np.eye(3), atol=1e-12)
    assert np.allclose(np.linalg.det(rotation), 1)
    assert np.allclose(camera_centre(pose), eye)
    local = np.einsum("...ij,...j->...i", rotation, target) + pose[..., :3, 3]
    assert np.allclose(local[..., :2], 0, atol=1e-12)
    assert np.allclose(local[..., 2], np.linalg.norm(target - eye, axis=-1))


def test_look_at_straight_down_is_the_limit_of_a_frontal_camera() -> None:
    assert np.allclose(look_at([0, 1, 0], [0, 0, 0]), look_at([0, 1, 1e-7], [0, 0, 0]), atol=1e-6)


def test_look_at_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="stands on"):
        look_at([1, 2, 3], [1, 2, 3])


def test_unproject_undoes_project() -> None:
    rng = np.random.default_rng(1)
    points = rng.uniform(-0.1, 0.1, (50, 3))
    for intrinsics, pose in cameras_around(20, seed=2):
        pixels, depth = project(points, intrinsics, pose)
        assert np.allclose(unproject(pixels, depth, intrinsics, pose), points, atol=1e-12)


def test_plucker_rays_pass_through_back_projected_pixels() -> None:
    height, width = 7, 5
    pixels = np.array([[x + 0.5, y + 0.5] for y in range(height) for x in range(width)])
    for intrinsics, pose in cameras_around(10, seed=3, size=width):
        rays = plucker_rays(intrinsics, pose, height, width).reshape(6, -1).T
        direction, moment = rays[:, :3], rays[:, 3:]
        assert np.allclose(np.linalg.norm(direction, axis=1), 1, atol=1e-6)
        for depth in (0.3, 2.0):
            points = unproject(pixels, np.full(len(pixels), depth), intrinsics, pose)
            assert np.allclose(np.cross(points, direction), moment, atol=1e-6)
            assert ((points - camera_centre(pose)) * direction).sum(axis=1).min() > 0


def test_rays_of_a_resized_picture_keep_their_field_of_view() -> None:
    (intrinsics, pose), *_ = cameras_around(1, seed=4, size=64)
    full = plucker_rays(intrinsics, pose, 64, 64)
    small = plucker_rays(scale_intrinsics(intrinsics, 0.25), pose, 16, 16)
    pooled = full.reshape(6, 16, 4, 16, 4).mean(axis=(2, 4))
    assert np.abs(small - pooled).max() < 2e-3


def test_normals_that_face_the_camera_have_negative_z() -> None:
    for intrinsics, pose in cameras_around(5, seed=5):
        towards = camera_centre(pose) / np.linalg.norm(camera_centre(pose))
        turned = world_normals_to_camera(np.broadcast_to(towards, (2, 2, 3)), pose)
        assert turned[..., 2].max() < -0.99
        assert np.allclose(np.linalg.norm(turned, axis=-1), 1)
        assert intrinsics.shape == (3, 3)
