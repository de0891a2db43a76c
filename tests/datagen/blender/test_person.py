"""How a person is made: skin's pigments, noise, regions and eyes."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from datagen.blender.complexion import paint
from datagen.blender.eyes import eye_directions
from datagen.blender.melanin import blood_fraction, melanin_fraction, skin_colour
from datagen.blender.noise import value_noise
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
