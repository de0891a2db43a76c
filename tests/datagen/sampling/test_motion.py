"""Motion is smooth, within limits, and the same curve at any frame rate."""

import numpy as np
import pytest

from datagen.sampling.expression import blink_curve, settle
from datagen.sampling.faces import ACCENTS, EMOTIONS, EXCLUSIVE, EXTREMES, JAW, NOT_USED
from datagen.sampling.head_pose import head_curve
from datagen.sampling.lids import LEAST_OPEN, Lids
from datagen.sampling.motion import Performance, hold_still, sample_motion
from datagen.sampling.rotations import about, axis_angle, multiply, turned
from datagen.sampling.speech import speech_curve
from datagen.sections import MotionSettings
from manifests.clip import HeadInfo

CURVES = ("expression", "root", "neck", "jaw", "left_eye", "right_eye", "translation")
SETTINGS = MotionSettings()


def play(
    head: HeadInfo, index: int, settings: MotionSettings = SETTINGS, fps: float = 240, seconds: float = 12
) -> Performance:
    times = np.arange(int(seconds * fps) + 1) / fps
    shape = np.zeros(head.identity_size, np.float32)
    return sample_motion(settings, head, shape, 1, index, times)


def rotate(axis_angle_rad: np.ndarray) -> np.ndarray:
    """Quaternions of axis-angle vectors, by the definition."""
    angle = np.linalg.norm(axis_angle_rad, axis=-1, keepdims=True)
    axis = axis_angle_rad / np.maximum(angle, 1e-12)
    return np.concatenate([np.cos(angle / 2), axis * np.sin(angle / 2)], axis=-1)


@pytest.mark.parametrize("index", range(6))
def test_head_keeps_its_ranges_and_its_speed(named_head: HeadInfo, index: int) -> None:
    performance = play(named_head, index)
    for axis, (low, high) in enumerate((SETTINGS.yaw_deg, SETTINGS.pitch_deg, SETTINGS.roll_deg)):
        assert low <= performance.head_deg[:, axis].min()
        assert performance.head_deg[:, axis].max() <= high
    motion = performance.motion
    whole = multiply(rotate(motion.root.astype(float)), rotate(motion.neck.astype(float)))
    step = np.abs((whole[1:] * whole[:-1]).sum(axis=1)).clip(0, 1)
    speed = np.degrees(2 * np.arccos(step)) * 240
    assert speed.max() < SETTINGS.speed_deg_per_s * 1.02 + 1  # float32 storage adds a little
    assert speed.max() > 15  # and it does move


def test_root_and_neck_make_the_stated_head_rotation(named_head: HeadInfo) -> None:
    performance = play(named_head, 2, seconds=3, fps=30)
    motion = performance.motion
    whole = multiply(rotate(motion.root.astype(float)), rotate(motion.neck.astype(float)))
    stated = turned(*np.radians(performance.head_deg).T)
    assert np.abs(np.abs((whole * stated).sum(axis=1)) - 1).max() < 1e-6


def test_signs_of_rotations() -> None:
    """Positive yaw turns the face (+Z) to the subject's left (+X), positive pitch turns it down (-Y)."""
    assert axis_angle(about(1, np.array(0.5))) == pytest.approx([0, 0.5, 0])
    quarter = np.array(np.pi / 2)

    def face(quaternion: np.ndarray) -> np.ndarray:
        forward = np.array([0.0, 0, 0, 1])
        inverse = quaternion * np.array([1, -1, -1, -1])
        return multiply(multiply(quaternion, forward), inverse)[1:]

    assert face(turned(quarter, 0 * quarter, 0 * quarter)) == pytest.approx([1, 0, 0], abs=1e-12)
    assert face(turned(0 * quarter, quarter, 0 * quarter)) == pytest.approx([0, -1, 0], abs=1e-12)


