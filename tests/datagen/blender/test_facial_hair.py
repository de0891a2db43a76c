"""Brows, lashes and beards: they hold on to skin that moves, and stay out of eyes and mouth."""

from __future__ import annotations

import dataclasses
import itertools
from functools import cache
from typing import Any

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from datagen.blender.axes import points_to_blender
from datagen.blender.beard import beard_colour, grow_beard
from datagen.blender.brows import brow_colour, grow_brows
from datagen.blender.facial_hair import FacialHair
from datagen.blender.follicles import Ground
from datagen.blender.lashes import eye_centre, grow_lashes
from datagen.blender.renderer import ClipRenderer
from datagen.blender.rooted import Carrier, RootedStrands
from datagen.geometry.beard_area import KINDS, beard_distance, lip_distance
from datagen.geometry.cameras import intrinsics_from_focal, look_at
from datagen.geometry.labels import Labeller
from datagen.geometry.posed import PosedClip, pose_clip
from datagen.sampling.appearance import FACIAL_HAIR_M, LONGEST_MOUSTACHE_M
from manifests.clip import Appearance, Cameras, Clip
from manifests.conventions import SEGMENTATION_CLASSES
from tests.datagen.blender.people import open_head, person

Array = NDArray[Any]

EXPRESSIONS: tuple[dict[str, float], ...] = (
    {},
    {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
    {"jawOpen": 0.8, "browInnerUp": 0.8},
    {"mouthSmileLeft": 0.9, "mouthSmileRight": 0.9, "eyeSquintLeft": 0.8, "eyeSquintRight": 0.8},
    {"browDownLeft": 1.0, "browDownRight": 1.0, "mouthPucker": 0.8, "eyeWideLeft": 0.8, "eyeWideRight": 0.8},
    {"browDownLeft": 1.0, "browDownRight": 1.0, "mouthPucker": 0.8, "eyeWideLeft": 0.8, "eyeWideRight": 0.8},
)
"""The last two frames are equal."""
BLINK, JAW_OPEN = 1, 2
LENGTHS_M = {"stubble": 0.0015, "short": 0.006, "medium": 0.02, "long": 0.06}


@cache
def talking(
    kind: str = "none", length_m: float = 0.0, turned: float = 0.25, identity: int = 1
) -> tuple[Clip, PosedClip]:
    """A clip of ``EXPRESSIONS``, the head turned, the eyes looking about, seen from the front, close."""
    frames = len(EXPRESSIONS)
    clip, _ = person(identity=identity, frames=frames)
    names = open_head().info.expression_names
    expression = np.zeros_like(clip.motion.expression)
    for frame, values in enumerate(EXPRESSIONS):
        for name, value in values.items():
            expression[frame, names.index(name)] = value
    neck, eyes = np.zeros((frames, 3), np.float32), np.zeros((frames, 3), np.float32)
    neck[1:, 1] = turned
    eyes[1:] = [0.15, -0.3, 0.0]
    motion = dataclasses.replace(clip.motion, expression=expression, neck=neck, left_eye=eyes, right_eye=eyes)
    appearance = dataclasses.replace(clip.spec.appearance, facial_hair=kind, facial_hair_length_m=length_m)
    size, centre = 128, np.asarray(open_head().info.head_centre)
    camera = look_at(centre + [0, -0.03, 0.6], centre + [0, -0.03, 0], 0.0)
    intrinsics = np.tile(intrinsics_from_focal(75.0, size, size), (1, frames, 1, 1))
    cameras = Cameras(intrinsics, np.tile(camera, (1, frames, 1, 1)), size, size)
    spec = dataclasses.replace(clip.spec, appearance=appearance, labels=("segmentation",))
    clip = dataclasses.replace(clip, spec=spec, motion=motion, cameras=cameras)
    return clip, pose_clip(clip, open_head(), 1)


def look(kind: str = "none", length_m: float = 0.0) -> Appearance:
    return talking(kind, length_m)[0].spec.appearance


def grown(posed: PosedClip, appearance: Appearance) -> list[RootedStrands]:
    ground = Ground(posed)
    beard = grow_beard(posed, ground, appearance, 1.0)
    assert beard is not None
    return [grow_brows(posed, ground, appearance, 1.0), grow_lashes(posed, ground, appearance, 1.0), beard]


def distance_to_skin(points: Array, posed: PosedClip, frame: int) -> Array:
    """Metres [N] to the nearest of the 200 skin triangles whose middles are nearest."""
    surface = posed.surface
    millimetres = 1000.0  # trimesh takes metre-sized triangles for granted
    points = millimetres * points
    triangles = millimetres * posed.vertices[frame][surface.faces[surface.part == 0]].astype(np.float64)
    nearest = cKDTree(triangles.mean(axis=1)).query(points, k=200)[1]
    repeated = np.repeat(points, 200, axis=0)
    closest = trimesh.triangles.closest_point(triangles[nearest.ravel()], repeated)
    return np.linalg.norm(closest - repeated, axis=1).reshape(len(points), 200).min(axis=1) / millimetres


def test_roots_stay_on_the_skin_and_strands_keep_their_lengths() -> None:
    clip, posed = talking("beard", 0.02)
    for strands in grown(posed, clip.spec.appearance):
        carrier = Carrier(posed, strands)
        some = np.arange(0, len(strands.points), max(1, len(strands.points) // 60))
        at_rest = np.linalg.norm(np.diff(strands.points, axis=1), axis=-1)
        for frame in range(len(EXPRESSIONS)):
            points = carrier.points(frame)
            assert distance_to_skin(points[some, 0], posed, frame).max() < 1e-4
            assert np.allclose(np.linalg.norm(np.diff(points, axis=1), axis=-1), at_rest, atol=1e-9)


def test_strands_turn_little_beside_their_neighbours() -> None:
    """Neighbouring hairs of a long beard must not fly apart when the face moves under them."""
    clip, posed = talking("beard", 0.06)
    strands = grown(posed, clip.spec.appearance)[2]
    carrier = Carrier(posed, strands)
    pairs = cKDTree(strands.points[:, 0]).query(strands.points[:, 0], k=2)[1][:, 1]
    for frame in range(len(EXPRESSIONS)):
        points = carrier.points(frame)
        course = points[:, -1] - points[:, 0]
        rest = strands.points[:, -1] - strands.points[:, 0]
        apart, apart_at_rest = (np.linalg.norm(c - c[pairs], axis=1) for c in (course, rest))
        assert np.percentile(apart - apart_at_rest, 95) < 0.006


@pytest.mark.parametrize("identity", [1, 2])
def test_lashes_stay_out_of_the_eyes_and_follow_the_lids(identity: int) -> None:
    clip, posed = talking(turned=0.0, identity=identity)
    strands = grow_lashes(posed, Ground(posed), clip.spec.appearance, 1.0)
    carrier = Carrier(posed, strands)
    for part in ("right_eye", "left_eye"):
        for frame in range(len(EXPRESSIONS)):
            eye = posed.vertices[frame, posed.surface.vertices_of(part)].astype(np.float64)
            centre = posed.head_to_world[frame] @ np.append(eye_centre(posed, part, posed.rest_landmarks[36:42]), 1)
            radius = np.linalg.norm(eye - centre[:3], axis=1).max()
            points = carrier.points(frame)
            assert np.linalg.norm(points - centre[:3], axis=-1).min() > radius - 0.0003
    marks = posed.rest_landmarks
    corners = marks[[36, 39, 42, 45], 1].mean()
    upper = strands.points[:, -1, 1] > corners + 0.003
    assert upper.sum() > 150
    opened, closed = (points[:, -1] - points[:, 0] for points in (carrier.points(f)[upper] for f in (0, BLINK)))
    assert (opened[:, 1] > 0).mean() > 0.9, "they curl up"
    assert np.median(closed[:, 1]) < 0.3 * np.median(opened[:, 1]), "and lie low over a closed eye"
    assert (closed[:, 2] > 0).mean() > 0.95


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", LENGTHS_M)
def test_facial_hair_grows_in_its_area_and_off_the_lips(kind: str, length: str) -> None:
    clip, posed = talking(turned=0.0)
    appearance = dataclasses.replace(clip.spec.appearance, facial_hair=kind, facial_hair_length_m=LENGTHS_M[length])
    ground = Ground(posed)
    strands = grow_beard(posed, ground, appearance, 1.0)
    again = grow_beard(posed, ground, appearance, 1.0)
    assert strands is not None
    assert again is not None
    assert np.array_equal(strands.points, again.points)
    assert np.array_equal(strands.radius, again.radius)
    assert len(strands.points) > 300
    roots = strands.points[:, 0]
    area = np.full(len(ground.rest), -1.0)
    skin = ground.vertices
    area[skin] = beard_distance(ground.rest[skin], ground.normals[skin, 0], ground.marks, ground.layout, kind)
    assert (area[strands.corners].max(axis=1) > -0.002).all()
    assert lip_distance(roots, ground.marks).max() < 0
    assert (lip_distance(strands.points.reshape(-1, 3), ground.marks) < 0.0005).mean() > 0.999
    above = ground.height(strands.points[:, 1])[0]
    assert np.mean(above > -0.0005) > 0.97

    opened = Carrier(posed, strands).points(JAW_OPEN).reshape(-1, 3)
    marks = posed.landmarks[JAW_OPEN].astype(np.float64)
    before_lips = (lip_distance(opened, marks) > 0.001) & (opened[:, 2] > marks[48:60, 2].min())
    assert np.mean(before_lips) < 0.01


def test_longer_facial_hair_is_longer_and_kinds_nest() -> None:
    clip, posed = talking()
    ground = Ground(posed)

    def grow(kind: str, length_m: float) -> RootedStrands:
        appearance = dataclasses.replace(clip.spec.appearance, facial_hair=kind, facial_hair_length_m=length_m)
        strands = grow_beard(posed, ground, appearance, 1.0)
        assert strands is not None
        return strands

    spans = [np.percentile(np.ptp(grow("beard", length).points[:, :, 1], axis=1), 90) for length in LENGTHS_M.values()]
    assert all(later > 1.8 * earlier for earlier, later in itertools.pairwise(spans))
    moustaches = [min(sum(ends) / 2, LONGEST_MOUSTACHE_M) for ends in FACIAL_HAIR_M.values()]
    points = [grow("moustache", length).points for length in moustaches]
    along = [np.median(np.linalg.norm(np.diff(each, axis=1), axis=2).sum(axis=1)) for each in points]
    assert all(later > 1.3 * earlier for earlier, later in itertools.pairwise(along))
    counts = [len(grow(kind, 0.006).points) for kind in KINDS]
    assert counts[0] < counts[1] < counts[2] < 18000
    assert grow_beard(posed, ground, clip.spec.appearance, 1.0) is None


def test_brows_rise_within_and_run_out_to_the_tail() -> None:
    clip, posed = talking()
    appearance = clip.spec.appearance
    strands = grow_brows(posed, Ground(posed), appearance, 1.0)
    sparse = grow_brows(posed, Ground(posed), dataclasses.replace(appearance, brow_density=0.5), 1.0)
    assert 0.4 < len(sparse.points) / len(strands.points) < 0.6
    marks, course = posed.rest_landmarks, strands.points[:, -1] - strands.points[:, 0]
    inner, tail = (np.abs(marks[list(pair), 0]).mean() for pair in ((21, 22), (17, 26)))
    share = (np.abs(strands.points[:, 0, 0]) - inner) / (tail - inner)
    outward = course[:, 0] * np.sign(strands.points[:, 0, 0])
    rise = np.degrees(np.arctan2(course[:, 1], outward))
    assert np.median(rise[share < 0.1]) > 45
    assert abs(np.median(rise[share > 0.6])) < 40
    assert (outward[share > 0.3] > 0).mean() > 0.97


def test_brows_are_darker_than_hair_and_grey_beards_stay_grey() -> None:
    appearance = look()
    fair = dataclasses.replace(appearance, hair_colour=(0.29, 0.185, 0.085))
    grey = dataclasses.replace(appearance, hair_colour=(0.46, 0.46, 0.46))
    assert sum(brow_colour(fair)) < 0.7 * sum(fair.hair_colour)
    assert beard_colour(fair)[0] / beard_colour(fair)[1] > fair.hair_colour[0] / fair.hair_colour[1]
    assert len(set(beard_colour(grey))) == 1


def test_a_frame_like_the_last_one_is_left_alone(renderer: ClipRenderer) -> None:
    clip, posed = talking("goatee", 0.006)
    bpy = renderer.studio.bpy
    hair = FacialHair(bpy, renderer.studio.scene.collection, posed, clip.spec.appearance, 1.0)
    curves = [block for block in hair.blocks if isinstance(block, bpy.types.Curves)]
    assert len(curves) == 3

    def positions() -> list[Array]:
        out = [np.empty(3 * len(block.points), np.float32) for block in curves]
        for block, array in zip(curves, out, strict=True):
            block.position_data.foreach_get("vector", array)
        return out

    try:
        hair.pose(4)
        shown = positions()
        for strands, array in zip(grown(posed, clip.spec.appearance), shown, strict=True):
            assert np.array_equal(array, points_to_blender(Carrier(posed, strands).points(4)).ravel())
        for block in curves:
            block.position_data.foreach_set("vector", np.zeros(3 * len(block.points), np.float32))
        hair.pose(5)
        assert not any(array.any() for array in positions())
        hair.pose(0)
        assert all(array.any() for array in positions())
        assert not any(np.array_equal(now, before) for now, before in zip(positions(), shown, strict=True))
    finally:
        bpy.data.batch_remove(hair.blocks)
    assert not bpy.data.hair_curves
    assert not bpy.data.materials


def test_segmentation_shows_brows_lashes_and_beard(renderer: ClipRenderer) -> None:
    clip, posed = talking("beard", 0.006, turned=0.0)
    frames = renderer.frames(clip, posed)
    frame = next(frames)
    frames.close()
    classes = Labeller(clip, posed).label(0, 0, frame.alpha, frame.coverage).segmentation
    assert classes is not None
    count = {name: int(np.sum(classes == index)) for index, name in enumerate(SEGMENTATION_CLASSES)}
    assert count["brows"] > 60
    assert count["lashes"] > 10
    assert count["hair"] > 500
    assert count["lips"] > 60
    assert frame.coverage["brows"].max() > 0.8
    rows = [np.nonzero(classes == SEGMENTATION_CLASSES.index(name))[0].mean() for name in ("brows", "lashes", "hair")]
    assert rows == sorted(rows)
    alone = dataclasses.replace(clip, spec=dataclasses.replace(clip.spec, appearance=look("beard", 0.0015)))
    frames = renderer.frames(alone, posed)
    stubble = next(frames)
    frames.close()
    assert stubble.coverage["hair"].sum() < 0.35 * frame.coverage["hair"].sum(), "between stubble is skin"
