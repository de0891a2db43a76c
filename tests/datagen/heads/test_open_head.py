"""The open head: sizes of people, exact eyeballs, landmarks in their order, a clean edge."""

from __future__ import annotations

import numpy as np
import pytest

from datagen.heads import HeadModel
from datagen.heads.bust import bust_field
from datagen.heads.figure import Figure
from datagen.heads.store import head_folder, read_arrays
from manifests.conventions import LEFT_PUPIL, PARTS, RIGHT_PUPIL

from .motions import expression, landmarks, part_vertices, still

SKIN, RIGHT_EYE, LEFT_EYE, TEETH, TONGUE = range(len(PARTS))


def test_components_and_names(head: HeadModel) -> None:
    assert head.info.kind == "flame"
    assert head.info.licence == "CC0-1.0"
    assert head.info.identity_size >= 100
    assert head.info.expression_size == 52 + 34 == len(head.info.expression_names)
    assert {"browInnerUp", "jawOpen", "eyeBlinkLeft", "tongueOut"} <= set(head.info.expression_names)
    assert set(np.unique(head.part)) == set(range(len(PARTS)))


def test_the_first_hundred_components_hold_nearly_all_variance(figure: Figure) -> None:
    traits = len(figure.traits)
    assert figure.explained.sum() <= 1 + 1e-9
    assert figure.explained[: 100 + traits].sum() > 0.98
    assert (np.diff(figure.explained[traits:]) <= 1e-12).all()


def test_traits_change_a_face_as_they_should(head: HeadModel) -> None:
    """Age lengthens the face below the eyes and the ears; a masculine face has the longer and wider jaw."""
    names = [trait.name for trait in head.info.traits]
    assert names == ["age_years", "gender", "african", "asian"]
    assert all(trait.deviation > 0 for trait in head.info.traits)

    def with_trait(name: str, value: float) -> np.ndarray:
        shape = np.zeros(head.info.identity_size, np.float32)
        trait = head.info.traits[names.index(name)]
        shape[names.index(name)] = (value - trait.mean) / trait.deviation
        return landmarks(head, head.rest(shape))

    def jaw(points: np.ndarray) -> tuple[float, float]:
        """Length from nose root to chin, width between the jaw's corners."""
        return float(np.linalg.norm(points[27] - points[8])), float(np.linalg.norm(points[4] - points[12]))

    female, male = jaw(with_trait("gender", 0.0)), jaw(with_trait("gender", 1.0))
    assert male[0] > female[0] * 1.02
    assert male[1] > female[1] * 1.02
    young, old = with_trait("age_years", 20.0), with_trait("age_years", 80.0)
    assert 0.003 < np.linalg.norm(young - old, axis=1).max() < 0.03
    for first, second in (("african", "asian"), ("asian", "african")):
        one, other = with_trait(first, 1.0), with_trait(second, 1.0)
        assert 0.001 < np.linalg.norm(one - other, axis=1).max() < 0.02


def test_head_is_of_adult_size(head: HeadModel) -> None:
    points = landmarks(head, head.template)
    assert 0.062 < np.linalg.norm(points[RIGHT_PUPIL] - points[LEFT_PUPIL]) < 0.0635
    skin = head.template[part_vertices(head, SKIN)]
    above_ears = skin[skin[:, 1] > points[RIGHT_PUPIL, 1] + 0.015]
    assert 0.145 < np.ptp(above_ears[:, 0]) < 0.152
    assert 0.187 < np.ptp(above_ears[:, 2]) < 0.197
    for part in (RIGHT_EYE, LEFT_EYE):
        eye = head.template[part_vertices(head, part)]
        assert 0.0115 < np.ptp(eye[:, 0]) / 2 < 0.013


def test_eye_spacing_varies_as_among_adults(head: HeadModel) -> None:
    """Components are one standard deviation each and independent: their squares add up."""
    arrays = read_arrays(head_folder("open"))
    apart = arrays["J_regressor"][3] - arrays["J_regressor"][4]
    spacing = apart @ arrays["shapedirs"][:, 0, : head.info.identity_size]
    assert np.linalg.norm(spacing) == pytest.approx(0.0035, abs=0.0005)


