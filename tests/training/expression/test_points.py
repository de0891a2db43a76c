"""Landmarks as codes: white on the people they were fitted to, the same wherever the face is, and in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from factorportrait import main
from manifests.errors import UserError
from tests.conftest import Generated
from training.expression.faces import read_faces
from training.expression.load import load_encoder
from training.expression.points import PointsEncoder, fit_points


def test_codes_are_white_and_do_not_care_where_the_face_is(corpus: Generated, tmp_path: Path) -> None:
    made = fit_points(str(corpus.out), tmp_path / "points", 6)
    encoder = load_encoder(tmp_path / "points")
    assert isinstance(encoder, PointsEncoder)
    assert encoder.digest == made.digest
    faces = read_faces(str(corpus.out), "train", 16)
    codes = encoder.codes(torch.from_numpy(faces.landmarks))
    assert codes.shape == (len(faces), 6)
    torch.testing.assert_close(codes.T @ codes / len(codes), torch.eye(6), atol=1e-2, rtol=0)
    points = torch.rand(1, 2, 70, 2, generator=torch.Generator().manual_seed(0)) * 40
    there = encoder.read(torch.zeros(1, 3, 2, 8, 8), points)
    assert there.shape == (1, 2, 6)
    torch.testing.assert_close(encoder.read(torch.zeros(1, 3, 2, 8, 8), 1.5 * points + 7), there, atol=1e-3, rtol=1e-3)


def test_a_crop_tells_nothing(corpus: Generated, tmp_path: Path) -> None:
    fit_points(str(corpus.out), tmp_path / "points", 3)
    with pytest.raises(UserError, match="a crop has none"):
        load_encoder(tmp_path / "points").encode(torch.zeros(1, 3, 16, 16))


def test_the_command_and_what_is_damaged(corpus: Generated, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "points"
    words = ["train", "expression", str(corpus.out), "--kind", "landmarks", "--out", str(out), "--code-size", "4"]
    assert main(words) == 0
    assert "4 numbers of landmarks" in capsys.readouterr().out
    assert load_encoder(out).code_size == 4
    assert main([*words, "--report"]) == 2
    assert main([*words[:-1], "500"]) == 2
    save_file({"components": torch.zeros(4, 3), "mean": torch.zeros(140)}, out / "model.safetensors")
    with pytest.raises(UserError, match="do not fit"):
        load_encoder(out)
    (out / "config.json").write_text(json.dumps({"kind": "landmarks-as-expression", "format": 9}))
    with pytest.raises(UserError, match="is of format 9"):
        load_encoder(out)
