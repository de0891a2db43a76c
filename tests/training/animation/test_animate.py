"""The command: each condition from its own source, a video that says what it is, nothing half written."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from datagen.heads.model import load_head
from factorportrait import main
from manifests.errors import UserError
from tests.conftest import Generated
from tests.training.conftest import Parts
from training.animation.animate import animate
from training.animation.camera_paths import CameraTrack, KeyPose
from training.animation.material import Reader, read_camera, read_recorded_expressions, read_recorded_poses
from training.animation.names import ClipName
from training.animation.shot import AnimationSettings, Shot
from training.codec.load import load_codec
from training.data.clips import Clips
from training.encode import Encode
from training.expression.cnn import CnnSizes
from training.expression.fit import fit_expression
from training.expression.load import load_encoder
from training.expression.settings import ExpressionSettings
from training.landmarks.detector import Detection, LandmarkDetector
from training.portrait import load_portrait
from training.video_file import save_video

SETTINGS = AnimationSettings(steps=1)


def clip(corpus: Generated, number: int, end: str = "") -> str:
    return f"{corpus.out}:{corpus.rows()[number]['key']}{end}"


class NotWhite(LandmarkDetector):
    """Knows where the face is, if the picture is not white."""

    licence = "of the tests"

    def __init__(self, points: Tensor) -> None:
        super().__init__()
        self.points = points

    def _detect(self, pictures: Tensor, near: Tensor | None) -> Detection:
        return Detection(self.points, torch.ones(1, 70), (pictures.mean(dim=(1, 2, 3)) < 0.9).float())


def frames_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def recording(path: Path, corpus: Generated, frames: int = 4, jaw: float = 0.0, forward: float = 0.0) -> str:
    head = load_head(Clips(str(corpus.out)).spec(0)["head"]["name"])
    turned = np.zeros((frames, 3))
    np.savez(
        path, fps=10.0, expression=np.zeros((frames, head.info.expression_size)), head=head.info.name,
        jaw=turned + [jaw, 0, 0], neck=turned + [0, 0.2, 0], translation=turned + [0, 0, forward],
    )  # fmt: skip
    return str(path)


def test_a_clip_driven_by_its_own_is_told_what_the_corpus_holds(corpus: Generated, animated: Path) -> None:
    """Normal maps made here are those that were stored, to the half degree that bytes leave of them."""
    portrait, clips = load_portrait(animated), Clips(str(corpus.out), split=None)
    head, row = load_head(portrait.footage.head), corpus.rows()[1]
    i, size = clips.find(row["key"]), clips.resolution
    times = np.arange(row["frames"]) / clips.fps
    text = clip(corpus, 1, ".v01")
    reader = Reader(portrait.encode, head, portrait.footage, None)
    shot = Shot(
        reader.face(f"{text}[0]"),
        reader.expressions(text),
        reader.poses(text),
        read_camera(ClipName(str(corpus.out), row["key"], 1), times, size),
        times,
    )
    (window,) = clips.windows(i, [(1, range(row["frames"]))])
    assert window.pose_normals is not None
    made = np.moveaxis(shot.normals(head, np.arange(row["frames"]), size, portrait.footage.subdivision), 0, -1)
    stored = np.einsum("tij,thwj->thwi", window.world_to_camera[:, :3, :3], window.pose_normals)
    there = np.linalg.norm(stored, axis=-1) > 0
    assert np.array_equal(there, np.linalg.norm(made, axis=-1) > 0)
    cosine = np.clip((made * stored).sum(axis=-1)[there], -1, 1)
    assert np.degrees(np.arccos(cosine)).max() <= 0.5
    np.testing.assert_allclose(shot.camera.intrinsics, window.intrinsics, rtol=1e-12)
    np.testing.assert_allclose(shot.camera.world_to_camera, window.world_to_camera, atol=1e-9)
    pictures = torch.from_numpy(window.rgb).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
    codes = portrait.encode.codes(pictures, torch.from_numpy(window.landmarks)[None].float())[0]
    torch.testing.assert_close(shot.codes(), codes, atol=1e-5, rtol=0)


def test_each_source_moves_the_video_by_itself(corpus: Generated, animated: Path, tmp_path: Path) -> None:
    face, driver, other = clip(corpus, 0, ".v00[1]"), clip(corpus, 1, ".v00"), clip(corpus, 2, ".v00")
    base = {"portrait": face, "driving": driver, "camera": "front"}
    changes = [{"portrait": clip(corpus, 2, ".v01[0]")}, {"expression": other}, {"pose": other}, {"camera": "spiral"}]
    model = load_portrait(animated)
    videos = [animate(model, settings=SETTINGS, **{**base, **change}).frames for change in [{}, *changes]]
    assert all(video.shape == videos[0].shape for video in videos)
    assert len(videos[0]) == 5
    assert all((video != videos[0]).any() for video in videos[1:])
    for name in ("a.mp4", "b.mp4"):
        animate(model, settings=SETTINGS, **base).save(tmp_path / name)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_the_command_writes_a_long_video_one_beside_and_says_they_are_synthetic(
    corpus: Generated, animated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "poses.json").write_text(json.dumps([{"time_s": 0, "yaw_deg": -20}, {"time_s": 2, "yaw_deg": 20}]))
    out, beside = tmp_path / "new" / "v.mp4", tmp_path / "beside.mp4"
    words = [
        "animate", "--checkpoint", str(animated), "--portrait", clip(corpus, 0), "--driving", clip(corpus, 1, ".v01"),
        "--camera", str(tmp_path / "poses.json"), "--frames", "8", "--steps", "1", "--scheduler", "unipc",
        "--guidance", "expression=2", "camera=1.5", "--out", str(out), "--side-by-side", str(beside),
    ]  # fmt: skip
    assert main(words) == 0
    assert "8 frames at" in capsys.readouterr().out
    height, width = Clips(str(corpus.out)).resolution
    assert frames_of(out).shape == (8, height, width, 3)
    assert frames_of(beside).shape[0] == 8
    assert frames_of(beside).shape[2] > 4 * width
    for path in (out, beside):
        with av.open(str(path)) as container:
            assert "trainedAlgorithmicMedia" in container.metadata["comment"]


def test_a_video_drives_and_what_it_does_not_show_is_carried_over(
    corpus: Generated, animated: Path, tmp_path: Path
) -> None:
    """Frames of a face, and white ones between them."""
    clips, row = Clips(str(corpus.out), split=None), corpus.rows()[1]
    (window,) = clips.windows(clips.find(row["key"]), [(0, range(1))], members=("rgb",))
    assert window.rgb is not None
    white = np.full_like(window.rgb, 255)
    save_video(tmp_path / "v.mp4", np.concatenate([window.rgb] * 3 + [white] * 3 + [window.rgb] * 3), 5)
    model = load_portrait(animated).with_detector(NotWhite(torch.from_numpy(window.landmarks).float()))
    made = animate(model, clip(corpus, 0), str(tmp_path / "v.mp4"), settings=SETTINGS)
    codes = made.shot.expressions.codes
    torch.testing.assert_close(codes[3:6], codes[2:3].lerp(codes[6:7], torch.tensor([[0.25], [0.5], [0.75]])))
    assert made.carried == ((str(tmp_path / "v.mp4"), 3),)
    assert "v.mp4: 3 frames show no face, carried over" in str(made)
    save_video(tmp_path / "v.mp4", np.concatenate([window.rgb] + [white] * 9), 5)
    with pytest.raises(UserError, match=r"driver .*v.mp4: no face in frames 1 to 9, 1.8 s; cut them out$"):
        animate(model, clip(corpus, 0), str(tmp_path / "v.mp4"), settings=SETTINGS)


def test_a_recording_gives_poses_at_the_models_rate(corpus: Generated, animated: Path, tmp_path: Path) -> None:
    portrait = load_portrait(animated)
    poses = read_recorded_poses(recording(tmp_path / "m.npz", corpus), load_head(portrait.footage.head))
    np.testing.assert_allclose(poses.neck, [[0, 0.2, 0]] * 4, atol=1e-7)
    made = animate(portrait, clip(corpus, 0), clip(corpus, 1), pose=str(tmp_path / "m.npz"), settings=SETTINGS)
    assert len(made.frames) == 5  # as long as the expressions go on
    with pytest.raises(UserError, match="encoder reads pictures alone"):
        animate(portrait, clip(corpus, 0), str(tmp_path / "m.npz"), settings=SETTINGS)


def test_a_recording_drives_where_the_encoder_knows_motions(corpus: Generated, parts: Parts, tmp_path: Path) -> None:
    quick = ExpressionSettings(sizes=CnnSizes(code_size=4, picture_size=16, width=4), steps=2, moments=4)
    fit_expression(str(corpus.out), tmp_path / "encoder", quick)
    encode = Encode(load_codec(parts.codec), load_encoder(tmp_path / "encoder"))
    head = load_head(Clips(str(corpus.out)).spec(0)["head"]["name"])
    still, talking = (
        read_recorded_expressions(recording(tmp_path / f"{jaw}.npz", corpus, jaw=jaw), encode, head)
        for jaw in (0.0, 0.3)
    )
    assert talking.codes.shape == (4, 4)
    assert (talking.fps, talking.pictures) == (10, None)
    assert torch.equal(still.codes[0], still.codes[3])
    assert not torch.allclose(still.codes, talking.codes)


def test_what_is_wrong_is_said_and_nothing_is_written(
    corpus: Generated, animated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load_portrait(animated)
    good = {"portrait": clip(corpus, 0), "driving": clip(corpus, 1)}
    (tmp_path / "no.npz").write_bytes(b"PK\x03\x04 no archive")
    for change, said in (
        ({"portrait": "me.png"}, "portrait me.png: cannot be read as a picture"),
        ({"portrait": f"{corpus.out}:tiny-000000099"}, "0 clips of .* have that key"),
        ({"portrait": clip(corpus, 0, "[50]")}, "frames 50 to 51 asked for, it ends at"),
        ({"portrait": clip(corpus, 0, ".v07")}, "has no member 'v07"),
        ({"portrait": f"{tmp_path}:tiny-000000000"}, "no corpus here"),
        ({"driving": "nothing"}, "driver nothing: faces in pictures and videos are found by a detector"),
        ({"driving": str(tmp_path / "absent.npz")}, "absent.npz: cannot be read"),
        ({"pose": str(tmp_path / "no.npz")}, "no.npz: cannot be read"),
        ({"camera": "sideways"}, "choose front, turntable, spiral"),
        ({"camera": clip(corpus, 1, ".v09")}, "view 9"),
        ({"settings": AnimationSettings(steps=0)}, "sampler.steps: 0"),
        ({"settings": AnimationSettings(overlap=3)}, "overlap: 3 given"),
        ({"settings": AnimationSettings(guidance={"tea": 2.0})}, "'tea' is no condition"),
        ({"settings": AnimationSettings(scheduler="dpm++")}, "scheduler: 'dpm..' is none; choose euler, unipc"),
        ({"settings": AnimationSettings(steps=0), "driving": "absent.mp4"}, "sampler.steps: 0"),  # before it is tracked
        ({"camera": "sideways", "driving": "absent.mp4"}, "choose front, turntable, spiral"),
        (
            {"pose": recording(tmp_path / "near.npz", corpus, forward=0.4), "camera": [KeyPose(0, distance_m=0.5)]},
            "camera: is 0.* m from the head's centre in ",
        ),
        ({"settings": AnimationSettings(device="cuda:99")}, "device: cuda:99 is not here"),
    ):
        with pytest.raises(UserError, match=said):
            animate(model, **{**good, "settings": SETTINGS, **change})  # type: ignore[arg-type]
    words = ["animate", "--portrait", good["portrait"], "--driving", good["driving"]]
    assert main([*words, "--checkpoint", str(tmp_path), "--out", str(tmp_path / "v.mp4")]) == 2
    assert "no model" in capsys.readouterr().err
    assert main([*words, "--checkpoint", str(animated), "--out", str(tmp_path / "v.txt")]) == 2
    assert "v.txt: is written as .mp4" in capsys.readouterr().err
    assert main([*words, "--checkpoint", str(animated), "--out", "v.mp4", "--side-by-side", "./v.mp4"]) == 2
    assert "is --out as well" in capsys.readouterr().err
    for frames in (0, 10**12):
        with pytest.raises(UserError, match=f"frames: {frames} given; give 1 to"):
            AnimationSettings(frames=frames)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["near.npz", "no.npz"]


@pytest.mark.parametrize("word", ["expression", "=2", "expression=x"])
def test_a_scale_that_is_none(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["animate", "--checkpoint", "m", "--portrait", "p", "--driving", "d", "--out", "v.mp4", "--guidance", word]
    assert main(words) == 2
    assert "guidance" in capsys.readouterr().err


def test_a_camera_that_leaves_a_clip_is_held(corpus: Generated) -> None:
    clips, row = Clips(str(corpus.out), split=None), corpus.rows()[1]
    times = np.arange(9) / clips.fps
    track: CameraTrack = read_camera(ClipName(str(corpus.out), row["key"]), times, (32, 40))
    np.testing.assert_allclose(track.world_to_camera[5:], track.world_to_camera[4:5].repeat(4, axis=0))
    (window,) = clips.windows(clips.find(row["key"]), [(0, range(1))], members=())
    (height, width), own = clips.resolution, window.intrinsics[0]
    assert (height, width) == (64, 80)
    np.testing.assert_allclose(track.intrinsics[0], np.diag([0.5, 0.5, 1]) @ own)
    square = read_camera(ClipName(str(corpus.out), row["key"]), times, (64, 64)).intrinsics[0]
    np.testing.assert_allclose(square, own - [[0, 0, 8], [0, 0, 0], [0, 0, 0]])  # its middle, and nothing stretched


def test_a_comment_is_kept_in_the_file(tmp_path: Path) -> None:
    save_video(tmp_path / "v.mp4", np.zeros((2, 16, 16, 3), np.uint8), 5, "made up")
    with av.open(str(tmp_path / "v.mp4")) as container:
        assert container.metadata["comment"] == "made up"
