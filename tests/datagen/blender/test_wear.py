"""Clothing, glasses and head coverings: where they are, what they hide, and that they stay out of the skin."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from datagen.blender.coverings import hides_hair, kept_under, make_covering
from datagen.blender.fabric import Cloth
from datagen.blender.garments import Drape, make_garment
from datagen.blender.glasses import make_glasses
from datagen.blender.renderer import ClipRenderer, RenderedFrame
from datagen.blender.strands import grow
from datagen.geometry.labels import Labeller
from datagen.geometry.normals import vertex_normals
from datagen.geometry.posed import PosedClip, pose_clip
from datagen.sampling.light import sample_scene
from datagen.templates import load_template, template_path
from manifests.clip import Clip, RenderSettings
from manifests.conventions import LEFT_PUPIL, RIGHT_PUPIL, SEGMENTATION_CLASSES
from tests.datagen.blender.people import open_head, person

Array = NDArray[np.float64]

STANDING = ("turtleneck", "shirt", "hoodie", "jacket")
FRAMES = ("round", "rectangle", "aviator")
COVERINGS = ("beanie", "cap", "headscarf")


@cache
def wearer(turn_deg: float = 0.0, style: str = "bald", identity: int = 1, **look: str) -> tuple[Clip, PosedClip]:
    """One frame of a person who wears what ``look`` says, the head turned."""
    clip, _ = person(style, identity)
    neck = np.array([[0.0, np.deg2rad(turn_deg), 0.0]], np.float32)
    appearance = dataclasses.replace(clip.spec.appearance, neckline_m=-0.06, **look)
    spec = dataclasses.replace(clip.spec, appearance=appearance, labels=("segmentation",))
    clip = dataclasses.replace(clip, spec=spec, motion=dataclasses.replace(clip.motion, neck=neck))
    return clip, pose_clip(clip, open_head(), 1)


def shown(renderer: ClipRenderer, clip: Clip, posed: PosedClip) -> list[RenderedFrame]:
    return list(renderer.frames(clip, posed))


def heights(points: Array, vertices: Array, posed: PosedClip) -> Array:
    """Of points [N, 3] over the skin's planes nearest to them, metres."""
    skin = posed.surface.vertices_of("skin")
    nearest = skin[cKDTree(vertices[skin]).query(points)[1]]
    normals = vertex_normals(vertices, posed.surface.faces)[nearest]
    return np.asarray(np.sum((points - vertices[nearest]) * normals, axis=1))


@pytest.mark.parametrize("garment", STANDING)
@pytest.mark.parametrize("turn_deg", [0.0, 40.0, -40.0])
def test_cloth_stays_outside_the_skin(garment: str, turn_deg: float) -> None:
    clip, posed = wearer(turn_deg, clothing=garment)
    made = make_garment(posed, clip.spec.appearance)
    assert made is not None
    points = Drape(posed, *made).at(0)
    height = heights(points, posed.vertices[0].astype(np.float64), posed)
    assert np.mean(height > -0.0005) > 0.99
    assert height.max() > 0.003
    again = make_garment(posed, clip.spec.appearance)
    assert again is not None
    assert np.array_equal(made[0].points, again[0].points)


def test_a_collar_turns_less_than_the_head() -> None:
    clip, posed = wearer(40.0, clothing="shirt")
    made = make_garment(posed, clip.spec.appearance)
    assert made is not None
    move = np.linalg.norm(Drape(posed, *made).at(0) - made[0].points, axis=1)
    head = posed.regions.scalp > 0.5
    assert move.max() < 0.4 * np.linalg.norm(posed.vertices[0] - posed.rest, axis=1)[head].max()


@pytest.mark.parametrize("garment", ["crew", "v_neck", "scoop", *STANDING])
def test_no_bust_ends_in_bare_skin(garment: str) -> None:
    _, posed = wearer(clothing=garment)
    skin = posed.surface.vertices_of("skin")
    rest, clothes = posed.rest[skin], posed.regions.clothing[skin]
    assert (clothes[rest[:, 1] < rest[:, 1].min() + 0.015] > 0.5).all()
    assert not (clothes > 0.5)[(rest[:, 1] > posed.rest_landmarks[8, 1]) & (rest[:, 2] > 0)].any()


