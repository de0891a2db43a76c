"""What the page asks for, without a page."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from manifests.errors import UserError
from tests.conftest import Generated
from training.app.studio import Studio
from training.pipeline import PortraitPipeline


@pytest.fixture(scope="module")
def studio(animated: Path, corpus: Generated, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    folder = tmp_path_factory.mktemp("videos")
    return Studio(PortraitPipeline.from_pretrained(animated), str(corpus.out), "test", str(folder))


def test_the_mesh_turns_with_the_camera(studio: Studio) -> None:
    front, side, again = studio.preview(0, 0), studio.preview(60, 10), studio.preview(0, 0)
    assert np.array_equal(front, again)
    assert (front != side).any(axis=2).mean() > 0.2
    assert np.array_equal(studio.preview(400, 10), studio.preview(180, 10))  # held
    assert len(np.unique(front.reshape(-1, 3), axis=0)) > 500


def test_videos_are_large_enough_to_be_seen_and_say_what_they_are(studio: Studio) -> None:
    portrait, driver = studio.clips
    for path in ("hold", "approach", "turntable"):
        video, beside = studio.make(portrait, driver, yaw_deg=30, path=path, frames=4)
        with av.open(video) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
            assert "trainedAlgorithmicMedia" in container.metadata["comment"]
        assert len(frames) == 4
        assert min(frames[0].shape[:2]) >= 200
        assert Path(beside).stat().st_size > 0


def test_what_is_wrong_is_said(studio: Studio, tmp_path: Path) -> None:
    portrait, driver = studio.clips
    for change, said in (
        ({"path": "sideways"}, "'sideways': is none; choose hold"),
        ({"frames": 0}, "frames: 0 asked for"),
        ({"frames": 10**9}, "frames: 1000000000 asked for"),
        ({"yaw_deg": float("nan")}, "give degrees"),
    ):
        with pytest.raises(UserError, match=said):
            studio.make(portrait, driver, **change)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="cannot be read as a picture"):
        studio.portrait(str(tmp_path / "me.png"))


def test_a_source_is_a_file_of_a_known_kind_or_a_clip_that_is_offered(studio: Studio) -> None:
    assert studio.source("portrait", "/some/Me.PNG", 0) == "/some/Me.PNG"
    assert studio.source("driver", None, 1) == studio.clips[1]
    for upload, chosen, said in (
        ("/some/me.mp4", 0, "portrait me.mp4: is of no known kind"),
        (None, 2, "none given"),
        (None, -1, "none given"),
        (None, None, "upload one or choose"),
    ):
        with pytest.raises(UserError, match=said):
            studio.source("portrait", upload, chosen)


def test_without_a_corpus_there_is_nothing_to_choose(animated: Path) -> None:
    assert Studio(PortraitPipeline.from_pretrained(animated)).clips == ()