@pytest.mark.parametrize("index", range(6))
def test_eyes_keep_their_limits(named_head: HeadInfo, index: int) -> None:
    motion = play(named_head, index).motion
    for eye in (motion.left_eye, motion.right_eye):
        forward = rotate(eye.astype(float))
        w, x, y, z = forward.T
        look = np.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], axis=1)
        yaw, pitch = np.degrees(np.arctan2(look[:, 0], look[:, 2])), np.degrees(-np.arcsin(look[:, 1]))
        assert np.abs(yaw).max() <= 30 + 1e-3
        assert np.abs(pitch).max() <= 20 + 1e-3
        speed = np.abs(np.diff(yaw)).max() * 240
        assert 60 < speed < 900  # saccades are fast, up to 700 degrees a second with the head's own turn
    # The eyes meet in front of the face: the left one (+X) never looks further left than the right one.
    assert (motion.left_eye[:, 1] <= motion.right_eye[:, 1] + 1e-6).all()


def test_lids_follow_the_gaze(named_head: HeadInfo) -> None:
    motion = play(named_head, 1).motion
    names = [name.split(":")[-1] for name in named_head.expression_names]
    left_yaw, left_pitch = motion.left_eye[:, 1], motion.left_eye[:, 0]
    open_eyes = motion.expression[:, names.index("eyeBlinkLeft")] == 0

    def shape(name: str) -> np.ndarray:
        return motion.expression[:, names.index(name)]

    assert (shape("eyeLookOutLeft")[left_yaw < 0] == 0).all()
    assert (shape("eyeLookOutLeft")[left_yaw > 0.1] > 0).all()
    assert (shape("eyeLookInLeft")[left_yaw < -0.1] > 0).all()
    assert (shape("eyeLookDownLeft")[(left_pitch > 0.1) & open_eyes] > 0).all()
    assert (shape("eyeLookUpLeft")[left_pitch > 0] == 0).all()


@pytest.mark.parametrize("index", range(8))
def test_expression_is_bounded_smooth_and_possible(named_head: HeadInfo, index: int) -> None:
    motion = play(named_head, index).motion
    assert motion.expression.min() >= 0
    assert motion.expression.max() <= 1
    names = [name.split(":")[-1] for name in named_head.expression_names]
    column = {name: motion.expression[:, place] for place, name in enumerate(names)}
    assert not column["jawOpen"].any()
    assert not column["mouthClose"].any()
    assert not column["unknown"].any()
    for first, second in EXCLUSIVE:
        for side in ("Left", "Right"):
            pair = [column.get(name, column.get(name + side)) for name in (first, second)]
            assert (pair[0] + pair[1]).max() <= 1 + 1e-5
    jaw = np.degrees(motion.jaw[:, 0])
    assert jaw.min() >= 0
    assert jaw.max() <= SETTINGS.jaw_open_deg + 1e-3
    assert not motion.jaw[:, 1:].any()
    # The fastest thing in a face is a closing lid, minimum jerk over 100 ms; but lids ride on the eyeball.
    speed = np.abs(np.diff(motion.expression, axis=0)).max(axis=0) * 240
    rides = np.array(["eyeLook" in name for name in names])
    assert speed[~rides].max() < 1.875 / 0.1 * 1.25
    assert speed[rides].max() < 900 / 15
    assert np.abs(np.diff(jaw)).max() * 240 < 400
    assert np.abs(motion.translation).max() <= SETTINGS.sway_m + 1e-6


def test_most_faces_move(named_head: HeadInfo) -> None:
    ranges = [np.ptp(play(named_head, index, fps=15, seconds=1).motion.expression, axis=0) for index in range(20)]
    assert np.mean([np.sort(values)[-3] > 0.1 for values in ranges]) > 0.8


