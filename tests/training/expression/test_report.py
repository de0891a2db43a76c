"""The report's numbers on codes of which one knows what they hold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from manifests.errors import UserError
from tests.conftest import Generated
from training.expression.cnn import CnnEncoder, CnnSizes
from training.expression.faces import Faces, read_faces
from training.expression.probes import Scores, probe
from training.expression.report import report_and_sheet, retrieval_sheet
from training.expression.targets import MeanFace

from .conftest import SIZE, draw_faces


@pytest.fixture(scope="module")
def people(face: MeanFace) -> tuple[Faces, Faces]:
    return draw_faces(face, 24, 6, 2, seed=1), draw_faces(face, 12, 6, 2, seed=2)


def scores(people: tuple[Faces, Faces], *codes: np.ndarray) -> Scores:
    return probe(codes[0], people[0], codes[1], people[1])


def identities(faces: Faces, unseen: int) -> np.ndarray:
    """One of 40 places each."""
    codes = np.zeros((len(faces), 40), np.float32)
    codes[np.arange(len(faces)), faces.identity % 1000 + unseen] = 1
    return codes


def test_codes_that_are_the_expression_tell_it_and_no_more(people: tuple[Faces, Faces]) -> None:
    told = scores(people, *(faces.coefficients[faces.moment] for faces in people))
    for part in ("all", "jaw", "brows"):
        group = told.groups[part]
        assert group.visible == pytest.approx(1, abs=0.01)
        assert group.landmarks == pytest.approx(1, abs=0.02)
        assert group.plain == pytest.approx(1, abs=0.01)
    assert told.groups["cheeks"].visible is None
    assert told.identity_chance == pytest.approx(1 / 12)
    assert told.identity_accuracy < 0.3
    assert told.head_yaw < 0.05
    assert told.view_spread == pytest.approx(0, abs=1e-6)


def test_codes_that_are_the_person_tell_no_expression(people: tuple[Faces, Faces]) -> None:
    told = scores(people, identities(people[0], 0), identities(people[1], 20))
    assert told.groups["all"].visible is not None
    assert told.groups["all"].visible < 0.1
    codes = (identities(people[0], 0), identities(people[1], 0))
    assert scores(people, *codes).identity_accuracy == 1


def test_codes_that_are_the_view_tell_pose_and_are_not_invariant(people: tuple[Faces, Faces]) -> None:
    told = scores(people, *(faces.view[:, None].astype(np.float32) for faces in people))
    assert told.head_yaw == pytest.approx(1, abs=0.01)
    assert told.camera_yaw == pytest.approx(1, abs=0.01)
    assert told.head_pitch < 0.1
    assert told.view_spread > 1


def test_codes_of_noise_tell_nothing(people: tuple[Faces, Faces]) -> None:
    generator = np.random.default_rng(0)
    told = scores(people, *(generator.normal(size=(len(faces), 8)) for faces in people))
    assert told.groups["all"].visible is not None
    assert told.groups["all"].visible < 0.1
    assert told.identity_accuracy < 0.3
    assert told.view_spread == pytest.approx(1, abs=0.2)


def test_the_sheet_shows_other_people_of_like_expression(people: tuple[Faces, Faces]) -> None:
    faces = people[1]
    sheet = retrieval_sheet(faces.coefficients[faces.moment], faces, queries=3, nearest=2, scale=1)
    assert sheet.size == (3 * SIZE + 4, 3 * SIZE)
    pixels = np.asarray(sheet)
    crops = faces.crops.permute(0, 2, 3, 1).numpy()
    for row in pixels.reshape(3, SIZE, -1, 3):
        shown = [row[:, :SIZE], *np.split(row[:, SIZE + 4 :], 2, axis=1)]
        found = [int(np.flatnonzero((crops == tile).all(axis=(1, 2, 3)))[0]) for tile in shown]
        assert len(set(faces.identity[found])) == 3
        jaw = faces.coefficients[faces.moment[found], faces.face.coefficient_names.index("jawOpen")]
        assert np.ptp(jaw) < 0.25


def test_a_report_of_a_corpus_reads_well(corpus: Generated) -> None:
    sizes = CnnSizes(code_size=4, picture_size=SIZE, width=8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = CnnEncoder(sizes, sizes.network().eval(), ())
    report, sheet = report_and_sheet(encoder, str(corpus.out))
    text = report.to_markdown()
    assert f"# Expression encoder {encoder.digest[:12]}" in text
    assert "| mouth |" in text
    assert "nan" not in text
    record = json.loads(report.to_json())
    assert record["split"] == "test"
    assert record["code"]["groups"]["all"]["visible"] == report.code.groups["all"].visible
    assert sheet.height % SIZE == 0


def test_faces_of_a_corpus_are_all_its_views_and_frames(corpus: Generated) -> None:
    faces = read_faces(str(corpus.out), "train", SIZE)
    rows = [row for row in corpus.rows() if row["split"] == "train"]
    assert len(faces) == sum(row["views"] * row["frames"] for row in rows)
    assert set(faces.identity.tolist()) == {row["identity"] for row in rows}
    assert faces.crops.shape[1:] == (3, SIZE, SIZE)
    # The nose is in the middle of a crop, and two views of a moment have one truth.
    assert np.abs(faces.landmarks[:, 30]).max() < 0.7
    assert [len(rows) for rows in faces.views_of_moments()] == [rows[0]["views"]] * len(faces.targets)
    few = read_faces(str(corpus.out), "train", SIZE, most=2 * sum(row["views"] for row in rows))
    assert len(few) == 2 * sum(row["views"] for row in rows)
    assert {(c, f) for c, f in zip(few.clip, few.frame, strict=True)} < {
        (c, f) for c, f in zip(faces.clip, faces.frame, strict=True)
    }


def test_a_split_without_people_is_refused(corpus: Generated, tmp_path: Path) -> None:
    with pytest.raises(UserError):
        read_faces(str(corpus.out), "nowhere", SIZE)
