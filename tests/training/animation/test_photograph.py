"""Pictures of any aspect become portraits in which the face is where the model knows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from datagen.heads.model import load_head
from manifests.errors import UserError
from tests.training.tracking.test_fit import SIZE, moving, seen
from training.animation.photograph import _front, place_face, read_photograph
from training.footage import Footage
from training.landmarks.detector import Detection, LandmarkDetector
from training.landmarks.portraits import square

FOOTAGE = Footage(
    frames=5, fps=5, height=64, width=80, focal=2.2, distance_m=0.6, yaw_deg=40, pitch_low_deg=-9, pitch_high_deg=19
)


class Fixed(LandmarkDetector):
    licence = "of the tests"

    def __init__(self, points: Tensor, found: float = 1.0) -> None:
        super().__init__()
        self.points, self.found = points, found

    def _detect(self, pictures: Tensor, near: Tensor | None) -> Detection:
        return Detection(self.points[None], torch.ones(1, 70), torch.tensor([self.found]))


@pytest.mark.parametrize("offset", [(0.0, 0.0), (40.0, -20.0)])
def test_a_face_comes_to_where_a_front_camera_sees_it(offset: tuple[float, float]) -> None:
    head = load_head("open")
    points = seen(head, moving(head))[0][0] + torch.tensor(offset)
    picture = -torch.ones(3, *SIZE)
    x, y = points[30].round().long().tolist()
    picture[:, y - 2 : y + 3, x - 2 : x + 3] = 1  # the tip of the nose
    cut, there, shape = place_face("me.png", picture, Fixed(points), head, FOOTAGE)
    assert cut.shape == (3, 64, 80)
    wanted = _front(head, FOOTAGE)
    for ours, theirs in zip(square(there[None]), square(wanted[None]), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-4)
    bright = cut.mean(dim=0) > 0
    rows, columns = torch.nonzero(bright, as_tuple=True)
    middle = torch.stack([columns, rows], dim=1).float().mean(dim=0) + 0.5
    assert (middle - there[30]).norm() < 2
    assert shape.ndim == 1
    assert np.abs(shape).max() < 4


def test_no_face(tmp_path: Path) -> None:
    head = load_head("open")
    with pytest.raises(UserError, match=r"me\.png: no face is found in it; give a picture of one"):
        place_face("me.png", torch.zeros(3, 64, 64), Fixed(torch.rand(70, 2) * 64, 0.1), head, FOOTAGE)


def test_pictures_are_read_upright_and_over_black(tmp_path: Path) -> None:
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20] = 255
    turned = Image.fromarray(pixels)
    exif = turned.getexif()
    exif[0x0112] = 6  # the camera was turned: rotate clockwise
    turned.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    upright = read_photograph(tmp_path / "turned.jpg")
    assert upright.shape == (3, 40, 20)
    assert float(upright[:, :15].mean()) > 0.9
    assert float(upright[:, 25:].mean()) < -0.9

    clear = np.full((8, 8, 4), 255, np.uint8)
    clear[:4, :, 3] = 0
    Image.fromarray(clear).save(tmp_path / "clear.png")
    flat = read_photograph(tmp_path / "clear.png")
    assert float(flat[:, :4].max()) == -1
    assert float(flat[:, 4:].min()) == 1
    Image.fromarray(np.zeros((10, 3000), np.uint8)).save(tmp_path / "wide.png")
    assert read_photograph(tmp_path / "wide.png").shape[2] == 1024


def test_what_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("me")
    good = tmp_path / "good.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(good)
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:3000])
    for name in ("text.png", "cut.png", "absent.png"):
        with pytest.raises(UserError, match=f"{name}: cannot be read as a picture"):
            read_photograph(tmp_path / name)


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_more_than_eight_bits_are_not_cut_off(kind: type, tmp_path: Path) -> None:
    path = tmp_path / ("a.png" if kind is np.uint16 else "a.tiff")
    Image.fromarray(np.full((8, 8), 300, kind)).save(path)
    with pytest.raises(UserError, match="8 bits a channel"):
        read_photograph(path)