def test_blinks_come_at_a_human_rate_and_are_whole() -> None:
    times = np.arange(0, 3600, 0.02)
    rates = []
    for index in range(4):
        closure = blink_curve(SETTINGS, 5, index, times)
        shut = closure > 0.999
        begins = np.flatnonzero(shut[1:] & ~shut[:-1])
        rates.append(len(begins) / 60)
        blinking = closure > 0.02
        runs = np.flatnonzero(np.diff(blinking.astype(int)))
        lengths = np.diff(times[runs])[0::2] if not blinking[0] else np.diff(times[runs])[1::2]
        assert lengths.min() > 0.28
        assert lengths.max() < 0.40
        assert len(lengths) - len(begins) in (-1, 0, 1)  # every blink shuts the eyes
        assert np.diff(times[begins]).min() > 0.5
    assert all(14 <= rate <= 21.5 for rate in rates)


def test_every_blink_is_seen_shut_at_15_fps(named_head: HeadInfo) -> None:
    column = [name.split(":")[-1] for name in named_head.expression_names].index("eyeBlinkLeft")
    for index in range(4):
        closure = play(named_head, index, fps=15, seconds=60).motion.expression[:, column]
        padded = np.concatenate([[0], closure > 0, [0]])
        edges = np.flatnonzero(np.diff(padded))
        peaks = [closure[a:b].max() for a, b in zip(edges[::2], edges[1::2], strict=True) if a > 0 and b < len(closure)]
        assert len(peaks) > 8
        assert min(peaks) > 0.98


def test_blinks_can_be_switched_off(named_head: HeadInfo) -> None:
    column = [name.split(":")[-1] for name in named_head.expression_names].index("eyeBlinkLeft")
    settings = MotionSettings(blinks_per_minute=(0.0, 0.0))
    assert not play(named_head, 0, settings).motion.expression[:, column].any()


def test_speech_has_syllables_and_pauses() -> None:
    settings = MotionSettings(speech_share=1.0)
    times = np.arange(0, 120, 0.005)
    for index in range(4):
        jaw, activity, visemes = speech_curve(settings, 2, index, times)
        peaks = (jaw[1:-1] > jaw[:-2]) & (jaw[1:-1] >= jaw[2:]) & (jaw[1:-1] > 0.1)
        talking = activity > 0.5
        assert 2.2 < peaks.sum() / (talking.sum() * 0.005) < 7
        assert 0.05 < 1 - talking.mean() < 0.6
        assert jaw.min() >= -1e-12
        assert jaw.max() <= 1
        assert visemes.min() >= -1e-12
        assert visemes.max() <= 1
    silent = speech_curve(MotionSettings(speech_share=0.0), 2, 0, times)
    assert not any(curve.any() for curve in silent)


@pytest.mark.parametrize("kind", ["named", "plain"])
def test_frame_rate_and_length_only_choose_the_instants(kind: str, named_head: HeadInfo, plain_head: HeadInfo) -> None:
    head = named_head if kind == "named" else plain_head
    for index in range(5):
        slow, fast = (play(head, index, fps=fps, seconds=4).motion for fps in (15, 30))
        short = play(head, index, fps=15, seconds=1).motion
        for name in CURVES:
            assert np.allclose(getattr(slow, name), getattr(fast, name)[::2], atol=1e-6), name
            assert np.allclose(getattr(short, name), getattr(slow, name)[:16], atol=1e-6), name


def test_a_range_changes_only_its_own_axis(named_head: HeadInfo) -> None:
    base = play(named_head, 3, fps=15)
    wider = play(named_head, 3, MotionSettings(yaw_deg=(-70.0, 70.0)), fps=15)
    assert np.array_equal(base.head_deg[:, 1:], wider.head_deg[:, 1:])
    assert not np.array_equal(base.head_deg[:, 0], wider.head_deg[:, 0])
    assert np.array_equal(base.motion.jaw, wider.motion.jaw)
    quiet = play(named_head, 3, MotionSettings(jaw_open_deg=5.0, blinks_per_minute=(0.0, 0.0)), fps=15)
    assert np.array_equal(base.motion.neck, quiet.motion.neck)
    assert np.array_equal(base.motion.left_eye, quiet.motion.left_eye)


