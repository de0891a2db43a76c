"""What the audit is handed: a clip's geometry made anew, its mesh, and the clip rendered again."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from datagen.geometry.cameras import camera_centre, project
from datagen.heads.model import load_head
from datagen.probe import mesh_probe, picture_probe, place_probe, rerender, stored
from manifests.clip import Motion
from manifests.conventions import SEGMENTATION_CLASSES
from manifests.corpus import read_corpus
from manifests.errors import UserError
from manifests.storage import Storage
from tests.conftest import Generated

Sample = dict[str, Any]


@pytest.fixture(scope="module")
def sample(corpus: Generated) -> Sample:
    return corpus.sample(corpus.rows()[1])


def ask(sample: Sample, pictures: list[tuple[int, int]], **spec: Any) -> Any:
    return picture_probe({**sample["spec.json"], **spec}, sample["motion.npz"], sample["cameras.npz"], pictures)


def with_(sample: Sample, member: str, key: str, value: Any) -> Sample:
    return {**sample, member: {**sample[member], key: value}}


def test_the_mesh_is_what_the_labels_show(sample: Sample) -> None:
    pictures = [(1, 4), (0, 0), (1, 2)]
    made = ask(sample, pictures)
    assert [(one.view, one.frame) for one in made] == pictures
    for one in made:
        depth = sample[f"v{one.view:02d}.depth.mkv"][one.frame]
        assert one.mask.sum() > 500
        assert np.array_equal(one.mask, depth > 0)
        assert np.abs(one.depth - depth).max() < 1e-4
        for label, normals in (("normals", one.normals), ("pose_normals", one.pose_normals)):
            assert np.abs(normals - sample[f"v{one.view:02d}.{label}.mkv"][one.frame]).max() < 0.02
        assert np.abs(one.points - sample["landmarks.npz"]["points"][one.frame]).max() < 1e-6
        assert np.abs(one.pixels - sample["landmarks.npz"]["pixels"][one.view, one.frame]).max() < 1e-3


def test_places_are_on_the_surface_that_the_pictures_show(sample: Sample) -> None:
    made = place_probe(sample["spec.json"], sample["motion.npz"], 100)
    frames = sample["spec.json"]["frames"]
    for vectors in (made.points, made.normals, made.pose_points, made.pose_normals):
        assert vectors.shape == (frames, 100, 3)
    for normals in (made.normals, made.pose_normals):
        assert np.allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-5)
    assert np.abs(made.landmarks - sample["landmarks.npz"]["points"]).max() < 1e-6
    (picture,) = ask(sample, [(0, 2)])
    cameras = {name: values[0, 2] for name, values in sample["cameras.npz"].items()}
    pixels, depth = project(made.points[2], cameras["K"], cameras["world_to_camera"])
    column, row = pixels.astype(int).T
    height, width = picture.mask.shape
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    assert picture.mask[row[inside], column[inside]].mean() > 0.95
    behind = depth[inside] - picture.depth[row[inside], column[inside]]
    assert np.quantile(behind, 0.05) > -0.005  # nothing before what the picture shows
    sight = camera_centre(cameras["world_to_camera"]) - made.points[2]
    faces = (sight * made.normals[2]).sum(axis=-1) > 0.3 * np.linalg.norm(sight, axis=-1)
    assert (np.abs(behind[faces[inside]]) < 0.005).mean() > 0.6  # others are hidden, or lie in a mouth
    assert (np.abs(behind[~faces[inside]]) < 0.005).mean() < 0.2
    assert {"skin", "neck"} <= {SEGMENTATION_CLASSES[number] for number in made.classes}
    with pytest.raises(UserError, match="head"):
        place_probe({**sample["spec.json"], "head": {"name": "open", "sha256": "0"}}, sample["motion.npz"], 10)
    with pytest.raises(ValueError, match="motion"):
        place_probe(sample["spec.json"], {**sample["motion.npz"], "neck": np.zeros((1, 3))}, 10)


def test_the_mesh_probe_poses_the_head(sample: Sample) -> None:
    vertices, faces = mesh_probe(sample["spec.json"], sample["motion.npz"])
    head = load_head("open")
    assert vertices.shape == (sample["spec.json"]["frames"], *head.template.shape)
    assert vertices.dtype == np.float32
    assert faces.dtype == np.int32
    assert np.array_equal(vertices, head.pose(Motion(**sample["motion.npz"])))


def test_a_clip_rendered_again_is_the_same(corpus: Generated) -> None:
    row = corpus.rows()[1]
    again = rerender(read_corpus(Storage(str(corpus.out))).config, row["index"], None)
    stored = [(member["name"], member["sha256"]) for member in row["members"]]
    assert [(member.name, hashlib.sha256(member.data).hexdigest()) for member in again] == stored


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ({"name": "open", "sha256": "0" * 64}, "the clip was made from file 0000"),
        ({"name": "nobody", "sha256": "0" * 64}, "not in"),
        ({"name": "../../etc/passwd", "sha256": ""}, "etc/passwd"),
        ({"name": "/etc", "sha256": ""}, "/etc"),
        ({"name": ["open"]}, "sha256"),
        ("open", "spec.json"),
    ],
)
def test_a_head_that_is_not_here(sample: Sample, head: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        ask(sample, [(0, 0)], head=head)
    with pytest.raises(UserError, match=said):
        mesh_probe({**sample["spec.json"], "head": head}, sample["motion.npz"])


def test_no_path_in_a_record_is_opened(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(stored, "head_info", opened.append)
    monkeypatch.setattr(stored, "load_head", opened.append)
    with pytest.raises(UserError):
        ask(sample, [(0, 0)], head={"name": "/tmp/head", "sha256": ""})
    with pytest.raises(UserError):
        rerender({"head": "/tmp/head"}, 0, None)
    assert opened == []


@pytest.mark.parametrize("levels", [-1, 3, 30, 1.0, True, None, "1"])
def test_subdivision_is_bounded(sample: Sample, levels: Any) -> None:
    with pytest.raises(UserError, match="subdivision"):
        ask(sample, [(0, 0)], render={"subdivision": levels})


@pytest.mark.parametrize("size", [{"width": 10**9}, {"height": 0}, {"width": "80"}, {"height": None}])
def test_sizes_are_bounded(sample: Sample, size: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="whole number"):
        ask(sample, [(0, 0)], **size)


@pytest.mark.parametrize(
    ("member", "key", "change"),
    [
        ("motion.npz", "neck", lambda a: a[:-1]),
        ("motion.npz", "root", lambda a: a * np.nan),
        ("motion.npz", "translation", lambda a: a + 1e7),
        ("cameras.npz", "K", lambda a: a[:, :, :2]),
        ("cameras.npz", "K", lambda a: a[:, :1]),
        ("cameras.npz", "K", lambda a: a * 1e12),
        ("cameras.npz", "world_to_camera", lambda a: a * np.nan),
        ("cameras.npz", "world_to_camera", lambda a: a + 1e300),
    ],
)
def test_arrays_that_move_no_head(sample: Sample, member: str, key: str, change: Any) -> None:
    other = with_(sample, member, key, change(sample[member][key]))
    with pytest.raises(ValueError, match=member):
        ask(other, [(0, 4)])


def test_an_expression_that_the_head_has_not(sample: Sample) -> None:
    other = with_(sample, "motion.npz", "expression", np.zeros((5, 4000), np.float32))
    with pytest.raises(ValueError, match="has 86 components"):
        ask(other, [(0, 4)])
    with pytest.raises(UserError, match="has 86 components"):
        mesh_probe(other["spec.json"], other["motion.npz"])


def test_a_head_that_would_be_drawn_for_hours_is_refused(sample: Sample) -> None:
    """Shape values a thousand times too large make every face cover much of a very large picture."""
    torn = np.random.default_rng(0).normal(scale=1000, size=len(sample["motion.npz"]["shape"])).astype(np.float32)
    large = with_(sample, "cameras.npz", "K", sample["cameras.npz"]["K"] * [[100], [100], [1]])
    with pytest.raises(ValueError, match="torn apart"):
        ask(with_(large, "motion.npz", "shape", torn), [(0, 0)], width=8192, height=8192)


@pytest.mark.parametrize("config", [{}, {"head": "open"}, {"head": "open", "clips": []}])
def test_a_damaged_configuration_renders_nothing(config: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        rerender(config, 0, None)