def test_necklines_differ_in_front() -> None:
    lowest = {}
    for garment in ("crew", "v_neck", "scoop", "turtleneck", "shirt"):
        _, posed = wearer(clothing=garment)
        middle = (np.abs(posed.rest[:, 0]) < 0.015) & (posed.rest[:, 2] > 0) & (posed.rest[:, 1] > -0.21)
        middle[np.setdiff1d(np.arange(len(middle)), posed.surface.vertices_of("skin"))] = False
        lowest[garment] = posed.rest[middle & (posed.regions.clothing < 0.5), 1].min()
    assert lowest["turtleneck"] > lowest["crew"] + 0.01
    assert lowest["v_neck"] < lowest["crew"] - 0.03
    assert lowest["scoop"] < lowest["crew"] - 0.03
    assert lowest["shirt"] < lowest["crew"] - 0.02


@pytest.mark.parametrize("garment", STANDING)
def test_a_standing_garment_is_clothing_in_the_labels(renderer: ClipRenderer, garment: str) -> None:
    clip, posed = wearer(clothing=garment)
    frames = shown(renderer, clip, posed)
    for frame in frames:
        assert frame.coverage["clothing"].max() > 0.9
        assert np.all(frame.coverage["clothing"] <= frame.alpha / 255 + 0.02)
    labeller = Labeller(clip, posed)
    for frame in frames:
        made = labeller.label(0, frame.view, frame.alpha, frame.coverage).segmentation
        assert made is not None
        worn = frame.coverage["clothing"] > 0.5
        assert np.all(made[worn & (frame.alpha >= 128)] == SEGMENTATION_CLASSES.index("clothing"))


@pytest.mark.parametrize("shape", FRAMES)
def test_frames_fit_and_lenses_hide_nothing(renderer: ClipRenderer, shape: str) -> None:
    clip, posed = wearer(glasses=shape)
    made = make_glasses(posed, clip.spec.appearance)
    assert made is not None
    frame, lenses = made
    rest = posed.rest.astype(np.float64)
    assert np.mean(heights(frame.points, rest, posed) > -0.001) > 0.97
    assert lenses.points[:, 2].min() > posed.rest_landmarks[[RIGHT_PUPIL, LEFT_PUPIL], 2].max()
    ears = posed.rest[posed.regions.ears > 0.5]
    assert cKDTree(frame.points).query(ears)[0].min() < 0.006

    picture = shown(renderer, clip, posed)[0]
    assert 5 < (picture.coverage["glasses"] > 0.3).sum() < 0.1 * (picture.alpha > 127).sum()
    label = Labeller(clip, posed).label(0, 0, picture.alpha, picture.coverage)
    assert label.visible[[RIGHT_PUPIL, LEFT_PUPIL]].all()
    bare = shown(renderer, *wearer())[0]
    column, row = label.landmarks[RIGHT_PUPIL].astype(int)
    patch = slice(row - 2, row + 3), slice(column - 2, column + 3)
    there, without = (image.colour[patch].astype(float).mean() for image in (picture, bare))
    assert abs(there - without) < 0.25 * without, "lenses neither darken nor whiten the eye"


def test_a_frame_hides_the_landmarks_behind_it(renderer: ClipRenderer) -> None:
    bare, worn = wearer(), wearer(glasses="rectangle")
    hidden = 0
    for without, picture in zip(shown(renderer, *bare), shown(renderer, *worn), strict=True):
        free, covered = (
            Labeller(*who).label(0, each.view, each.alpha, each.coverage)
            for who, each in ((bare, without), (worn, picture))
        )
        lost = np.flatnonzero(free.visible & ~covered.visible)
        hidden += len(lost)
        column, row = covered.landmarks[lost].astype(int).T
        assert np.all(picture.coverage["glasses"][row, column] > 0.3)
    assert hidden > 0


def test_lenses_do_not_sparkle() -> None:
    """At the usual number of samples, under a studio's lamps, little of the lenses stands out white."""
    clip, posed = wearer(glasses="rectangle")
    scene = sample_scene(load_template(template_path("studio", Path("."), "test")), 3, 0)
    spec = dataclasses.replace(clip.spec, scene=scene)
    bare = dataclasses.replace(spec, appearance=dataclasses.replace(spec.appearance, glasses="none"))
    renderer = ClipRenderer(RenderSettings(samples=16))
    picture, without = (shown(renderer, dataclasses.replace(clip, spec=each), posed)[0] for each in (spec, bare))
    marks = Labeller(clip, posed).label(0, 0, picture.alpha, picture.coverage).landmarks.astype(int)
    patch = slice(marks[17:27, 1].min(), marks[30, 1] + 10), slice(marks[17, 0], marks[26, 0])
    lens = picture.coverage["glasses"][patch] < 0.01
    there, before = (each.colour[patch].astype(float).mean(axis=2) for each in (picture, without))
    assert np.percentile((there - before)[lens], 99) < 20


