"""Figures of fidelity against cases worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training.codec.frames import spread
from training.codec.measure import Sheet, normal_error_deg
from training.data.batch import TENSORS, Sample

REST = [name for name in TENSORS if name not in ("video", "pose_normals")]


def test_angle_by_hand() -> None:
    true = torch.zeros(3, 1, 1, 2)
    true[2, ..., 0] = -1
    made = torch.full((3, 1, 1, 2), 5.0)  # where there is no surface anything may be
    angle = math.radians(10)
    made[..., 0] = 0.5 * torch.tensor([math.sin(angle), 0, -math.cos(angle)]).view(3, 1, 1)  # of any length
    assert normal_error_deg(true, made) == pytest.approx(10, abs=1e-3)
    assert math.isnan(normal_error_deg(torch.zeros_like(true), made))


def test_spread_is_even_and_ascending() -> None:
    assert spread(3, 5) == [0, 1, 2]
    assert spread(10, 5) == [0, 2, 4, 6, 8]
    assert spread(7, 3) == [0, 2, 4]


def test_sheet_shows_errors_eight_times(tmp_path: Path) -> None:
    black = torch.full((3, 1, 2, 2), -1.0)
    sheet = Sheet(rows=1)
    frames = Sample(key=("",), video=black, pose_normals=black + 1, **dict.fromkeys(REST, black))
    sheet.add(frames, black + 20 / 127.5, black + 1)
    sheet.add(frames, black, black)  # no room for it
    sheet.save(tmp_path / "sheet.png")
    picture = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert picture.shape == (2, 12, 3)
    assert [int(picture[0, column, 0]) for column in (0, 2, 4, 6, 8, 10)] == [0, 20, 160, 128, 128, 0]
