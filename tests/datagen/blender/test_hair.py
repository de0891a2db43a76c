"""Hair: it covers the scalp and nothing else, each style looks its own, and it stays out of the skin."""

from __future__ import annotations

import dataclasses
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, cKDTree

from datagen.blender.bend import Bend
from datagen.blender.hairline import bareness, scalp_tint
from datagen.blender.pigment import strand_colours
from datagen.blender.renderer import ClipRenderer
from datagen.blender.strands import Strands, grow
from datagen.blender.styles import BALD, STYLES
from datagen.geometry.curves import polygon_distance
from datagen.geometry.normals import vertex_normals
from datagen.geometry.posed import PosedClip, pose_clip
from datagen.sections import HairStyles
from manifests.clip import Appearance, Cameras, Clip
from tests.datagen.appearances import PLAIN
from tests.datagen.blender.people import LENGTHS, open_head, person

Array = NDArray[Any]

HANGING = [name for name, style in STYLES.items() if style.hangs]


@cache
def posed_head(turn: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> tuple[Clip, PosedClip]:
    """A bald head, its neck turned by so many degrees."""
    clip, posed = person(BALD)
    if not any(turn):
        return clip, posed
    neck = np.radians([turn]).astype(np.float32)
    clip = dataclasses.replace(clip, motion=dataclasses.replace(clip.motion, neck=neck))
    return clip, pose_clip(clip, open_head(), posed.surface)


def dressed(style: str) -> Appearance:
    clip, _ = posed_head()
    return dataclasses.replace(clip.spec.appearance, hair_style=style, hair_length_m=LENGTHS[style])


@cache
def grown(style: str) -> Strands:
    strands = grow(posed_head()[1], dressed(style))
    assert strands is not None
    return strands


@cache
def skin_of(turn: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> tuple[cKDTree, Array, Array]:
    posed = posed_head(turn)[1]
    skin = posed.surface.vertices_of("skin")
    vertices = posed.vertices[0] if any(turn) else posed.rest
    return cKDTree(vertices[skin]), vertices[skin], vertex_normals(vertices, posed.surface.faces)[skin]


def height(points: Array, turn: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Array:
    """Of points [N, 3] over the skin of the turned head."""
    tree, vertices, normals = skin_of(turn)
    nearest = tree.query(points)[1]
    return np.asarray(np.sum((points - vertices[nearest]) * normals[nearest], axis=1))


def test_every_style_of_the_configuration_grows() -> None:
    assert {BALD, *STYLES} == set(HairStyles.model_fields)
    assert grow(posed_head()[1], dressed(BALD)) is None


@pytest.mark.parametrize("style", STYLES)
def test_strands_are_sound_and_few_enough(style: str) -> None:
    strands, again = grown(style), grow(posed_head()[1], dressed(style))
    assert again is not None
    for name in ("points", "radius", "pigment", "white", "head_share"):
        one, other = getattr(strands, name), getattr(again, name)
        assert (one is None) == (other is None)
        assert one is None or (np.array_equal(one, other) and np.isfinite(one).all() and one.dtype == np.float32)
    assert strands.points.shape == (*strands.radius.shape, 3)
    assert strands.radius.min() > 0
    assert strands.radius.size < 160_000  # what it costs to render; a bald head is a third as dear
    assert (strands.head_share is not None) == STYLES[style].hangs


@pytest.mark.parametrize("style", STYLES)
def test_hair_covers_the_scalp(style: str) -> None:
    posed, strands = posed_head()[1], grown(style)
    scalp = posed.rest[posed.regions.scalp > 0.75]
    scalp = scalp[bareness(posed, dressed(style))(scalp) < 0.7]
    assert len(scalp) > 300
    gap = cKDTree(strands.points.reshape(-1, 3)).query(scalp)[0]
    assert gap.max() < 0.008
    assert np.quantile(gap, 0.95) < 0.004


@pytest.mark.parametrize("style", STYLES)
def test_hair_leaves_skin_ears_and_face_free(style: str) -> None:
    posed, strands = posed_head()[1], grown(style)
    middles = (strands.points[:, 1:] + strands.points[:, :-1]) / 2
    points = np.concatenate([strands.points, middles], axis=1).reshape(-1, 3)
    over = height(points)
    assert np.mean(over > -0.0005) > 0.99
    assert over.min() > -0.006
    marks = posed.rest_landmarks.astype(np.float64)
    face = marks[17:68, :2]
    outline = face[ConvexHull(face).vertices]
    before = points[:, 2] > marks[[36, 45], 2].mean() - 0.03
    inside = polygon_distance(points[before, :2].astype(np.float64), outline) > 0
    assert inside.sum() < 0.0005 * len(points)


@pytest.mark.parametrize("identity", [11, 24, 30])
@pytest.mark.parametrize("style", HANGING)
def test_no_strand_crosses_the_face_of_anybody(style: str, identity: int) -> None:
    clip, posed = person(style, identity)
    strands = grow(posed, clip.spec.appearance)
    assert strands is not None
    marks = posed.rest_landmarks.astype(np.float64)
    outline = np.concatenate([marks[:17, :2], marks[26:16:-1, :2]])
    outline = outline.mean(axis=0) + 0.75 * (outline - outline.mean(axis=0))
    points = strands.points.reshape(-1, 3).astype(np.float64)
    points = points[points[:, 2] > marks[[36, 45], 2].mean() - 0.02]
    assert not (polygon_distance(points[:, :2], outline) > 0).any()


def test_receding_hair_is_missing_at_the_temples_and_thin_on_the_crown() -> None:
    posed, strands, short = posed_head()[1], grown("receding"), grown("short")
    appearance = dressed("receding")
    rest = posed.rest.astype(np.float64)
    bare = bareness(posed, appearance)(rest)
    skull = (posed.regions.scalp > 0.6) & (rest[:, 2] < posed.rest_landmarks[27, 2])
    temples = rest[skull & (bare > 0.95) & (np.abs(rest[:, 0]) > 0.03) & (rest[:, 2] > 0)]
    forelock = rest[skull & (bare < 0.7) & (np.abs(rest[:, 0]) < 0.015) & (rest[:, 2] > 0.05)]
    assert len(temples) > 10
    assert len(forelock) > 5
    roots, usual = (cKDTree(each.points[:, 0]) for each in (strands, short))
    assert np.median(roots.query(temples)[0]) > 0.006
    assert np.median(usual.query(temples)[0]) < 0.003
    assert np.median(roots.query(forelock)[0]) < 0.004
    crown = rest[skull & (bare > 0.7) & (rest[:, 2] < 0)]
    few, many = (np.mean([len(near) for near in tree.query_ball_point(crown, 0.01)]) for tree in (roots, usual))
    assert few < 0.4 * many
    tint = scalp_tint(posed, appearance)[0]
    assert tint[skull & (bare > 0.95)].max() < 0.1
    assert tint[skull & (bare < 0.7)].mean() > 0.2


def test_hair_turns_white_hair_by_hair() -> None:
    roots = np.random.default_rng(0).uniform(-0.08, 0.08, (4000, 3))
    for share in (0.0, 0.3, 0.8, 1.0):
        pigment, white = strand_colours(roots, dataclasses.replace(PLAIN, grey_share=share))
        assert white.mean() == pytest.approx(share, abs=0.03)
        assert (np.std(white) > 0.1) == (0 < share < 1)
        assert 0.05 < np.std(pigment) < 0.4
    _, temples = strand_colours(roots, dataclasses.replace(PLAIN, grey_share=0.4))
    beside = np.abs(roots[:, 0]) > 0.06
    assert temples[beside].mean() > temples[~beside].mean() + 0.03


@pytest.mark.parametrize("turn", [(0.0, 40.0, 0.0), (-22.0, -40.0, 0.0), (22.0, 20.0, 12.0)])
@pytest.mark.parametrize("style", HANGING)
def test_long_hair_stays_out_of_a_body_whose_head_turns(style: str, turn: tuple[float, float, float]) -> None:
    strands, turned = grown(style), posed_head(turn)[1]
    assert strands.head_share is not None
    points = Bend(turned, strands.points, strands.head_share).at(0)
    over = height(points, turn)
    assert np.mean(over > -0.002) > 0.985
    rigid = strands.points.reshape(-1, 3) @ turned.head_to_world[0, :3, :3].T + turned.head_to_world[0, :3, 3]
    above = strands.head_share.ravel() == 1
    assert above.any()
    assert np.abs(points[above] - rigid[above]).max() < 1e-5
    below = strands.head_share.ravel() == 0
    if below.any():  # the body does not move
        assert np.abs(points[below] - strands.points.reshape(-1, 3)[below]).max() < 0.002


def test_styles_look_different(renderer: ClipRenderer) -> None:
    """Seen from the side."""
    clip, posed = posed_head()
    half = np.diag([0.5, 0.5, 1.0])
    intrinsics, pose = half @ clip.cameras.intrinsics[1:2], clip.cameras.world_to_camera[1:2]
    side = Cameras(intrinsics, pose, clip.cameras.width // 2, clip.cameras.height // 2)
    pictures = {}
    for style in (BALD, *STYLES):
        spec = dataclasses.replace(clip.spec, appearance=dressed(style))
        frame = next(renderer.frames(dataclasses.replace(clip, spec=spec, cameras=side), posed))
        pictures[style] = frame.coverage["hair"]
        assert style == BALD or frame.coverage["hair"].max() > 0.9
    for one, other in combinations(pictures, 2):
        a, b = pictures[one], pictures[other]
        assert np.minimum(a, b).sum() < 0.9 * np.maximum(a, b).sum(), (one, other)