def test_unnamed_components_are_smooth_noise(plain_head: HeadInfo) -> None:
    motion = play(plain_head, 0, seconds=120, fps=30).motion
    assert motion.expression.shape == (3601, 100)
    assert not motion.expression[:, 20:].any()
    assert motion.expression[:, :20].std() == pytest.approx(0.8, abs=0.08)
    assert np.abs(np.diff(motion.expression, axis=0)).max() * 30 < 0.8 * np.sqrt(12) * 2 * np.pi * 1.2
    assert motion.left_eye.any()
    assert motion.neck.any()


def test_still_motion_holds_one_expression_for_each_identity(named_head: HeadInfo, plain_head: HeadInfo) -> None:
    for head in (named_head, plain_head):
        shape = np.zeros(head.identity_size, np.float32)
        first, again, other = (hold_still(SETTINGS, head, shape, 1, identity, 5).motion for identity in (0, 0, 1))
        for name in CURVES:
            curve = getattr(first, name)
            assert curve.shape[0] == 5
            assert (curve == curve[0]).all()
            assert curve.dtype == np.float32
            assert np.array_equal(curve, getattr(again, name))
        assert not np.array_equal(first.expression, other.expression)
        assert not np.array_equal(first.neck, other.neck)


def test_still_eyes_are_open(named_head: HeadInfo) -> None:
    column = [name.split(":")[-1] for name in named_head.expression_names].index("eyeBlinkLeft")
    for identity in range(50):
        motion = hold_still(SETTINGS, named_head, np.zeros(1, np.float32), 1, identity, 1).motion
        assert motion.expression[0, column] == 0
        assert motion.expression.min() >= 0
        assert motion.expression.max() <= 1


def test_tables_name_real_shapes(named_head: HeadInfo) -> None:
    known = {name.split(":")[-1] for name in named_head.expression_names}
    rows = [*EMOTIONS.values(), *EXTREMES, *(row for row in ACCENTS if not any("-" in name for name in row))]
    for name in {name for row in rows for name in row} - {JAW, "neck-platysma"}:
        assert name in known or {f"{name}Left", f"{name}Right"} <= known, name
        assert name not in NOT_USED


def test_settle_keeps_a_blink_whole() -> None:
    known = {"eyeBlinkLeft", "eyeBlinkRight", "eyeWideLeft", "eyeLookDownLeft"}
    tracks = {"eyeWideLeft": np.ones(2), "eyeLookDownLeft": np.array([0.7, 0.7])}
    settled = settle(tracks, np.array([0.0, 1.0]), np.zeros(2), known, Lids(1.0, {}))
    assert settled["eyeBlinkLeft"].tolist() == [0, 1]
    assert settled["eyeWideLeft"].tolist() == [1, 0]
    assert settled["eyeLookDownLeft"].tolist() == [0.7, 0]


def test_a_blink_shuts_eyes_of_any_opening_exactly() -> None:
    known = {"eyeBlinkLeft", "eyeSquintLeft", "cheekSquintLeft", "eyeLookDownLeft", "eyeWideLeft"}
    shares = {"eyeBlinkLeft": -1.0, "eyeSquintLeft": -0.4, "cheekSquintLeft": -0.1, "eyeLookDownLeft": -0.4}
    units = np.random.default_rng(0).random((200, 4))
    blink = np.linspace(0, 1, 200)
    for rest in (0.7, 1.0, 1.3):
        tracks = {"eyeSquintLeft": units[:, 0], "cheekSquintLeft": units[:, 1], "eyeLookDownLeft": units[:, 2]}
        settled = settle(tracks, blink, np.zeros(200), known, Lids(rest, shares))
        opening = rest + sum(share * settled[name] for name, share in shares.items())
        assert opening.min() > -1e-9
        assert opening[-1] == pytest.approx(0, abs=1e-9)
        assert opening[0] >= LEAST_OPEN - 1e-9
        assert (np.diff(settled["eyeBlinkLeft"][[0, 50, 100, 199]]) > 0).all()


