"""Training learns what faces show beyond their mean, and equal runs give equal bytes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from datagen.heads.model import load_head
from manifests.errors import UserError
from tests.conftest import Generated
from training.data.clips import Clips
from training.expression.cnn import CnnEncoder, CnnSizes, save_cnn
from training.expression.faces import Faces, read_faces
from training.expression.fit import codes_of_targets, encode_faces, fit_expression, train
from training.expression.lessons import Classroom, Pupil
from training.expression.load import load_encoder
from training.expression.settings import ExpressionSettings
from training.expression.targets import MeanFace

from .conftest import SIZE, draw_faces

SMALL = CnnSizes(code_size=8, picture_size=SIZE, width=8)
QUICK = ExpressionSettings(sizes=SMALL, steps=2, moments=4)
DRAWN = ExpressionSettings(sizes=SMALL, steps=120, moments=8, learning_rate=4e-3, augmentation=0.3, mirror=False)


def test_it_tells_the_expressions_of_people_it_has_not_seen(face: MeanFace) -> None:
    learnt, others = draw_faces(face, 30, 4, 2, seed=1), draw_faces(face, 20, 4, 2, seed=2)
    network, steps, _, unexplained = train(Classroom(learnt, DRAWN), others, DRAWN)
    assert steps == 120
    assert unexplained is not None
    assert unexplained < 0.5
    codes = encode_faces(network, learnt)
    assert torch.allclose(codes.mean(dim=0), torch.zeros(8), atol=1e-3)
    deviation = codes.std(dim=0)
    assert float(deviation.max()) < 1.01
    assert float(deviation[0]) > 0.99
    assert torch.equal(deviation, deviation.sort(descending=True).values)
    assert (
        float((torch.corrcoef(codes[:, deviation > 0.1].T) - torch.eye(int((deviation > 0.1).sum()))).abs().max())
        < 0.01
    )
    # Two views of a moment are far closer than two moments.
    views = encode_faces(network, others).view(-1, 2, 8)
    assert float(views.var(dim=1).mean()) < 0.3 * float(views.mean(dim=1).var(dim=0).mean())


def test_a_motion_has_the_code_that_its_pictures_have_on_average(face: MeanFace) -> None:
    learnt, others = draw_faces(face, 30, 4, 2, seed=1), draw_faces(face, 20, 4, 2, seed=2)
    network, *_ = train(Classroom(learnt, DRAWN), None, DRAWN)
    weight, bias = codes_of_targets(network, learnt)
    seen = encode_faces(network, others)
    told = (torch.from_numpy(others.targets) @ weight.T + bias)[others.moment]
    unexplained = (seen - told).square().sum() / (seen - seen.mean(dim=0)).square().sum()
    assert float(unexplained) < 0.3  # two numbers move these faces


def test_codes_of_motions_go_through_a_folder_and_are_no_part_of_the_digest(corpus: Generated, tmp_path: Path) -> None:
    made = fit_expression(str(corpus.out), tmp_path / "one", QUICK)
    encoder = load_encoder(tmp_path / "one")
    clips = Clips(str(corpus.out))
    motion = clips.motion(0)
    head = load_head(clips.spec(0)["head"]["name"])
    codes = encoder.encode_motion(motion, head)
    assert codes is not None
    assert codes.shape == (motion.frames, 8)
    still = encoder.encode_motion(dataclasses.replace(motion, expression=0 * motion.expression), head)
    assert not torch.equal(codes, still)
    assert isinstance(encoder, CnnEncoder)
    save_cnn(CnnEncoder(SMALL, encoder.network, encoder.target_names), tmp_path / "without")
    without = load_encoder(tmp_path / "without")
    assert without.encode_motion(motion, head) is None
    assert without.digest == encoder.digest == made.digest
    save_cnn(CnnEncoder(SMALL, encoder.network, ("a", "b"), (torch.zeros(8, 2), torch.zeros(8))), tmp_path / "other")
    with pytest.raises(UserError, match="has other expressions than the encoder's"):
        load_encoder(tmp_path / "other").encode_motion(motion, head)
    save_cnn(CnnEncoder(SMALL, encoder.network, ("a",), (torch.zeros(8, 2), torch.zeros(8))), tmp_path / "damaged")
    with pytest.raises(UserError, match="its codes of targets are of shapes"):
        load_encoder(tmp_path / "damaged")


def test_codes_let_go_of_the_pose() -> None:
    """A code that is pose and something else in equal parts, taught independence alone, keeps the something else."""
    generator = torch.Generator().manual_seed(0)
    pupil = Pupil(SMALL.network(), targets=1, places=2)
    mix = torch.nn.Parameter(torch.tensor([[1.0, 1.0, 1.0]] * 8))
    optimiser = torch.optim.Adam([mix], lr=0.02)
    for _ in range(300):
        pose, other = torch.randn(32, 2, generator=generator), torch.randn(32, 1, generator=generator)
        codes = pupil.normal(torch.cat([other, pose], dim=1) @ mix.T)
        optimiser.zero_grad()
        pupil.dependence(codes, pose).backward()
        optimiser.step()
    shares = mix.detach().abs() / mix.detach().norm(dim=1, keepdim=True)
    assert float(shares[:, 1:].max()) < 0.2
    assert float(shares[:, 0].min()) > 0.95


def test_equal_runs_give_equal_bytes_and_another_seed_other_ones(corpus: Generated, tmp_path: Path) -> None:
    one = fit_expression(str(corpus.out), tmp_path / "one", QUICK)
    two = fit_expression(str(corpus.out), tmp_path / "two", QUICK)
    other = fit_expression(str(corpus.out), tmp_path / "other", dataclasses.replace(QUICK, seed=1))
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert one.digest == two.digest == load_encoder(tmp_path / "one").digest
    assert one.digest != other.digest


def test_progress_tells_of_reading_and_of_steps(corpus: Generated, tmp_path: Path) -> None:
    told: list[tuple[float, float, str]] = []
    fit_expression(str(corpus.out), tmp_path / "out", QUICK, progress=lambda *words: told.append(words))
    assert any("reading faces" in words for _, _, words in told)
    assert told[-1][:2] == (2, 2)
    assert "step 2 of 2, unexplained" in told[-1][2]


def test_a_corpus_without_training_people_is_refused(corpus: Generated, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="have more faces than 1; allow more"):
        fit_expression(str(corpus.out), tmp_path / "out", dataclasses.replace(QUICK, most_faces=1))
    with pytest.raises(UserError):
        fit_expression(str(tmp_path), tmp_path / "out", QUICK)


def test_validation_people_who_cannot_be_read_stop_the_training(
    corpus: Generated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(place: str, split: str, *sizes: int, **most: int) -> Faces:
        if split == "validation":
            raise UserError("clip 7: damaged")
        return read_faces(place, split, *sizes, **most)

    monkeypatch.setattr("training.expression.fit.read_faces", damaged)
    fit_expression(str(corpus.out), tmp_path / "none", QUICK)  # there are none to read
    monkeypatch.setattr("training.expression.fit.Clips", lambda place, split: Clips(place, split="train"))
    with pytest.raises(UserError, match="clip 7: damaged"):
        fit_expression(str(corpus.out), tmp_path / "some", QUICK)


def test_a_place_that_is_taken_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is there already and no model folder"):
        fit_expression(str(tmp_path / "no corpus"), tmp_path, QUICK)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"steps": 0}, "expression.steps: 0 given"),
        ({"minutes": 0.0}, "expression.minutes: 0.0 given"),
        ({"moments": 1, "views": 1}, "expression.moments: 1 given with 1 view"),
        ({"coefficients": 1.5}, "expression.coefficients: 1.5 given"),
        ({"invariance": -1.0}, "expression.invariance: -1.0 given"),
    ],
)
def test_settings_that_cannot_be_are_refused(changed: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        dataclasses.replace(QUICK, **changed)  # type: ignore[arg-type]
