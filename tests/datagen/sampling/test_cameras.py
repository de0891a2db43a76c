import numpy as np
import pytest

from datagen.geometry.cameras import camera_centre, project
from datagen.sampling.cameras import CameraRig, sample_cameras
from datagen.sections import CameraSettings, Trajectories

CENTRE = (0.0, 0.13, 0.02)
TRAJECTORIES = ("turntable", "spiral", "arc", "handheld")


def shoot(
    recipe: str,
    index: int = 0,
    views: int = 4,
    fps: float = 15,
    seconds: float = 5.33,
    size: tuple[int, int] = (512, 512),
    **settings: object,
) -> CameraRig:
    times = np.arange(round(seconds * fps) + 1) / fps
    return sample_cameras(CameraSettings(**settings), CENTRE, recipe, 1, index, views, times, size)  # type: ignore[arg-type]


def only(name: str) -> Trajectories:
    return Trajectories(**{name: 1.0})


def angles(rig: CameraRig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Yaw, pitch and distance from the stored matrices alone, about the head's centre."""
    away = camera_centre(rig.cameras.world_to_camera) - np.array(CENTRE)
    distance = np.linalg.norm(away, axis=-1)
    return (
        np.degrees(np.arctan2(away[..., 0], away[..., 2])),
        np.degrees(np.arcsin(away[..., 1] / distance)),
        distance,
    )


@pytest.mark.parametrize("index", range(5))
def test_phone_views_are_frontal_and_fixed(index: int) -> None:
    rig = shoot("phone", index, phone_yaw_deg=(-12.0, 12.0), phone_pitch_deg=(-10.0, 8.0))
    yaw, pitch, _ = angles(rig)
    assert np.abs(yaw).max() < 14
    assert pitch.min() > -16
    assert pitch.max() < 10
    matrices = rig.cameras.world_to_camera
    assert (matrices == matrices[:, :1]).all()
    assert rig.trajectory == "fixed"
    assert len(np.unique(rig.yaw_deg[:, 0])) == 4


@pytest.mark.parametrize("index", range(5))
def test_studio_views_are_fixed_and_cover_the_range(index: int) -> None:
    rig = shoot("studio", index, views=8, yaw_deg=(-80.0, 80.0))
    assert (rig.cameras.world_to_camera == rig.cameras.world_to_camera[:, :1]).all()
    strata = np.sort(np.floor((rig.yaw_deg[:, 0] + 80) / 20).astype(int))
    assert strata.tolist() == list(range(8))


@pytest.mark.parametrize("name", TRAJECTORIES)
@pytest.mark.parametrize("yaw", [(-90.0, 90.0), (-180.0, 180.0), (-20.0, 10.0), (5.0, 5.0)])
def test_moving_cameras_keep_their_ranges_and_speed(name: str, yaw: tuple[float, float]) -> None:
    for index in range(5):
        rig = shoot(
            "dynamic_sweep",
            index,
            fps=120,
            trajectories=only(name),
            yaw_deg=yaw,
            pitch_deg=(-15.0, 30.0),
            distance_m=(0.6, 1.4),
            sweep_deg_per_s=(20.0, 45.0),
        )
        assert rig.trajectory == name
        assert yaw[0] - 1e-9 <= rig.yaw_deg.min()
        assert rig.yaw_deg.max() <= yaw[1] + 1e-9
        assert rig.pitch_deg.min() >= -15 - 1e-9
        assert rig.pitch_deg.max() <= 30 + 1e-9
        assert rig.distance_m.min() >= 0.6
        assert rig.distance_m.max() <= 1.4
        step = np.diff(rig.yaw_deg, axis=1)
        step = (step + 180) % 360 - 180  # a full circle jumps from 180 to -180
        speed = np.hypot(step, np.diff(rig.pitch_deg, axis=1)) * 120
        assert speed.max() <= 45 * 1.01
        if name != "handheld" and yaw[1] - yaw[0] > 90:
            assert np.ptp(rig.yaw_deg, axis=1).min() > 10  # and every view does move


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_moving_cameras_are_smooth(name: str) -> None:
    rig = shoot("view_sweep", 2, fps=240, trajectories=only(name), yaw_deg=(-180.0, 180.0))
    eye = camera_centre(rig.cameras.world_to_camera)
    velocity = np.diff(eye, axis=1) * 240
    assert np.linalg.norm(np.diff(velocity, axis=1), axis=-1).max() * 240 < 12  # m/s^2, no jerk of the hand
    assert np.linalg.norm(velocity, axis=-1).max() < 2.5


def test_a_full_range_lets_the_turntable_go_round() -> None:
    rig = shoot("dynamic_sweep", 0, seconds=12, trajectories=only("turntable"), yaw_deg=(-180.0, 180.0),
                sweep_deg_per_s=(40.0, 40.0))  # fmt: skip
    turned = np.unwrap(np.radians(rig.yaw_deg), axis=1)
    assert np.degrees(np.abs(turned[:, -1] - turned[:, 0])) == pytest.approx(np.full(4, 480.0), abs=3)


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_views_differ(name: str) -> None:
    rig = shoot("view_sweep", 1, trajectories=only(name))
    eyes = camera_centre(rig.cameras.world_to_camera)
    for first in range(4):
        for second in range(first):
            assert np.linalg.norm(eyes[first] - eyes[second], axis=-1).mean() > 0.1


def test_frame_rate_only_chooses_the_instants() -> None:
    for name in TRAJECTORIES:
        slow, fast = (shoot("dynamic_sweep", 3, fps=fps, seconds=2, trajectories=only(name)) for fps in (15, 30))
        assert np.allclose(slow.cameras.world_to_camera, fast.cameras.world_to_camera[:, ::2], atol=1e-12)


@pytest.mark.parametrize("size", [(512, 512), (128, 192), (640, 360)])
def test_heads_fill_their_share_of_the_picture(size: tuple[int, int]) -> None:
    for index in range(20):
        rig = shoot("studio", index, size=size, seconds=0, head_share=(0.45, 0.6), distance_m=(0.35, 4.0))
        crown_and_chin = np.array(CENTRE) + np.array([[0, 0.12, 0], [0, -0.12, 0]])
        upright = shoot("studio", index, size=size, seconds=0, head_share=(0.45, 0.6), distance_m=(0.35, 4.0),
                        pitch_deg=(0.0, 0.0), roll_deg=(0.0, 0.0))  # fmt: skip
        pixels, depth = project(crown_and_chin, upright.cameras.intrinsics[:, 0], upright.cameras.world_to_camera[:, 0])
        share = np.abs(pixels[:, 0, 1] - pixels[:, 1, 1]) / size[1]
        assert (share > 0.44).all()
        assert (share < 0.62).all()
        assert (depth > 0).all()
        middle, _ = project(np.array([CENTRE]), rig.cameras.intrinsics[:, 0], rig.cameras.world_to_camera[:, 0])
        assert (np.abs(middle[:, 0] - np.array(size) / 2) < 0.2 * max(size)).all()


def test_free_distance_fills_its_range() -> None:
    rig = shoot("studio", 0, views=64, seconds=0, head_share=None, distance_m=(0.5, 3.0))
    assert rig.distance_m.min() < 0.7
    assert rig.distance_m.max() > 2.8


def test_intrinsics_follow_the_lens() -> None:
    rig = shoot("phone", size=(256, 128), focal_length_mm=(72.0, 72.0))
    assert rig.focal_length_mm == 72
    assert rig.cameras.intrinsics[2, 3] == pytest.approx(np.array([[512, 0, 128], [0, 512, 64], [0, 0, 1.0]]))


def test_roll_turns_the_camera() -> None:
    level, rolled = (shoot("phone", roll_deg=(roll, roll)) for roll in (0.0, 10.0))
    assert level.cameras.world_to_camera[0, 0, 0, 1] == pytest.approx(0, abs=1e-12)  # right is horizontal
    cosine = (level.cameras.world_to_camera[0, 0, 0, :3] * rolled.cameras.world_to_camera[0, 0, 0, :3]).sum()
    assert np.degrees(np.arccos(cosine)) == pytest.approx(10)
