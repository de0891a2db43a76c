"""Sheets and grids show each video under its name, pixel for pixel."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from datagen.geometry.cameras import intrinsics_from_focal, look_at
from manifests.errors import UserError
from manifests.pictures import MARGIN
from training.data.batch import Sample
from training.sheets import CaseVideos, as_pictures, case_sheet, case_videos, condition_videos, enlargement, video_grid
from training.swap_report import SWAPS
from training.swaps import Given, Trial


def make_sample(key: str, seed: int, size: int = 32, frames: int = 5) -> Sample:
    draw = torch.Generator().manual_seed(seed)
    pose = look_at([0.2, 0, 0.7], [0, 0, 0])
    normals = torch.zeros(3, frames, size, size)
    normals[2, :, 8:24, 8:24] = -1
    return Sample(
        key=(key,),
        reference=torch.rand(3, size, size, generator=draw) * 2 - 1,
        reference_landmarks=torch.zeros(70, 2),
        video=torch.rand(3, frames, size, size, generator=draw) * 2 - 1,
        alpha=torch.ones(1, frames, size, size),
        pose_normals=normals,
        intrinsics=torch.tensor(intrinsics_from_focal(50, size, size)).float().expand(frames, 3, 3),
        world_to_camera=torch.tensor(pose).float().expand(frames, 4, 4),
        landmarks=torch.zeros(frames, 70, 2),
    )


@pytest.fixture
def trial() -> Trial:
    own, other = make_sample("faces-000000001.v00[0:5]", 0), make_sample("faces-000000002.v01[0:5]", 1)
    given = {name: Given(own, other if name == "expression" else own) for name in ("unswapped", *SWAPS)}
    return Trial(own, other.key[0], given)


def shown_in(page: Image.Image, picture: np.ndarray, scale: int) -> int:
    """How often a picture, enlarged, is on the page."""
    large = picture.repeat(scale, 0).repeat(scale, 1)
    pixels = np.asarray(page)
    rows, columns = np.nonzero((pixels[: -large.shape[0] + 1, : -large.shape[1] + 1] == large[0, 0]).all(-1))
    places = zip(rows, columns, strict=True)
    return sum(np.array_equal(pixels[r : r + large.shape[0], c : c + large.shape[1]], large) for r, c in places)


def test_pictures_are_the_bytes_that_were_read() -> None:
    stored = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, -1)
    video = torch.from_numpy(stored).permute(3, 0, 1, 2).float() / 127.5 - 1
    assert np.array_equal(as_pictures(video), stored)
    assert as_pictures(torch.full((3, 1, 1, 1), 7.0)).tolist() == [[[[255, 255, 255]]]]


def test_small_pictures_are_enlarged() -> None:
    assert [enlargement(size, size) for size in (32, 64, 80, 128, 256, 512)] == [3, 3, 2, 2, 1, 1]


def test_a_sheet_shows_every_video_of_a_case_at_first_middle_and_last_frame(trial: Trial) -> None:
    videos = {name: make_sample(name, 10 + k).video for k, name in enumerate(trial.given)}
    rows = case_videos(trial, videos)
    assert [*rows.videos] == [
        "truth",
        "generated",
        "swapped rays",
        "swapped camera",
        "swapped head pose",
        "swapped expression",
        "the other clip",
    ]
    assert "faces-000000001" in rows.title
    assert "faces-000000002" in rows.title
    page = case_sheet([rows])
    wanted = [trial.truth.video, *videos.values(), trial.given["expression"].driver.video]
    for video in wanted:
        for t, picture in enumerate(as_pictures(video)):
            assert shown_in(page, picture, 3) == (1 if t in (0, 2, 4) else 0)
    assert shown_in(page, as_pictures(trial.truth.reference[:, None])[0], 3) == 1


def test_every_column_has_its_label() -> None:
    video = torch.full((3, 1, 64, 64), -1.0)
    plain = case_sheet([CaseVideos("", video[:, 0], {"": video, " ": video})])
    named = case_sheet([CaseVideos("a title", video[:, 0], {"truth": video, "generated": video})])
    assert plain.size == named.size
    rows, columns = np.nonzero((np.asarray(plain) != np.asarray(named)).any(-1))
    assert rows.max() < 34 < named.height
    third = named.width // 3
    assert [(columns[rows >= 17] // third == k).any() for k in range(3)] == [False, True, True]
    assert (columns[rows < 17] // third == 0).any()


def test_cases_stand_below_each_other(trial: Trial) -> None:
    rows = case_videos(trial, dict.fromkeys(trial.given, trial.truth.video))
    one, three = case_sheet([rows], frames=2), case_sheet([rows] * 3, frames=2)
    assert three.size == (one.width, 3 * one.height)
    assert np.array_equal(np.asarray(three)[one.height : 2 * one.height], np.asarray(one))
    with pytest.raises(UserError, match="no cases"):
        case_sheet([])


def test_a_grid_shows_conditions_beside_truth_and_result(trial: Trial) -> None:
    sample, driver = trial.truth, trial.given["expression"].driver
    generated = make_sample("", 9).video
    row = condition_videos(sample, driver, generated)
    assert [*row] == ["reference", "normals", "rays", "driver", "truth", "generated"]
    assert {video.shape for video in row.values()} == {(5, 32, 32, 3)}
    assert np.array_equal(row["driver"], as_pictures(driver.video))
    assert row["normals"][0, 16, 16].tolist() == [128, 128, 0]
    assert row["normals"][0, 0, 0].tolist() == [0, 0, 0]
    forward = sample.world_to_camera[0, 2, :3].numpy()
    assert np.abs(row["rays"][0, 15:17, 15:17].mean((0, 1)) / 127.5 - 1 - forward).max() < 0.02

    grid = video_grid([row, row], scale=2)
    assert grid.shape[0] == 5
    assert grid.shape[2] == 6 * (64 + MARGIN)
    for t in (0, 3):
        page = Image.fromarray(grid[t])
        for video in row.values():
            assert shown_in(page, video[t], 2) >= 2


def test_videos_of_different_sizes_make_no_grid(trial: Trial) -> None:
    row = condition_videos(trial.truth, trial.truth, trial.truth.video)
    short = dataclasses.replace(trial.truth, video=trial.truth.video[:, :3])
    with pytest.raises(UserError, match="one length and resolution"):
        video_grid([row, {"truth": as_pictures(short.video)}])
    with pytest.raises(UserError, match="video grid"):
        video_grid([])
