"""A user's recorded motion drives the heads, and a recording that cannot is refused before anything is rendered."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datagen.config import CorpusConfig, load_config
from datagen.sampling.clip import sample_clip
from manifests.clip import HeadInfo
from manifests.errors import UserError

FRAMES = 31


def recorded(head: HeadInfo, /, **changes: Any) -> dict[str, Any]:
    """One second at 30 fps: a turn of the neck at even speed, a shape that grows."""
    ramp = np.linspace(0, 1, FRAMES)
    curves = {
        "fps": 30.0,
        "head": head.name,
        "expression": np.outer(ramp, np.eye(head.expression_size)[3]),
        "neck": np.outer(ramp, [0.0, 0.6, 0.0]),
        "translation": np.outer(ramp, [0.0, 0.0, 0.02]),
    } | changes
    return {name: value for name, value in curves.items() if value is not None}


def corpus(folder: Path, **overrides: str) -> CorpusConfig:
    given = {"motion.recordings": str(folder), "frames": "49", "fps": "15", "clips": "40", "identities": "40"}
    return load_config("demo", given | {"recipes": "{phone: 1, view_sweep: 1}"} | overrides)


def test_a_recording_is_played_to_and_fro(tmp_path: Path, named_head: HeadInfo) -> None:
    np.savez(tmp_path / "turn.npz", **recorded(named_head))
    config = corpus(tmp_path)
    config.check_head(named_head)
    clips = [sample_clip(config, named_head, index) for index in range(40)]
    played = [clip for clip in clips if clip.spec.recipe == "phone"]
    assert {clip.spec.recording for clip in played} == {"turn.npz"}
    assert {clip.spec.recording for clip in clips if clip.spec.recipe == "view_sweep"} == {""}
    motion = played[0].motion
    there_and_back = 1 - np.abs(1 - np.mod(np.arange(49) / 15, 2))
    np.testing.assert_allclose(motion.neck[:, 1], 0.6 * there_and_back, atol=1e-6)
    np.testing.assert_allclose(motion.expression[:, 3], there_and_back, atol=1e-6)
    np.testing.assert_allclose(motion.translation[:, 2], 0.02 * there_and_back, atol=1e-6)
    assert not motion.jaw.any()
    assert played[0].spec.summary.head_yaw_deg_max == pytest.approx(np.degrees(0.6), abs=1e-3)


def test_longer_recordings_are_cut_at_a_drawn_place(tmp_path: Path, named_head: HeadInfo) -> None:
    long = np.outer(np.linspace(0, 1, 601), np.eye(named_head.expression_size)[3])
    np.savez(tmp_path / "long.npz", **recorded(named_head, expression=long, neck=None, translation=None))
    clips = [sample_clip(corpus(tmp_path), named_head, index) for index in range(40)]
    starts = [clip.motion.expression[0, 3] for clip in clips if clip.spec.recording]
    assert len(set(starts)) == len(starts)
    for clip in clips:
        if clip.spec.recording:
            np.testing.assert_allclose(np.diff(clip.motion.expression[:, 3]), 1 / 20 / 15, atol=1e-6)


def test_turns_between_frames_lie_on_the_shorter_arc(tmp_path: Path, named_head: HeadInfo) -> None:
    turns = np.zeros((2, 3))
    turns[0, 1], turns[1, 1] = 3.0, -3.0  # 16 degrees apart, across half a turn
    np.savez(
        tmp_path / "arc.npz",
        **recorded(named_head, fps=1.0, expression=np.zeros((2, 3)), neck=turns, translation=None),
    )
    clip = next(c for c in (sample_clip(corpus(tmp_path), named_head, i) for i in range(40)) if c.spec.recording)
    angle = np.abs(clip.motion.neck[:16, 1])
    assert angle.min() > 2.99
    assert angle.max() == pytest.approx(np.pi, abs=0.01)


def test_named_shapes_move_any_head_that_has_them(tmp_path: Path, named_head: HeadInfo) -> None:
    name = named_head.expression_names[5]
    curve = np.linspace(0, 1, FRAMES)[:, None]
    np.savez(tmp_path / "named.npz", **recorded(named_head, head=None, expression=curve, expression_names=[name]))
    clip = next(c for c in (sample_clip(corpus(tmp_path), named_head, i) for i in range(40)) if c.spec.recording)
    assert clip.motion.expression[:, 5].max() > 0.9
    assert not np.delete(clip.motion.expression, 5, axis=1).any()


def test_the_share_and_the_folder(tmp_path: Path, named_head: HeadInfo) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
        np.savez(folder / "turn.npz", **recorded(named_head))
    first, second = (corpus(folder, **{"motion.recorded_share": "0.5"}) for folder in folders)
    assert first.content_hash(named_head) == second.content_hash(named_head)
    drawn = [sample_clip(first, named_head, index).spec for index in range(40)]
    phones = [spec for spec in drawn if spec.recipe == "phone"]
    assert 0.2 < np.mean([bool(spec.recording) for spec in phones]) < 0.8
    assert CorpusConfig.from_json(first.to_json()) == first
    np.savez(folders[1] / "turn.npz", **recorded(named_head, fps=25.0))
    assert corpus(folders[1]).content_hash(named_head) != first.content_hash(named_head)
    with pytest.raises(UserError, match=r"turn\.npz: has changed since"):
        second.check_head(named_head)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"head": "flame2020"}, "recorded for head 'flame2020'"),
        ({"head": None}, "neither head nor expression_names"),
        ({"expression": None}, "has no expression"),
        ({"fps": None}, "has no fps"),
        ({"fps": 0.0}, "fps = 0; must be between"),
        ({"fps": [30.0, 30.0]}, "fps is float64 of shape"),
        ({"neck": np.full((FRAMES, 3), np.nan)}, "neck holds NaN"),
        ({"neck": np.full((FRAMES, 3), 90.0)}, "neck exceeds 3.14 radians"),
        ({"jaw": np.zeros((FRAMES - 1, 3))}, "jaw is float64 of shape"),
        ({"expression": np.zeros((FRAMES, 900))}, "900 components of expression"),
        ({"expression": np.full((FRAMES, 3), 1e6)}, "expression exceeds 20"),
        ({"expression": np.array([[None]])}, "holds pickled objects"),
        ({"expression_names": ["a"]}, "expression_names for"),
        ({"expression": np.full((FRAMES, 3), -0.5)}, "reaches from -0.5 to -0.5; the shapes of head"),
        ({"expression": np.full((FRAMES, 3), 2.0)}, "take -0.1 to 1.3"),
        ({"expression_names": np.zeros(1_000_000, "S1")}, "expression_names holds 1000000 texts"),
        ({"head": "x" * 100_000}, "head holds 1 texts of up to 400000 bytes"),
        ({"expression": np.zeros(200_000, "S1000")}, "expression is |S1000, no numbers"),
        ({"neck": np.zeros((11_000_000, 3), np.int8)}, "neck holds 33000000 numbers"),
        ({"expression": np.zeros((FRAMES, 1)), "expression_names": ["noSuch"]}, "has no expression 'noSuch'"),
    ],
)
def test_faults_are_told_in_one_line(
    tmp_path: Path, named_head: HeadInfo, changes: dict[str, Any], problem: str
) -> None:
    np.savez(tmp_path / "bad.npz", **recorded(named_head, **changes))
    with pytest.raises(UserError) as caught:
        corpus(tmp_path).check_head(named_head)
    assert problem in str(caught.value)
    assert "bad.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_need_a_head_that_has_names(tmp_path: Path, named_head: HeadInfo, plain_head: HeadInfo) -> None:
    curve = np.zeros((FRAMES, 1))
    np.savez(tmp_path / "bad.npz", **recorded(plain_head, expression=curve, expression_names=["jawLeft"]))
    with pytest.raises(UserError, match="has no names"):
        corpus(tmp_path).check_head(dataclasses.replace(plain_head, identity_size=300))


def test_only_plain_files_of_the_folder_count(tmp_path: Path, named_head: HeadInfo) -> None:
    (tmp_path / "link.npz").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(UserError, match=r"holds no \.npz file; links"):
        corpus(tmp_path)
    np.savez(tmp_path / "turn.npz", **recorded(named_head))
    config = corpus(tmp_path)
    assert config.motion.recordings is not None
    assert list(config.motion.recordings.files) == ["turn.npz"]
    for name in ("link.npz", "pipe.npz"):
        (tmp_path / "turn.npz").unlink()
        (tmp_path / name).rename(tmp_path / "turn.npz")
        with pytest.raises(UserError, match=r"turn\.npz: cannot be read \(it is (a link|not a regular file)"):
            config.check_head(named_head)


@pytest.mark.parametrize(
    ("files", "problem"),
    [({}, "needs at least one file"), ({"../a.npz": "0" * 64}, "not the name of a file"), ({"a.npz": "x"}, "SHA-256")],
)
def test_a_stored_configuration_cannot_point_elsewhere(files: dict[str, str], problem: str) -> None:
    stored = json.loads(load_config("demo").to_json())
    stored["motion"]["recordings"] = {"path": "/dev", "files": files}
    with pytest.raises(UserError, match=problem):
        CorpusConfig.from_json(json.dumps(stored))


@pytest.mark.parametrize("field", ["motion.recordings", "appearance.albedo_folder"])
@pytest.mark.parametrize("path", ['"a\\0b"', '"\\udc80"', "~nosuchuser/x", "none"])
def test_no_path_gives_a_traceback(field: str, path: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config("demo", {field: path})
    assert "\n" not in str(caught.value)
    assert field in str(caught.value)


def test_folders_of_overrides_are_seen_from_where_the_command_runs(
    tmp_path: Path, named_head: HeadInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("here", "home/there"):
        (tmp_path / place).mkdir(parents=True)
        np.savez(tmp_path / place / "turn.NPZ", **recorded(named_head))
        (tmp_path / place / "turn.NPZ.npz").rename(tmp_path / place / "turn.NPZ")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for given, place in (("here", "here"), ("~/there", "home/there")):
        recordings = load_config("demo", {"motion.recordings": given}).motion.recordings
        assert recordings is not None
        assert recordings.path == str(tmp_path / place)
        assert list(recordings.files) == ["turn.NPZ"]


def test_folders_that_hold_no_motion(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no \.npz file"):
        corpus(tmp_path)
    with pytest.raises(UserError, match="missing cannot be listed"):
        corpus(tmp_path / "missing")
    (tmp_path / "bad.npz").write_bytes(b"not a zip")
    with pytest.raises(UserError, match=r"bad\.npz: cannot be read"):
        corpus(tmp_path).check_head(HeadInfo("plain", "flame", "0" * 64, "licensed", 300, 100, (), (0.0, 0.1, 0.03)))
