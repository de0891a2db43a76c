"""Targets: metres of the mean face, mirrored rightly, weighed by what they show."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from manifests.clip import Motion
from manifests.errors import UserError
from training.expression.targets import MeanFace, group_of, scales

from .conftest import motion


def column(face: MeanFace, name: str) -> int:
    return [target.name for target in face.targets].index(name)


def test_a_neutral_face_has_no_targets(face: MeanFace) -> None:
    assert np.abs(face.values(motion(face, 2))).max() < 1e-6


def test_only_expression_counts(face: MeanFace) -> None:
    """Not who makes it, and not where the head is."""
    plain = motion(face, 1, jawOpen=np.ones(1), mouthSmileLeft=np.ones(1))
    turned = np.array([[0.2, 0.4, -0.1]], np.float32)
    other = dataclasses.replace(plain, shape=np.ones(5, np.float32), root=turned, neck=turned, translation=turned)
    assert np.array_equal(face.values(plain), face.values(other))


def test_an_open_jaw_lowers_the_chin_by_centimetres_and_no_brow(face: MeanFace) -> None:
    values = face.values(motion(face, 1, jawOpen=np.ones(1)))[0]
    assert -0.06 < values[column(face, "landmark_8_y")] < -0.01
    assert abs(values[column(face, "landmark_19_y")]) < 1e-3


def test_coefficients_count_by_what_they_show(face: MeanFace) -> None:
    effects = dict(zip(face.coefficient_names, face.effects, strict=True))
    assert effects["jawOpen"] > 5 * effects["mouthShrugLower"] > 0
    values = face.values(motion(face, 1, jawOpen=np.full(1, 0.5)))[0]
    assert values[column(face, "jawOpen")] == pytest.approx(0.5 * effects["jawOpen"])


def test_mirrored_targets_are_those_of_the_mirrored_expression(face: MeanFace) -> None:
    found, signs = face.mirror()
    one = motion(face, 1, mouthSmileLeft=np.ones(1), eyeBlinkRight=np.ones(1), jawLeft=np.ones(1))
    one = dataclasses.replace(one, right_eye=np.array([[0.2, 0.3, 0]], np.float32))
    other = motion(face, 1, mouthSmileRight=np.ones(1), eyeBlinkLeft=np.ones(1), jawRight=np.ones(1))
    other = dataclasses.replace(other, left_eye=np.array([[0.2, -0.3, 0]], np.float32))
    values = face.values(one)
    assert np.abs(values[:, found] * signs - face.values(other)).max() < 2e-4
    assert np.abs(values - face.values(other)).max() > 5e-3


def test_scales_share_out_what_moves(face: MeanFace) -> None:
    generator = np.random.default_rng(0)
    drawn = {name: generator.uniform(0, 1, 50).astype(np.float32) for name in ("jawOpen", "browInnerUp", "cheekPuff")}
    values = face.values(motion(face, 50, **drawn))
    scale = scales(face.targets, values, coefficients=0.25)
    variance = np.square(values.std(axis=0) * scale)
    assert variance.sum() == pytest.approx(1, rel=1e-4)

    def share(family: str, group: str) -> float:
        return sum(v for t, v in zip(face.targets, variance, strict=True) if (t.family, t.group) == (family, group))

    assert share("landmark", "mouth") / share("landmark", "brows") == pytest.approx(0.30 / 0.15, rel=1e-3)
    assert share("landmark", "mouth") / share("coefficient", "brows") == pytest.approx(
        0.75 * 0.3 / (0.25 * 0.15), rel=1e-3
    )
    own = [s for t, s in zip(face.targets, scale, strict=True) if (t.family, t.group) == ("landmark", "mouth")]
    assert len(set(own)) == 1
    assert share("coefficient", "tongue") == 0


def test_names_fall_into_parts_of_the_face(face: MeanFace) -> None:
    assert group_of("mouthSmileLeft") == group_of("mh:mouth-open") == "mouth"
    assert group_of("mh:eyebrows-left-up") == "brows"
    assert group_of("mh:eye-left-slit") == group_of("eyeBlinkLeft") == "lids"
    assert group_of("left_eye_x") == group_of("eyeLookUpLeft") == "gaze"
    assert group_of("unheard") == "other"


def test_a_head_without_names_is_refused(face: MeanFace) -> None:
    class Nameless:
        info = dataclasses.replace(face.head.info, name="flame", expression_names=())

    with pytest.raises(UserError, match="head 'flame': its expression components have no names"):
        MeanFace(Nameless())  # type: ignore[arg-type]


def test_a_motion_of_another_head_is_refused(face: MeanFace) -> None:
    short = motion(face, 1)
    short = Motion(**{**vars(short), "expression": short.expression[:, :10]})
    with pytest.raises(UserError, match="10 expression components"):
        face.values(short)