def test_a_wink_is_one_eye_shut() -> None:
    known = {"eyeBlinkLeft", "eyeBlinkRight"}
    settled = settle({"eyeBlinkLeft": np.ones(3)}, np.zeros(3), np.zeros(3), known, Lids(1.2, {}))
    assert settled["eyeBlinkLeft"] == pytest.approx(1.2)
    assert not settled["eyeBlinkRight"].any()


def test_every_shape_that_is_used_is_reached(named_head: HeadInfo) -> None:
    shape = np.zeros(named_head.identity_size, np.float32)
    most = np.max(
        [
            sample_motion(SETTINGS, named_head, shape, 0, index, np.arange(20) / 4).motion.expression.max(axis=0)
            for index in range(400)
        ],
        axis=0,
    )
    names = [name.split(":")[-1] for name in named_head.expression_names]
    short = [name for name, value in zip(names, most, strict=True) if value < 0.6]
    assert {name for name in short if "-" not in name} == {*NOT_USED, "unknown"}


def test_extreme_faces_come_at_their_share(named_head: HeadInfo) -> None:
    def strongest(share: float) -> np.ndarray:
        settings = MotionSettings(extreme_share=share, emotion_strength=(0.3, 0.3), speech_share=0.0)
        rides = np.array(["eyeLook" in name or "eyeBlink" in name for name in named_head.expression_names])
        motions = [play(named_head, index, settings, fps=5, seconds=4).motion for index in range(60)]
        return np.array([motion.expression[:, ~rides].max() for motion in motions])

    assert strongest(0.0).max() < 0.5
    assert (strongest(1.0) > 0.6).mean() > 0.9
    assert (strongest(0.5) > 0.6).mean() == pytest.approx(0.5, abs=0.15)


def test_people_blink_more_when_they_speak() -> None:
    times = np.arange(0, 1200, 0.02)

    def rate(speaks: bool) -> float:
        return float(np.mean([_blinks(blink_curve(SETTINGS, 5, index, times, speaks)) for index in range(4)])) / 20

    assert 15 < rate(False) < 20
    assert 20 < rate(True) < 30


def _blinks(closure: np.ndarray) -> int:
    return int(((closure[1:] > 0.5) & (closure[:-1] <= 0.5)).sum())


def test_the_head_nods_with_the_stress_of_syllables() -> None:
    """Energy (the jaw's opening, squared, over a fifth of a second) goes with the head's acceleration."""
    times = np.arange(0, 60, 0.01)

    def smooth(values: np.ndarray) -> np.ndarray:
        return np.convolve(values, np.ones(21) / 21, mode="same")[100:-100]

    def together(nod_deg: float) -> tuple[float, float]:
        still = {"yaw_deg": (-1e-3, 1e-3), "roll_deg": (0.0, 0.0), "pitch_deg": (-8.0, 8.0)}
        settings = MotionSettings(speech_share=1.0, speech_nod_deg=nod_deg, **still)
        found = []
        for index in range(6):
            pitch = head_curve(settings, 3, index, times)[:, 1]
            energy = smooth(speech_curve(settings, 3, index, times)[0] ** 2)
            strength = smooth(np.abs(np.gradient(np.gradient(pitch, 0.01), 0.01)))
            found.append((np.corrcoef(energy, strength)[0, 1], np.corrcoef(energy, smooth(pitch))[0, 1]))
        return tuple(np.mean(found, axis=0))

    with_nods, without = together(3.0), together(0.0)
    assert with_nods[0] > 0.1
    assert with_nods[1] > 0.08
    assert max(without) < 0.05
