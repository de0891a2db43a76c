"""How a person is made: skin's pigments, noise, and strands that stay on the scalp and off the face."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from datagen.blender.complexion import paint
from datagen.blender.eyes import eye_directions
from datagen.blender.melanin import blood_fraction, melanin_fraction, skin_colour
from datagen.blender.noise import value_noise
from datagen.blender.strands import grow
from datagen.geometry.normals import vertex_normals
from datagen.geometry.regions import IRIS_ANGLE_RAD
from tests.datagen.blender.people import person


def test_more_melanin_is_darker_and_more_blood_redder() -> None:
    levels = np.linspace(0, 1, 9)
    by_melanin = np.stack([skin_colour(melanin_fraction(level), blood_fraction(0.5)) for level in levels])
    by_blood = np.stack([skin_colour(melanin_fraction(0.3), blood_fraction(level)) for level in levels])
    assert np.all(np.diff(by_melanin, axis=0) < 0)
    assert np.all(np.diff(by_blood[:, 0] / by_blood[:, 1]) > 0)
    red, green, blue = by_melanin.T
    assert np.all((red > green) & (green > blue))
    assert by_melanin[0, 1] > 0.28
    assert by_melanin[-1, 1] < 0.09


def test_noise_depends_on_the_place_and_the_seed_alone() -> None:
    points = np.random.default_rng(0).uniform(-0.1, 0.1, (2000, 3))
    values = value_noise(points, 0.01, 5)
    assert np.array_equal(values[::-1], value_noise(points[::-1], 0.01, 5))
    assert not np.allclose(values, value_noise(points, 0.01, 6))
    assert np.abs(values).max() <= 1
    assert values.std() > 0.2
    assert np.abs(value_noise(points + 1e-6, 0.01, 5) - values).max() < 1e-2


def test_lips_are_redder_and_brows_lie_in_their_region() -> None:
    clip, posed = person()
    look = paint(posed, clip.spec.appearance)
    skin = posed.surface.vertices_of("skin")
    lips = skin[posed.regions.lips[skin] > 0.55]
    forehead = skin[cKDTree(posed.rest[skin]).query_ball_point(posed.rest_landmarks[27] + [0, 0.04, 0.02], 0.025)]
    assert len(lips) > 20
    assert len(forehead) > 20
    redness = look.colour[:, 0] / look.colour[:, 1]
    assert np.median(redness[lips]) > 1.15 * np.median(redness[forehead])
    assert np.array_equal(look.brows > 0, posed.regions.brows > 0.5)
    assert look.colour.min() >= 0
    assert look.colour.max() <= 1


def test_the_iris_attribute_spans_the_iris_region() -> None:
    _, posed = person()
    directions = eye_directions(posed)
    eyes = posed.surface.vertices_of("right_eye", "left_eye")
    angle = np.arccos(np.clip(directions[eyes, 2], -1, 1))
    inside = posed.regions.iris[eyes] > 0.5
    assert inside.any()
    assert angle[inside].max() < IRIS_ANGLE_RAD + 0.02
    assert angle[~inside].min() > IRIS_ANGLE_RAD - 0.02
    others = np.setdiff1d(np.arange(len(directions)), eyes)
    assert not directions[others].any()


@pytest.mark.parametrize("style", ["buzz", "short", "bob"])
@pytest.mark.parametrize("identity", [1, 2])
def test_hair_covers_the_scalp_and_leaves_the_face_free(style: str, identity: int) -> None:
    clip, posed = person(style, identity)
    strands = grow(posed, clip.spec.appearance)
    again = grow(posed, clip.spec.appearance)
    assert strands is not None
    assert again is not None
    assert np.array_equal(strands.points, again.points)
    assert np.array_equal(strands.radius, again.radius)
    points = strands.points.reshape(-1, 3)
    assert np.isfinite(points).all()

    scalp = posed.rest[posed.regions.scalp > 0.75]
    assert np.mean(cKDTree(points).query(scalp)[0] < 0.010) > 0.97

    skin = posed.surface.vertices_of("skin")
    normals = vertex_normals(posed.rest, posed.surface.faces)
    nearest = skin[cKDTree(posed.rest[skin]).query(points)[1]]
    assert np.mean(np.sum((points - posed.rest[nearest]) * normals[nearest], axis=1) > 0) > 0.97

    marks = posed.rest_landmarks
    x, y, z = points.T
    half = np.abs(marks[[36, 45], 0]).mean()
    before = (np.abs(x) < half) & (y < marks[17:27, 1].mean()) & (y > marks[8, 1]) & (z > marks[[36, 45], 2].mean())
    assert np.mean(before) < 0.002


def test_a_bald_head_has_no_strands() -> None:
    clip, posed = person("bald")
    assert grow(posed, clip.spec.appearance) is None
