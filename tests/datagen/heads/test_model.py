"""HeadModel: the parameters do what Motion says, alike on both formats, whatever the thread count."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from datagen.heads import HeadModel, head_info, load_head
from datagen.heads.model import rotation_matrices
from datagen.heads.store import head_folder
from manifests.errors import UserError

from .motions import landmarks, random_motion, still


def test_root_turns_about_the_world_origin_and_translation_follows(head: HeadModel) -> None:
    motion = random_motion(head, 3)
    upright = dataclasses.replace(motion, root=0 * motion.root, translation=0 * motion.translation)
    turned = np.einsum("tij,tvj->tvi", rotation_matrices(motion.root), head.pose(upright))
    np.testing.assert_allclose(head.pose(motion), turned + motion.translation[:, None], atol=1e-6)


def test_rotation_matrices_against_the_matrix_exponential() -> None:
    from scipy.linalg import expm

    for vector in np.array([[0, 0, 0], [0.3, -0.2, 1.1], [0, np.pi, 0]]):
        x, y, z = vector
        generator = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        np.testing.assert_allclose(rotation_matrices(vector[None])[0], expm(generator), atol=1e-12)


def test_head_and_body_are_the_same_person(head: HeadModel, body: HeadModel) -> None:
    assert body.info.kind == "smplx"
    assert len(body.template) >= 10_000
    assert body.info.expression_names == head.info.expression_names
    motion = random_motion(head, 2)
    ours, theirs = landmarks(head, head.pose(motion)), landmarks(body, body.pose(motion))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    np.testing.assert_allclose(head.info.head_centre, body.info.head_centre, atol=0.01)


def test_cranium_moves_rigidly(head: HeadModel, body: HeadModel) -> None:
    for model in (head, body):
        assert len(model.cranium) > 500
        neck = np.array([[0.2, -0.4, 0.1]], np.float32)
        rest = model.template[model.cranium].astype(float)
        posed = model.pose(still(model, neck=neck))[0][model.cranium]
        turn = rotation_matrices(neck)[0]
        np.testing.assert_allclose(posed - posed.mean(0), (rest - rest.mean(0)) @ turn.T, atol=1e-4)


@pytest.mark.parametrize("name", ["open", "open-body"])
def test_same_bytes_with_one_and_two_threads(name: str, head: HeadModel, body: HeadModel) -> None:
    model = {"open": head, "open-body": body}[name]
    motion = random_motion(model, 5)
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(model.pose(motion).tobytes())
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert results[0] == results[1]


def test_many_frames_are_posed_as_few(head: HeadModel) -> None:
    motion = random_motion(head, 40)
    whole = head.pose(motion)
    assert whole.shape == (40, len(head.template), 3)
    assert whole.dtype == np.float32
    frame = dataclasses.replace(
        motion,
        **{
            field.name: getattr(motion, field.name)[35:36]
            for field in dataclasses.fields(motion)
            if field.name != "shape"
        },
    )
    np.testing.assert_allclose(whole[35:36], head.pose(frame), atol=1e-6)


def test_smplx_itself_loads_the_stored_files(head: HeadModel, body: HeadModel, tmp_path: Path) -> None:
    import smplx

    (tmp_path / "smplx").mkdir()
    shutil.copy(head_folder("open-body") / "head.npz", tmp_path / "smplx" / "SMPLX_NEUTRAL.npz")
    for use_pca in (False, True):
        model = smplx.create(
            str(tmp_path),
            model_type="smplx",
            use_pca=use_pca,
            flat_hand_mean=True,
            num_betas=300,
            num_expression_coeffs=100,
            use_face_contour=True,
        )
        output = model()
        np.testing.assert_allclose(output.vertices[0].detach().numpy(), body.template, atol=1e-6)
        points = landmarks(body, body.template)
        ibug = np.concatenate([points[17:68], points[:17]])
        np.testing.assert_allclose(output.joints[0, -68:].detach().numpy(), ibug, atol=1e-6)


def test_sizes_that_do_not_fit_are_named(head: HeadModel) -> None:
    motion = still(head)
    size = head.info.identity_size
    with pytest.raises(UserError, match=f"{size + 1}.*{size} components"):
        head.pose(dataclasses.replace(motion, shape=np.zeros(size + 1)))
    with pytest.raises(UserError, match="86 components"):
        head.pose(dataclasses.replace(motion, expression=np.zeros((1, 87))))


def test_unknown_heads_are_named(cache: str) -> None:
    with pytest.raises(UserError, match=r"'nobody'.*heads import"):
        load_head("nobody")
    for name in ("../open", "Open", "a/b", ""):
        with pytest.raises(UserError, match="a-z"):
            head_info(name)
