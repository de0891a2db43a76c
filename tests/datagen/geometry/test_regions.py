"""Regions of several identities, by what anatomy says of each."""

import dataclasses

import numpy as np
import pytest

from datagen.geometry.regions import FIELD_WIDTH_M, Regions, make_regions
from datagen.geometry.surface import Surface, make_surface
from datagen.heads.model import HeadModel, load_head
from tests.datagen.geometry.scenes import Array

IDENTITIES = range(3)


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return load_head("open")


@pytest.fixture(scope="module")
def surface(head: HeadModel) -> Surface:
    return make_surface(head, 1)


@pytest.fixture(scope="module", params=IDENTITIES)
def person(request: pytest.FixtureRequest, head: HeadModel, surface: Surface) -> tuple[Array, Array, Regions]:
    """Rest vertices, landmarks, regions."""
    shape = np.random.default_rng(request.param).normal(size=head.info.identity_size) * (request.param > 0)
    rest = surface.refine(head.rest(shape.astype(np.float32)))
    marks = surface.landmarks(rest)
    return rest, marks, make_regions(surface, rest, marks, -0.06)


def test_fields_are_shares_with_a_smooth_border(surface: Surface, person: tuple[Array, Array, Regions]) -> None:
    rest, _, regions = person
    skin = surface.vertices_of("skin")
    edges = surface.faces[surface.part == 0][:, :2]
    length = np.linalg.norm(rest[edges[:, 0]] - rest[edges[:, 1]], axis=1)
    for field in dataclasses.fields(regions):
        values = getattr(regions, field.name)
        assert values.dtype == np.float32
        assert values.min() >= 0
        assert values.max() <= 1
        assert (values > 0.5).any(), field.name
        if field.name == "iris":
            assert not values[skin].any()
    change = np.abs(np.diff(regions.clothing[edges], axis=1))[:, 0]
    assert (change <= 1.05 * length / FIELD_WIDTH_M + 1e-3).all(), "a distance changes no faster than place"


def test_lips_lie_between_nose_and_chin(person: tuple[Array, Array, Regions]) -> None:
    rest, marks, regions = person
    lips = rest[regions.lips > 0.5]
    assert lips[:, 1].max() < marks[33, 1]
    assert lips[:, 1].min() > marks[8, 1]
    assert abs(lips[:, 0].max() - marks[54, 0]) < 0.004
    assert abs(lips[:, 0].min() - marks[48, 0]) < 0.004


def test_brows_are_two_thin_bands_over_the_eyes(person: tuple[Array, Array, Regions]) -> None:
    rest, marks, regions = person
    brows = rest[regions.brows > 0.5]
    for side, eye in ((-1, marks[36:42]), (1, marks[42:48])):
        band = brows[side * brows[:, 0] > 0]
        assert band[:, 1].min() > eye[:, 1].max()
        assert np.abs(band[:, 0]).min() > 0.003, "no hair between the brows"
        for x in np.linspace(*np.percentile(band[:, 0], [15, 85]), 4):
            assert np.ptp(band[np.abs(band[:, 0] - x) < 0.004, 1]) < 0.014


def test_scalp_has_a_forehead_bare_ears_and_a_nape(person: tuple[Array, Array, Regions]) -> None:
    rest, marks, regions = person
    scalp, ears = regions.scalp > 0.5, regions.ears > 0.5
    assert scalp[rest[:, 1].argmax()]
    assert not (scalp & ears).any()
    middle = np.abs(rest[:, 0]) < 0.01
    brow, nose = marks[17:27, 1].mean(), marks[33, 1]
    front = rest[scalp & middle & (rest[:, 2] > marks[[0, 16], 2].mean())]
    assert 0.7 < (front[:, 1].min() - brow) / (brow - nose) < 1.3
    back = rest[scalp & middle & (rest[:, 2] < 0)]
    assert marks[8, 1] < back[:, 1].min() < nose


def test_ears_stick_out_at_both_sides(person: tuple[Array, Array, Regions]) -> None:
    rest, marks, regions = person
    ears = rest[regions.ears > 0.5]
    for side in (-1, 1):
        ear = ears[side * ears[:, 0] > 0]
        assert 0.045 < np.ptp(ear[:, 1]) < 0.085
        assert 0.02 < np.ptp(ear[:, 2]) < 0.055
        assert marks[8, 1] < ear[:, 1].mean() < marks[17:27, 1].mean()
    assert np.abs(ears[:, 0]).min() > 0.05


def test_clothing_rings_the_neck(person: tuple[Array, Array, Regions]) -> None:
    rest, marks, regions = person
    clothes = regions.clothing > 0.5
    assert clothes[rest[:, 1] < -0.15].mean() > 0.95
    assert not clothes[rest[:, 1] > marks[8, 1]].any()
    shoulders = np.abs(rest[:, 0]) > 0.14
    assert clothes[shoulders & (regions.iris == 0)].all()


def test_irises_are_discs_about_the_pupils(surface: Surface, person: tuple[Array, Array, Regions]) -> None:
    rest, marks, regions = person
    for name, pupil in (("right_eye", 68), ("left_eye", 69)):
        eye = surface.vertices_of(name)
        reach = np.linalg.norm(rest[eye] - marks[pupil], axis=1)
        inside = regions.iris[eye] > 0.5
        assert reach[inside].max() < 0.0075
        assert reach[~inside].min() > 0.0035


def test_hands_of_a_body_are_bare() -> None:
    head = load_head("open-body")
    surface = make_surface(head, 0)
    rest = surface.refine(head.rest(np.zeros(head.info.identity_size, np.float32)))
    regions = make_regions(surface, rest, surface.landmarks(rest), -0.06)
    clothes = regions.clothing > 0.5
    arms = (np.abs(rest[:, 0]) > 0.75 * np.abs(rest[:, 0]).max()) & (rest[:, 1] > rest[:, 1].min() + 0.5)
    fingertip = rest[arms][np.linalg.norm(rest[arms], axis=1).argmax()]
    near = np.linalg.norm(rest - fingertip, axis=1)
    assert not clothes[near < 0.15].any()
    assert clothes[(near > 0.25) & (near < 0.5)].all()
    assert not clothes[rest[:, 1] > 0].any()
