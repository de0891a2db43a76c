"""Videos of any size and make are read, or it is said why not."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from manifests.errors import UserError
from training.tracking.video import read_video
from training.video_file import save_video


def ramp(frames: int, height: int = 32, width: int = 48) -> np.ndarray:
    """Left dark, right bright, each frame brighter."""
    row = np.linspace(0, 150, width)[None, None, :, None] + np.arange(frames)[:, None, None, None] * 10
    return np.broadcast_to(row, (frames, height, width, 3)).astype(np.uint8)


def test_frames_and_their_rate(tmp_path: Path) -> None:
    save_video(tmp_path / "v.mp4", ramp(7), 12.5)
    frames, fps = read_video(tmp_path / "v.mp4")
    assert frames.shape == (7, 32, 48, 3)
    assert fps == pytest.approx(12.5)
    assert np.abs(frames.astype(int) - ramp(7)).mean() < 4


def test_odd_sizes_and_animations(tmp_path: Path) -> None:
    pictures = [Image.fromarray(frame) for frame in ramp(5, 31, 47)]
    pictures[0].save(tmp_path / "v.gif", save_all=True, append_images=pictures[1:], duration=100)
    frames, fps = read_video(tmp_path / "v.gif")
    assert frames.shape == (5, 31, 47, 3)
    assert fps == pytest.approx(10, rel=0.05)


def test_large_ones_are_scaled_down(tmp_path: Path) -> None:
    save_video(tmp_path / "v.mp4", ramp(2, 64, 200), 5)
    frames, _ = read_video(tmp_path / "v.mp4", edge=100)
    assert frames.shape == (2, 32, 100, 3)


def test_what_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("a film")
    save_video(tmp_path / "long.mp4", ramp(9), 5)
    whole = (tmp_path / "long.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 3])
    with av.open(str(tmp_path / "sound.mov"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile long.mp4\n")  # not what it seems, and refused
    for name, said in (
        ("text.mp4", "cannot be read"),
        ("absent.mp4", "cannot be read"),
        ("cut.mp4", "cannot be read|frames at"),
        ("sound.mov", "holds no pictures"),
        ("list.mp4", "cannot be read"),
    ):
        with pytest.raises(UserError, match=f"{name}: .*({said})"):
            read_video(tmp_path / name)
    with pytest.raises(UserError, match="has more than 8 frames; cut it"):
        read_video(tmp_path / "long.mp4", most=8)
