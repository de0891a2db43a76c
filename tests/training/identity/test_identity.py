"""An encoder learns to tell people apart, goes through a folder, and is judged by people and not by their light."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from factorportrait import main
from manifests.errors import UserError
from tests.conftest import Generated
from training.data.clips import Clips
from training.expression.faces import Faces, read_faces
from training.expression.network import FaceNetwork
from training.identity.cnn import CnnIdentity, load_identity, save_identity
from training.identity.encoder import IdentityEncoder
from training.identity.fit import train_identity
from training.identity.lessons import draw_pairs, faces_of_people, told_apart
from training.identity.report import report_identity
from training.identity.settings import IdentitySettings

QUICK = IdentitySettings(size=32, width=4, code_size=8, steps=2, people=4)


def of_both(corpus: str, size: int) -> Faces:
    """Of both people there are; the tests' corpus has one in each split."""
    one, other = (read_faces(corpus, split, size) for split in ("train", "test"))
    identity = np.concatenate([one.identity, other.identity + 1])
    return dataclasses.replace(one, crops=torch.cat([one.crops, other.crops]), identity=identity)


@pytest.fixture(scope="module")
def faces(corpus: Generated) -> Faces:
    return of_both(str(corpus.out), QUICK.size)


@pytest.fixture(scope="module")
def taught(faces: Faces, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("identity") / "encoder"
    save_identity(train_identity(faces, dataclasses.replace(QUICK, width=6, steps=300, learning_rate=3e-3)), folder)
    return folder


def test_it_tells_the_people_it_learnt(taught: Path, corpus: Generated) -> None:
    report = report_identity(load_identity(taught), str(corpus.out), None)
    assert report.people == 2
    assert report.first == 1
    assert report.area == 1
    assert report.same > report.different + 0.3


def test_vectors_are_of_length_1_and_no_picture_changes_anothers(taught: Path) -> None:
    draw = torch.Generator().manual_seed(0)
    pictures, points = torch.rand(3, 3, 40, 48, generator=draw) * 2 - 1, torch.rand(3, 70, 2, generator=draw) * 40
    encoder = load_identity(taught)
    vectors = encoder.embed(pictures, points)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(encoder.embed(pictures[1:2], points[1:2]), vectors[1:2])


def test_the_loss_of_vectors_that_are_known() -> None:
    """Two people: each picture's other at similarity 1, the two of the other person at 0."""
    vectors = torch.eye(2)[[0, 1, 0, 1]]
    expected = math.log(math.exp(10) + 2) - 10
    assert float(told_apart(vectors)) == pytest.approx(expected, rel=1e-3)
    assert float(told_apart(torch.eye(2)[[0, 1, 1, 0]])) == pytest.approx(expected + 10, rel=1e-3)


def test_pairs_are_of_one_person(faces: Faces) -> None:
    people = faces_of_people(faces)
    assert all(len(set(faces.identity[rows])) == 1 for rows in people)
    draw = torch.Generator().manual_seed(1)
    pairs = draw_pairs(faces, people, 100, draw)
    assert pairs.shape == (2 * len(people), 3, 32, 32)
    again = draw_pairs(faces, people, 100, torch.Generator().manual_seed(1))
    assert torch.equal(pairs, again)


def test_equal_runs_give_equal_encoders(faces: Faces) -> None:
    one, again, other = (train_identity(faces, dataclasses.replace(QUICK, seed=seed)).digest for seed in (0, 0, 1))
    assert one == again != other


def test_the_command(
    corpus: Generated,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ["train", "identity", str(corpus.out), "--out", str(tmp_path / "m"), "--steps", "1"]
    assert main(words) == 2
    assert "1 people of split 'train'" in capsys.readouterr().err
    monkeypatch.setattr("training.identity.fit.read_faces", lambda corpus, _, size, **__: of_both(corpus, size))
    assert main(words) == 0
    assert "trained on 2 people" in capsys.readouterr().out
    assert main([*words, "--report"]) == 2
    assert "1 people in split 'test'" in capsys.readouterr().err
    monkeypatch.setattr("training.identity.report.Clips", lambda corpus, split: Clips(corpus, split=None))
    assert main([*words, "--report"]) == 0
    assert "nearest of all" in capsys.readouterr().out
    assert json.loads((tmp_path / "m-report.json").read_text())["people"] == 2


def test_what_is_wrong_is_said(corpus: Generated, taught: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"identity\.size: 20 given; give a multiple of 8"):
        IdentitySettings(size=20)
    with pytest.raises(UserError, match="no model folder"):
        load_identity(tmp_path)
    config = json.loads((taught / "config.json").read_text())
    tensors = (taught / "model.safetensors").read_bytes()
    for change, said in (
        ({"kind": "tea"}, "'tea'"),
        ({"format": 9}, "of format 9"),
        ({"width": 2**40}, "width is"),
        ({"size": 17}, "in steps of 8"),
        ({"code_size": 9}, "its config.json is another's"),
    ):
        folder = tmp_path / "damaged"
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps({**config, **change}))
        (folder / "model.safetensors").write_bytes(tensors)
        with pytest.raises(UserError, match=said):
            load_identity(folder)


def test_another_installed_encoder_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(IdentityEncoder):
        licence = "CC0-1.0"

        def _embed(self, pictures: torch.Tensor, landmarks: torch.Tensor) -> torch.Tensor:
            return pictures.flatten(1)[:, :2] + 3

    class EntryPoint:
        name = "other"

        def load(self) -> object:
            return lambda _folder, _config: Other()

    monkeypatch.setattr("training.folder.entry_points", lambda **_: [EntryPoint()])
    (tmp_path / "config.json").write_text('{"kind": "other"}')
    encoder = load_identity(tmp_path)
    vectors = encoder.embed(torch.zeros(1, 3, 4, 4), torch.zeros(1, 70, 2))
    torch.testing.assert_close(vectors, torch.full((1, 2), math.sqrt(0.5)))


def test_a_folder_goes_round(tmp_path: Path) -> None:
    encoder = CnnIdentity(FaceNetwork(8, 16, 4).eval(), 16, 4, 8)
    save_identity(encoder, tmp_path / "m")
    again = load_identity(tmp_path / "m")
    assert isinstance(again, CnnIdentity)
    assert again.digest == encoder.digest