@pytest.mark.parametrize("kind", COVERINGS)
@pytest.mark.parametrize("identity", [1, 2])
def test_coverings_lie_over_scalp_and_skin(kind: str, identity: int) -> None:
    clip, posed = wearer(identity=identity, head_covering=kind)
    shell = make_covering(posed, clip.spec.appearance)[0].points
    top = shell[shell[:, 1].argmax()]
    assert 0.003 < top[1] - posed.rest[:, 1].max() < 0.04
    columns = shell.reshape(-1, 97, 3)[3:].reshape(-1, 3)
    assert np.mean(heights(columns, posed.rest.astype(np.float64), posed) > 0) > 0.99
    eyes = posed.rest_landmarks[36:48]
    assert cKDTree(columns).query(eyes)[0].min() > 0.012


@pytest.mark.parametrize("kind", COVERINGS)
def test_coverings_are_clothing_that_leaves_the_face_free(renderer: ClipRenderer, kind: str) -> None:
    clip, posed = wearer(head_covering=kind)
    picture = shown(renderer, clip, posed)[0]
    label = Labeller(clip, posed).label(0, 0, picture.alpha, picture.coverage)
    assert label.segmentation is not None
    top = np.flatnonzero((picture.alpha > 127).any(axis=1))[0] + 2
    row = label.segmentation[top]
    assert np.all(row[picture.alpha[top] > 250] == SEGMENTATION_CLASSES.index("clothing"))
    assert label.visible[[*range(27, 36), *range(48, 60)]].all()


def test_a_headscarf_hides_the_ears_and_the_jaws_landmarks(renderer: ClipRenderer) -> None:
    clip, posed = wearer(head_covering="headscarf")
    bare, worn = (
        Labeller(*who).label(0, 0, picture.alpha, picture.coverage)
        for who in (wearer(), (clip, posed))
        for picture in shown(renderer, *who)[:1]
    )
    ears = SEGMENTATION_CLASSES.index("ears")
    assert bare.segmentation is not None
    assert worn.segmentation is not None
    assert (bare.segmentation == ears).sum() > 10
    assert (worn.segmentation == ears).sum() == 0
    assert bare.visible[:17].sum() > worn.visible[:17].sum()


@pytest.mark.parametrize("kind", ["beanie", "cap"])
def test_hair_lies_under_a_covering(kind: str) -> None:
    clip, posed = wearer(style="short", head_covering=kind)
    strands = grow(posed, clip.spec.appearance)
    kept = kept_under(posed, clip.spec.appearance, strands)
    assert strands is not None
    assert kept is not None
    shell = make_covering(posed, clip.spec.appearance)[0].points.reshape(-1, 97, 3)
    high = shell[8:, :, 1].min() + 0.02
    centre = shell[5:].mean(axis=(0, 1))

    def reach(points: Array) -> Array:
        points = points.reshape(-1, 3)
        over = points[points[:, 1] > high]
        nearest = shell.reshape(-1, 3)[cKDTree(shell.reshape(-1, 3)).query(over)[1]]
        return np.asarray(np.linalg.norm(over - centre, axis=1) - np.linalg.norm(nearest - centre, axis=1))

    before, after = (np.mean(reach(points.points) > 0.002) for points in (strands, kept))
    assert after < 0.35 * before


def test_no_hair_under_a_headscarf(renderer: ClipRenderer) -> None:
    clip, posed = wearer(style="short", head_covering="headscarf")
    assert hides_hair(clip.spec.appearance)
    assert shown(renderer, clip, posed)[0].coverage["hair"].max() == 0


def test_what_is_worn_goes_with_its_clip_and_comes_back_the_same(renderer: ClipRenderer) -> None:
    import bpy

    before = len(bpy.data.meshes), len(bpy.data.materials), len(bpy.data.objects)
    who = wearer(20.0, clothing="hoodie", glasses="round", head_covering="headscarf", fabric="knit")
    first, second = shown(renderer, *who), shown(renderer, *who)
    assert all(np.array_equal(a.colour, b.colour) for a, b in zip(first, second, strict=True))
    assert (len(bpy.data.meshes), len(bpy.data.materials), len(bpy.data.objects)) == before


def test_patterns_come_from_the_seed_at_modest_shares() -> None:
    patterns = [Cloth.of("jersey", (0.1, 0.1, 0.1), seed).pattern for seed in range(400)]
    assert 0.6 < patterns.count("plain") / 400 < 0.8
    assert patterns.count("stripes") > 30
    assert patterns.count("checks") > 20
