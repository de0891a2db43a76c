"""Fitting to a corpus, from its shards to a codec that can be loaded."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from PIL import Image

from manifests.errors import UserError
from tests.conftest import Generated
from training.codec.fit import CodecReport, fit_codec
from training.codec.frames import read_frames
from training.codec.load import load_codec
from training.codec.settings import CodecSettings
from training.data.clips import Clips
from training.progress import display

TINY_WAN = CodecSettings(kind="wan", channels=2, base_dim=2, steps=2, batch=3, frames=1, test_clips=1)


@pytest.fixture(scope="session")
def fitted(corpus: Generated, tmp_path_factory: pytest.TempPathFactory) -> CodecReport:
    return fit_codec(str(corpus.out), tmp_path_factory.mktemp("fit") / "codec")


def test_people_it_has_not_seen_survive(fitted: CodecReport) -> None:
    assert fitted.split == "test"  # this corpus has no validation
    assert fitted.fidelity.windows == 4
    assert fitted.fidelity.psnr_db > 32
    assert fitted.fidelity.foreground_psnr_db > 30
    assert fitted.fidelity.normal_error_deg < 6
    assert abs(fitted.fidelity.latent_mean) < 0.1
    assert 0.5 < fitted.fidelity.latent_deviation < 1.5
    assert load_codec(fitted.folder).digest == fitted.digest
    assert Image.open(fitted.sheet).size == (6 * 80, 4 * 64)
    assert str(fitted).startswith(f"{fitted.folder}: PSNR ")


def test_fitted_again_is_the_same(fitted: CodecReport, corpus: Generated, tmp_path: Path) -> None:
    assert fit_codec(str(corpus.out), tmp_path / "codec").digest == fitted.digest


def test_frames_are_over_black_with_normals_that_face_the_camera(corpus: Generated) -> None:
    clips = Clips(str(corpus.out), split=None)
    frames = next(read_frames(clips, [0], 2))
    assert frames.video.shape == frames.pose_normals.shape == (3, 2, 64, 80)
    assert (frames.video[:, frames.alpha[0] == 0] < -0.9).all()
    surface = frames.pose_normals.norm(dim=0) > 0.5
    assert (frames.pose_normals[2][surface] < 0).float().mean() > 0.95
    assert (frames.pose_normals[:, ~surface] == 0).all()


def test_a_small_autoencoder_is_trained_and_saved(corpus: Generated, tmp_path: Path) -> None:
    report = fit_codec(str(corpus.out), tmp_path / "codec", TINY_WAN)
    codec = load_codec(tmp_path / "codec")
    assert (codec.channels, codec.temporal_stride, codec.digest) == (2, 4, report.digest)
    picture = next(read_frames(Clips(str(corpus.out)), [0], 1)).video
    assert 0.1 < float(codec.encode(picture[None]).std()) < 10
    assert fit_codec(str(corpus.out), tmp_path / "again", TINY_WAN).digest == report.digest


def test_splits_that_are_missing(corpus: Generated, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"frames: 9 .* are asked for"):
        fit_codec(str(corpus.out), tmp_path / "codec", CodecSettings(frames=9))
    with pytest.raises(UserError, match="no corpus here"):
        fit_codec(str(tmp_path), tmp_path / "codec")
    with pytest.raises(UserError, match="resolution: 80 x 64 is no multiple of the codec's 7 pixels"):
        fit_codec(str(corpus.out), tmp_path / "codec", CodecSettings(patch=7))
    assert not (tmp_path / "codec").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "vq"}, "codec.kind: 'vq'"),
        ({"channels": 0}, "codec.channels: 0"),
        ({"kind": "wan", "channels": 0}, "codec.channels: 0"),
        ({"kind": "wan", "frames": 6}, r"codec.frames: 6 given; the autoencoder takes 4k \+ 1, such as 5"),
        ({"steps": 0}, "codec.steps: 0"),
        ({"minutes": 0.0}, "codec.minutes: 0.0"),
        ({"learning_rate": 0.0}, "codec.learning_rate: 0.0"),
        ({"kl_weight": -1.0}, "codec.kl_weight: -1.0"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        CodecSettings(**changes)  # type: ignore[arg-type]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_absent(corpus: Generated, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"codec\.device: cuda is not here"):
        fit_codec(str(corpus.out), tmp_path / "codec", CodecSettings(device="cuda"))


def test_progress_tells_the_time_left() -> None:
    now = [0.0]
    stream = io.StringIO()
    with display(stream, clock=lambda: now[0]) as show:
        for done in (5, 6, 10):  # 5 were done by an earlier run
            show(done, 20, f"{done} of 20 clips")
            now[0] += 11
    assert stream.getvalue().splitlines() == ["6 of 20 clips, 2 min 34 s left", "10 of 20 clips, 44 s left"]


def test_a_place_that_is_taken_is_kept(corpus: Generated, tmp_path: Path) -> None:
    (tmp_path / "codec").mkdir()
    (tmp_path / "codec" / "mine.txt").write_text("mine")
    said: list[str] = []
    with pytest.raises(UserError, match="is there already and no model folder"):
        fit_codec(str(corpus.out), tmp_path / "codec", progress=lambda done, total, words: said.append(words))
    assert not said  # it was noticed before the work
    assert [path.name for path in (tmp_path / "codec").iterdir()] == ["mine.txt"]
