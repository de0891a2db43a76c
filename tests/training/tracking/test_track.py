"""From a video to a recording: faces are followed, gaps carried over or said, and the file drives heads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from datagen.heads.model import load_head
from factorportrait import main
from manifests.errors import UserError
from manifests.recording import parse_recording
from tests.training.tracking.test_fit import SIZE, moving, seen
from training.landmarks.cnn import CnnDetector, save_cnn
from training.landmarks.detector import Detection, LandmarkDetector
from training.landmarks.network import LandmarkNetwork
from training.tracking.track import check_gaps, find_faces, track
from training.video_file import save_video

FRAMES = 12


class Knowing(LandmarkDetector):
    """Reads from the brightness of a frame which one it is, and knows where its face is; in some there is none."""

    licence = "of the tests"

    def __init__(self, points: Tensor, missing: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.points, self.missing = points, missing
        self.asked: list[tuple[int, bool]] = []

    def _detect(self, pictures: Tensor, near: Tensor | None) -> Detection:
        t = round(float((pictures.mean() + 1) * 127.5) / 20)
        self.asked.append((t, near is not None))
        sure = torch.zeros(1) if t in self.missing else torch.ones(1)
        return Detection(self.points[t : t + 1] * sure, torch.ones(1, 70), sure)


@pytest.fixture(scope="module")
def points() -> Tensor:
    return seen(load_head("open"), moving(load_head("open"), FRAMES))[0]


def film(path: Path) -> Path:
    frames = np.broadcast_to((np.arange(FRAMES) * 20)[:, None, None, None], (FRAMES, *SIZE, 3))
    save_video(path, frames.astype(np.uint8), 10)
    return path


def test_a_face_is_followed_and_looked_for_when_it_is_lost(points: Tensor) -> None:
    detector = Knowing(points, (4, 5))
    pictures = np.broadcast_to((np.arange(8) * 20)[:, None, None, None], (8, *SIZE, 3)).astype(np.uint8)
    found = find_faces(pictures, 10, detector)
    assert found.found.tolist() == [True] * 4 + [False] * 2 + [True] * 2
    assert detector.asked == [
        (0, False), (1, True), (2, True), (3, True), (4, True), (4, False), (5, False), (6, False), (7, True)
    ]  # fmt: skip


def test_a_tracked_video_is_a_recording(points: Tensor, tmp_path: Path) -> None:
    out, overlay = tmp_path / "new" / "t.npz", tmp_path / "overlay.mp4"
    told: list[str] = []
    made = track(
        film(tmp_path / "v.mp4"), Knowing(points, (6,)), out, overlay=overlay,
        progress=lambda done, total, words: told.append(words),
    )  # fmt: skip
    assert "1 of them without a face, carried over" in str(made)
    assert "licence is: of the tests" in str(made)
    assert "finding the face, 12 of 12 frames" in told
    assert "fitting the head" in told[-1]
    head = load_head("open")
    recording = parse_recording(out, out.read_bytes(), head.info)
    assert recording.fps == pytest.approx(10)
    np.testing.assert_allclose(recording.curves["root"], made.fit.motion.root, atol=1e-6)
    stored = np.load(out)
    assert stored["found"].tolist() == [k != 6 for k in range(FRAMES)]
    assert np.nanmax(stored["error_px"]) < 2
    assert np.isnan(stored["error_px"][6])
    assert overlay.stat().st_size > 1000


def test_faces_that_are_missing_for_long_are_said_and_nothing_is_written(points: Tensor, tmp_path: Path) -> None:
    video = film(tmp_path / "v.mp4")
    with pytest.raises(UserError, match=r"no face in frames 3 to 6, 0\.4 s; cut them out, or allow it"):
        track(video, Knowing(points, (3, 4, 5, 6)), tmp_path / "t.npz", most_missing_s=0.35)
    with pytest.raises(UserError, match="no frame shows a face"):
        track(video, Knowing(points, tuple(range(FRAMES))), tmp_path / "t.npz")
    with pytest.raises(UserError, match=r"is written as \.npz"):
        track(video, Knowing(points), tmp_path / "t.txt")
    with pytest.raises(UserError, match="cannot be read"):
        track(tmp_path / "absent.mp4", Knowing(points), tmp_path / "t.npz")
    with pytest.raises(UserError, match=r"video .*overlay.avi: is written as \.mp4"):
        track(video, Knowing(points), tmp_path / "t.npz", overlay=tmp_path / "overlay.avi")
    for seconds in (-1, float("nan")):
        with pytest.raises(UserError, match=r"most_missing_s: .* given; give 0 or more"):
            track(video, Knowing(points), tmp_path / "t.npz", most_missing_s=seconds)
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


def test_what_no_recording_may_hold_is_not_written(points: Tensor, tmp_path: Path) -> None:
    save_video(tmp_path / "one.mp4", np.zeros((1, *SIZE, 3), np.uint8), 10)
    with pytest.raises(UserError, match=r"t.npz: expression has shape \(1, .* must have 2 to"):
        track(tmp_path / "one.mp4", Knowing(points), tmp_path / "t.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["one.mp4"]


def test_gaps_at_the_ends_count() -> None:
    found = np.array([False, False, True, True, False])
    check_gaps("v", found, 10, 0.2, "cut")
    with pytest.raises(UserError, match="frames 0 to 1"):
        check_gaps("v", found, 10, 0.15, "cut")
    with pytest.raises(UserError, match="frames 3 to 4"):
        check_gaps("v", np.array([True, True, True, False, False]), 10, 0.15, "cut")


def test_the_command_says_when_nothing_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = LandmarkNetwork(4)
    torch.nn.init.constant_(network.said.bias, -9.0)
    save_cnn(CnnDetector(network, 4, 32), tmp_path / "detector")
    film(tmp_path / "v.mp4")
    video, detector, out = (str(tmp_path / name) for name in ("v.mp4", "detector", "t.npz"))
    words = ["track", video, "--landmarks", detector, "--out", out]
    assert main(words) == 2
    assert "no frame shows a face" in capsys.readouterr().err
    assert main([*words, "--device", "cuda:9"]) == 2
    assert not (tmp_path / "t.npz").exists()