def test_origin_is_the_neck_joint(head: HeadModel) -> None:
    turned = head.pose(still(head, neck=np.array([[0, 0.4, 0]], np.float32)))[0]
    moved = head.cranium
    # A turn about the vertical through the origin keeps height and distance from it.
    np.testing.assert_allclose(turned[moved, 1], head.template[moved, 1], atol=1e-5)
    radius = np.linalg.norm(head.template[moved][:, [0, 2]], axis=1)
    np.testing.assert_allclose(np.linalg.norm(turned[moved][:, [0, 2]], axis=1), radius, atol=1e-5)
    centre = np.array(head.info.head_centre)
    assert abs(centre[0]) < 1e-3
    assert 0.05 < centre[1] < 0.15


def test_eyeballs_turn_in_place_for_every_identity(head: HeadModel) -> None:
    rng = np.random.default_rng(2)
    shape = rng.normal(size=head.info.identity_size).astype(np.float32)
    rest = head.rest(shape)
    gaze = np.array([[0.2, 0.3, 0]], np.float32)
    looking = head.pose(still(head, shape=shape, left_eye=gaze, right_eye=gaze))[0]
    for part in (RIGHT_EYE, LEFT_EYE):
        index = part_vertices(head, part)
        ball, turned = rest[index].astype(float), looking[index].astype(float)
        white = ball[:, 2] < np.quantile(ball[:, 2], 0.5)
        system = np.c_[2 * ball[white], np.ones(white.sum())]
        x = np.linalg.lstsq(system, (ball[white] ** 2).sum(axis=1), rcond=None)[0]
        centre, radius = x[:3], np.sqrt(x[3] + x[:3] @ x[:3])
        np.testing.assert_allclose(np.linalg.norm(ball[white] - centre, axis=1), radius, atol=2e-6)
        np.testing.assert_allclose(np.linalg.norm(turned[white] - centre, axis=1), radius, atol=5e-6)
    still_skin = part_vertices(head, SKIN)
    np.testing.assert_array_equal(looking[still_skin], rest[still_skin])


def test_landmarks_follow_the_ibug_order(head: HeadModel) -> None:
    p = landmarks(head, head.template)
    x, y, z = p.T
    assert (x[[0, 1, 2, 3, 4, 5, 6, 7]] < 0).all()
    assert (x[9:17] > 0).all()
    assert (np.diff(x[4:13]) > 0).all()
    assert y[8] == y[:27].min()
    assert (np.diff(x[17:27]) > 0).all()
    assert y[17:27].min() > y[[37, 38, 43, 44]].max()
    assert (np.diff(y[27:31]) < 0).all()
    assert z[30] == z[:68].max()
    assert (np.diff(x[31:36]) > 0).all()
    for outer, lid, inner, sign in ((36, (37, 38), 39, 1), (45, (44, 43), 42, -1)):
        assert sign * x[outer] < sign * x[lid[0]] < sign * x[lid[1]] < sign * x[inner]
    assert y[37] > y[41]
    assert y[38] > y[40]
    assert y[43] > y[47]
    assert y[44] > y[46]
    assert x[41] < x[40]
    assert x[47] < x[46]
    assert (np.diff(x[48:55]) > 0).all()
    assert (np.diff(x[54:60]) < 0).all()
    assert y[51] > y[57]
    assert (np.diff(x[60:65]) > 0).all()
    assert (np.diff(x[64:68]) < 0).all()
    assert x[36] < x[RIGHT_PUPIL] < x[39] < 0 < x[42] < x[LEFT_PUPIL] < x[45]
    opened = landmarks(head, head.pose(still(head, expression=expression(head, jawOpen=1.0))))[0]
    assert opened[62, 1] - opened[66, 1] > 0.02
    blink = expression(head, eyeBlinkLeft=1.0)
    closed = landmarks(head, head.pose(still(head, expression=blink)))[0]
    assert closed[43, 1] - closed[47, 1] < 0.25 * (y[43] - y[47])
    np.testing.assert_allclose(closed[36:42], p[36:42], atol=1e-4)


def test_mirrored_landmarks_lie_mirrored(head: HeadModel) -> None:
    p = landmarks(head, head.template) * np.array([-1, 1, 1])
    mirrored = p[[16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]]
    np.testing.assert_allclose(mirrored, landmarks(head, head.template)[:17], atol=5e-4)


