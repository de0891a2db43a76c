"""Videos are written whole, the same each time, and look like what they were made of."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from manifests.errors import UserError
from training.video_file import save_video


def moving(frames: int = 7, height: int = 48, width: int = 64) -> np.ndarray:
    """A gradient that wanders."""
    t, y, x = np.ogrid[:frames, :height, :width]
    grey = (2 * x + y + 5 * t).astype(np.uint8)
    return np.stack([grey, np.full_like(grey, 60), 255 - grey], axis=-1)


def read(path: Path) -> tuple[np.ndarray, float]:
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        rate = float(stream.average_rate or 0)
        return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(stream)]), rate


def test_what_is_written_can_be_watched(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "video.mp4"
    frames = moving()
    save_video(path, frames, 15)
    found, rate = read(path)
    assert rate == 15
    assert found.shape == frames.shape
    assert np.abs(found.astype(int) - frames).mean() < 6
    assert [item.name for item in path.parent.iterdir()] == ["video.mp4"]


def test_odd_sizes_gain_a_row_and_a_column(tmp_path: Path) -> None:
    save_video(tmp_path / "odd.mp4", moving(3, 47, 63), 12.5)
    found, rate = read(tmp_path / "odd.mp4")
    assert found.shape == (3, 48, 64, 3)
    assert rate == 12.5


def test_equal_frames_give_equal_bytes_and_replace_what_was_there(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_text("old")
        save_video(tmp_path / name, moving(), 15)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_what_is_no_video_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    for wrong in (moving().astype(np.float32), moving()[0], moving()[:0]):
        with pytest.raises(UserError, match="uint8"):
            save_video(tmp_path / "video.mp4", wrong, 15)
    with pytest.raises(UserError, match="uint8"):
        save_video(tmp_path / "video.mp4", moving(), 0)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        save_video(tmp_path / "file" / "video.mp4", moving(), 15)
    assert [item.name for item in tmp_path.iterdir()] == ["file"]
