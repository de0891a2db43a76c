"""A detector learns where points are, goes through a folder, and finds faces wherever they are in a picture."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from factorportrait import main
from manifests.errors import UserError
from tests.conftest import Generated
from training.data.clips import Clips
from training.landmarks.cnn import CnnDetector, _parts, save_cnn
from training.landmarks.detector import Detection
from training.landmarks.fit import fit_landmarks
from training.landmarks.load import load_detector
from training.landmarks.network import LandmarkNetwork, Told
from training.landmarks.report import report_landmarks
from training.landmarks.settings import LandmarkSettings

QUICK = LandmarkSettings(width=8, picture_size=32, steps=3, batch=8)


def pictures(corpus: Generated) -> tuple[torch.Tensor, torch.Tensor]:
    clips = Clips(str(corpus.out))
    windows = [window for i in range(len(clips)) for window in clips.windows(i, [(0, range(1)), (1, range(1))])]
    rgb = np.concatenate([window.rgb for window in windows if window.rgb is not None])
    points = np.concatenate([window.landmarks for window in windows])
    return torch.from_numpy(rgb).permute(0, 3, 1, 2).float() / 127.5 - 1, torch.from_numpy(points)


def edges(points: torch.Tensor) -> torch.Tensor:
    return (points.amax(dim=1) - points.amin(dim=1)).amax(dim=1)


def missed(detection: Detection, points: torch.Tensor) -> float:
    """Mean distance in shares of the face."""
    return float(((detection.points - points).norm(dim=-1).mean(dim=1) / edges(points)).mean())


def test_it_finds_the_people_it_learnt(learnt: Path, corpus: Generated) -> None:
    detector = load_detector(learnt)
    shown, points = pictures(corpus)
    whole = detector.detect(shown)
    assert float(whole.found.min()) > 0.5
    assert missed(whole, points) < 0.12
    frame_before = points + 2
    assert missed(detector.detect(shown, frame_before), points) < 0.12


def test_a_small_face_in_a_wide_picture_is_looked_for(learnt: Path, corpus: Generated) -> None:
    shown, points = pictures(corpus)
    height, width = shown.shape[-2:]
    wide = -torch.ones(len(shown), 3, 3 * height, 5 * width)
    wide[:, :, height : 2 * height, 3 * width : 4 * width] = shown
    found = load_detector(learnt).detect(wide)
    assert missed(found, points + torch.tensor([3.0 * width, float(height)])) < 0.2


def test_equal_runs_give_equal_bytes(corpus: Generated, tmp_path: Path) -> None:
    first, again = (fit_landmarks(str(corpus.out), tmp_path / name, QUICK) for name in "ab")
    assert first.digest == again.digest == load_detector(tmp_path / "a").digest  # type: ignore[comparison-overlap]
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (tmp_path / "b" / "model.safetensors").read_bytes()
    other = fit_landmarks(str(corpus.out), tmp_path / "c", dataclasses.replace(QUICK, seed=1))
    assert other.digest != first.digest


def test_a_report_says_how_far_off_it_is(learnt: Path, corpus: Generated) -> None:
    report, sheet = report_landmarks(load_detector(learnt), str(corpus.out), "train")
    clips = Clips(str(corpus.out))
    assert report.overall.faces == int(clips.views.sum())
    assert report.overall.faces == sum(errors.faces for errors in report.by_yaw.values())
    assert report.people == len({clips.info(i).identity for i in range(len(clips))})
    assert report.overall.seen_percent is not None
    assert 0 < report.overall.seen_percent < 30
    assert json.loads(report.to_json())["overall"]["faces"] == report.overall.faces
    assert "| all |" in report.to_markdown()
    assert sheet.size[0] > 100


class Still(LandmarkNetwork):
    """Says the same of every picture."""

    def __init__(self) -> None:
        super().__init__(4)
        self.looked = 0

    def forward(self, shown: torch.Tensor) -> Told:
        self.looked += 1
        count = len(shown)
        points = torch.linspace(-0.5, 0.5, 140).view(1, 70, 2).expand(count, 70, 2)
        return Told(points, torch.ones(count, 70), torch.zeros(count, 70), torch.full((count,), -3.0))


def test_where_there_is_no_face_all_parts_are_looked_at() -> None:
    network = Still()
    detector = CnnDetector(network, 4, 32)
    found = detector.detect(torch.zeros(1, 3, 40, 80))
    assert float(found.found) < 0.5
    assert network.looked == sum(len(_parts(40, 80, tiles)) for tiles in (1, 2, 4)) + 2
    network.looked = 0
    detector.detect(torch.zeros(1, 3, 40, 80), found.points)
    assert network.looked == 2


@pytest.mark.parametrize(("height", "width"), [(40, 40), (64, 80), (1080, 1920), (90, 30)])
@pytest.mark.parametrize("tiles", [1, 2, 4])
def test_parts_cover_a_picture(height: int, width: int, tiles: int) -> None:
    covered = np.zeros((height, width), bool)
    for (x, y), edge in _parts(height, width, tiles):
        rows, columns = (slice(max(0, int(at - edge / 2)), int(np.ceil(at + edge / 2))) for at in (y, x))
        covered[rows, columns] = True
    assert covered.mean() > 0.97


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "expression"}, "no landmark detector"),
        ({"format": 9}, "is of format 9, this version reads 1"),
        ({"width": 100_000}, "width is 100000"),
        ({"picture_size": 36}, "in steps of 8"),
        ({"width": 5}, "tensor"),
    ],
)
def test_damaged_folders_are_refused(change: dict[str, object], said: str, tmp_path: Path) -> None:
    save_cnn(CnnDetector(LandmarkNetwork(8), 8, 32), tmp_path / "d")
    config = json.loads((tmp_path / "d" / "config.json").read_text())
    (tmp_path / "d" / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(UserError, match=said):
        load_detector(tmp_path / "d")


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": 1},
        {"picture_size": 60},
        {"steps": 0},
        {"batch": 0},
        {"learning_rate": float("nan")},
        {"weight_decay": -1},
    ],
)
def test_settings_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError, match=f"landmarks.{next(iter(wrong))}: "):
        LandmarkSettings(**wrong)  # type: ignore[arg-type]


def test_the_command(corpus: Generated, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "landmarks", str(corpus.out), "--out", str(tmp_path / "d"), "--steps", "2"]) == 0
    assert "| turned from the camera |" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"d", "d-report.md", "d-report.json", "d-report.png"}
    with pytest.raises(UserError, match="most_faces: 1 given"):
        fit_landmarks(str(corpus.out), tmp_path / "e", dataclasses.replace(QUICK, most_faces=1))