def test_expressions_leave_eyeballs_and_move_what_hangs_on_the_jaw(head: HeadModel) -> None:
    directions = read_arrays(head_folder("open"))["shapedirs"][:, :, 300 : 300 + head.info.expression_size]
    for part in (RIGHT_EYE, LEFT_EYE):
        assert not directions[part_vertices(head, part)].any()
    names = head.info.expression_names
    opening, tongue_out = names.index("jawOpen"), names.index("tongueOut")
    tongue, teeth = part_vertices(head, TONGUE), part_vertices(head, TEETH)
    assert np.abs(directions[tongue, :, tongue_out]).max() > 0.01
    assert np.abs(directions[tongue, :, opening]).min(axis=0).max() > 0.001
    moved = np.abs(directions[teeth, :, opening]).max(axis=1) > 0.005
    assert 0.4 < moved.mean() < 0.6  # the lower row only


def test_jaw_opens_the_mouth_and_leaves_the_upper_lip(head: HeadModel) -> None:
    rest = landmarks(head, head.template)
    opened = landmarks(head, head.pose(still(head, jaw=np.array([[0.3, 0, 0]], np.float32))))[0]
    assert np.linalg.norm(opened[51] - rest[51]) < 0.001
    assert 0.015 < rest[8, 1] - opened[8, 1] < 0.04
    corner, chin = (np.linalg.norm(opened[i] - rest[i]) for i in (48, 57))
    assert 0.2 < corner / chin < 0.8


def test_closed_lids_cover_the_eye(head: HeadModel) -> None:
    """Rays from the front at the eye hit skin before the eyeball."""
    from embreex.mesh_construction import TriangleMesh
    from embreex.rtcore_scene import EmbreeScene

    blink = expression(head, eyeBlinkLeft=1.0, eyeBlinkRight=1.0)
    for vertices, share in ((head.template, 0.1), (head.pose(still(head, expression=blink))[0], 0.0)):
        scene = EmbreeScene()
        TriangleMesh(scene, vertices[head.faces].astype(np.float32))
        pupils = landmarks(head, vertices)[[RIGHT_PUPIL, LEFT_PUPIL]]
        grid = np.stack(np.meshgrid(np.linspace(-0.012, 0.012, 41), np.linspace(-0.01, 0.008, 41)), -1)
        origins = np.concatenate([p + np.c_[grid.reshape(-1, 2), np.full(41 * 41, 0.1)] for p in pupils])
        ahead = np.tile(np.array([[0, 0, -1]], np.float32), (len(origins), 1))
        hit = scene.run(origins.astype(np.float32), ahead)
        seen = np.isin(head.part[hit], (RIGHT_EYE, LEFT_EYE)).mean()
        assert seen > share if share else seen == 0


def test_lips_meet_when_neutral(head: HeadModel) -> None:
    rng = np.random.default_rng(3)
    for _ in range(10):
        p = landmarks(head, head.rest(rng.normal(size=head.info.identity_size)))
        assert np.linalg.norm(p[[61, 62, 63]] - p[[67, 66, 65]], axis=1).max() < 0.002


def test_bust_edge_lies_on_the_cutting_surface(head: HeadModel) -> None:
    skin = head.faces[head.part == SKIN]
    edges = np.sort(np.concatenate([skin[:, [0, 1]], skin[:, [1, 2]], skin[:, [2, 0]]]), axis=1)
    edges, uses = np.unique(edges, axis=0, return_counts=True)
    assert uses.max() == 2
    border = edges[uses == 1]
    assert len(border) > 50
    assert np.abs(bust_field(head.template[border].astype(float))).max() < 1e-5
    assert (np.bincount(border.ravel())[np.unique(border)] == 2).all()  # closed loops
    assert head.template[:, 1].min() < -0.16
    assert np.abs(head.template[:, 0]).max() > 0.2


def test_weights_and_regressor_sum_to_one(head: HeadModel, body: HeadModel) -> None:
    for name in ("open", "open-body"):
        arrays = read_arrays(head_folder(name))
        np.testing.assert_allclose(arrays["weights"].sum(axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(arrays["J_regressor"].sum(axis=1), 1, atol=1e-4)
        assert (arrays["weights"] >= 0).all()


def test_texture_coordinates_fit_the_faces(head: HeadModel) -> None:
    assert head.uv is not None
    assert head.uv_faces is not None
    assert head.uv_faces.shape == head.faces.shape
    assert head.uv_faces.max() == len(head.uv) - 1
    assert head.uv.min() > -0.01
    assert head.uv.max() < 1.01
