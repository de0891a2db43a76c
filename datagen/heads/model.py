"""A head: parameters -> vertices, landmarks and parts. Every head goes through the ``smplx`` package."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from manifests.clip import HeadInfo, Motion
from manifests.errors import UserError

from . import store

if TYPE_CHECKING:
    import torch

Array = NDArray[Any]

NECK_JOINT = {"flame": 1, "smplx": 12}
JAW_JOINT = {"flame": 2, "smplx": 22}
EYE_JOINTS = {"flame": (4, 3), "smplx": (24, 23)}
"""Right, left."""

_CHUNK = 32
_SHAPE_COLUMNS, _EXPRESSION_COLUMNS = 300, 100
_RIGID_WEIGHT = 0.9995


def head_info(name_or_path: str) -> HeadInfo:
    """What is known of a head without loading it. Builds an open head that is not cached (some seconds).

    Raises UserError for a head that is not there.
    """
    return store.read_info(store.head_folder(name_or_path))


def load_head(name_or_path: str) -> HeadModel:
    """Load a head by name (``open``, ``open-body``, an imported one) or by the path of its folder.

    Raises UserError for a head that is not there or cannot be read.
    """
    folder = store.head_folder(name_or_path)
    return HeadModel(store.read_info(folder), store.read_arrays(folder))


class HeadModel:
    """Vertices of one head, in world coordinates: metres, the origin at the neck joint of the mean shape.

    faces int32 [F, 3]; part uint8 [F], indices into ``conventions.PARTS``; uv float32 [U, 2] and uv_faces
    int32 [F, 3], or None; landmark_faces int32 [70] and landmark_barycentric float32 [70, 3] on ``faces``;
    template float32 [V, 3], the neutral mean; cranium int32 [n], skin that moves rigidly with the neck joint.
    """

    def __init__(self, info: HeadInfo, arrays: dict[str, Array]) -> None:
        self.info = info
        self.faces: Array = arrays["f"].astype(np.int32)
        self.part: Array = arrays["part"].astype(np.uint8)
        self.uv: Array | None = arrays.get("uv")
        self.uv_faces: Array | None = arrays.get("uv_faces")
        self.landmark_faces: Array = arrays["landmark_faces"].astype(np.int32)
        self.landmark_barycentric: Array = arrays["landmark_barycentric"].astype(np.float32)
        self.cranium: Array = _cranium(info.kind, arrays, self.faces, self.part)
        self._origin = (arrays["J_regressor"].astype(float) @ arrays["v_template"].astype(float))[NECK_JOINT[info.kind]]
        self.template: Array = (arrays["v_template"].astype(float) - self._origin).astype(np.float32)
        self.skinned = _smplx_model(info.kind, arrays)

    def rest(self, shape: Array) -> Array:
        """Vertices float32 [V, 3] of one identity [S], neutral and unposed."""
        still = np.zeros((1, 3), np.float32)
        expression = np.zeros((1, self.info.expression_size), np.float32)
        return self.pose(Motion(np.asarray(shape), expression, still, still, still, still, still, still))[0]

    def pose(self, motion: Motion) -> Array:
        """Vertices float32 [T, V, 3] of a motion of T frames. Raises UserError where its sizes do not fit."""
        self._check(motion)
        chunks = [self._pose_chunk(motion, slice(i, i + _CHUNK)) for i in range(0, motion.frames, _CHUNK)]
        return np.concatenate(chunks)

    def _pose_chunk(self, motion: Motion, frames: slice) -> Array:
        import torch

        def tensor(array: Array, columns: int) -> torch.Tensor:
            padded = np.zeros((len(array), columns), np.float32)
            padded[:, : array.shape[1]] = array
            return torch.from_numpy(padded)

        expression = tensor(motion.expression[frames], _EXPRESSION_COLUMNS)
        count = len(expression)
        still = torch.zeros(count, 3)
        neck = tensor(motion.neck[frames], 3)
        pose = {
            "betas": tensor(np.repeat(np.asarray(motion.shape)[None], count, axis=0), _SHAPE_COLUMNS),
            "expression": expression,
            "global_orient": still,
            "jaw_pose": tensor(motion.jaw[frames], 3),
            "leye_pose": tensor(motion.left_eye[frames], 3),
            "reye_pose": tensor(motion.right_eye[frames], 3),
            "transl": still,
        }
        if self.info.kind == "flame":
            pose["neck_pose"] = neck
        else:
            pose["body_pose"] = torch.zeros(count, 21, 3)
            pose["body_pose"][:, NECK_JOINT["smplx"] - 1] = neck
            pose["left_hand_pose"] = pose["right_hand_pose"] = torch.zeros(count, 45)
        with torch.inference_mode(), _one_thread():
            vertices = self.skinned(**pose).vertices.numpy().astype(np.float64)
        turned = np.einsum("tij,tvj->tvi", rotation_matrices(motion.root[frames]), vertices - self._origin)
        return (turned + motion.translation[frames][:, None]).astype(np.float32)

    def _check(self, motion: Motion) -> None:
        shape, expression = np.shape(motion.shape), np.shape(motion.expression)
        if len(shape) != 1 or shape[0] > self.info.identity_size:
            raise UserError(
                f"head '{self.info.name}': shape of size {shape} given, it has {self.info.identity_size} components"
            )
        if len(expression) != 2 or expression[1] > self.info.expression_size:
            raise UserError(
                f"head '{self.info.name}': expression of size {expression} given, it has "
                f"{self.info.expression_size} components"
            )


def rotation_matrices(axis_angle: Array) -> Array:
    """Rodrigues' formula: float64 [T, 3, 3] from axis-angle [T, 3] in radians."""
    vector = np.asarray(axis_angle, dtype=np.float64)
    angle = np.linalg.norm(vector, axis=1)
    x, y, z = (vector / np.where(angle > 0, angle, 1)[:, None]).T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    sine, cosine = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    return np.eye(3) + sine * cross + (1 - cosine) * (cross @ cross)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Matrix products may add up in another order with another number of threads; bytes must not depend on
    it."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _smplx_model(kind: str, arrays: dict[str, Array]) -> torch.nn.Module:
    """Hand the arrays to smplx through files that we write ourselves.

    smplx unpickles what it reads, so it never sees a user's file: only these arrays, written afresh into a
    folder that is private and gone when it has loaded them.
    """
    import pickle

    import smplx

    extras = {"part", "uv", "uv_faces", "landmark_faces", "landmark_barycentric"}
    plain = {key: value for key, value in arrays.items() if key not in extras}
    options: dict[str, Any] = {"num_betas": _SHAPE_COLUMNS, "num_expression_coeffs": _EXPRESSION_COLUMNS}
    with tempfile.TemporaryDirectory(prefix="factorportrait-head-") as root:
        folder = Path(root) / kind
        folder.mkdir()
        if kind == "flame":
            embedding = {"lmk_face_idx": np.zeros(1, np.int64), "lmk_b_coords": np.full((1, 3), 1 / 3)}
            (folder / "flame_static_embedding.pkl").write_bytes(pickle.dumps(embedding))
            np.savez(folder / "FLAME_NEUTRAL.npz", **plain)
        else:
            plain["lmk_faces_idx"], plain["lmk_bary_coords"] = np.zeros(1, np.int64), np.full((1, 3), 1 / 3)
            np.savez(folder / "SMPLX_NEUTRAL.npz", **plain)
            options |= {"use_pca": False, "flat_hand_mean": True}
        model = smplx.create(root, model_type=kind, ext="npz", **options)
    return model.eval().requires_grad_(False)


def _cranium(kind: str, arrays: dict[str, Array], faces: Array, part: Array) -> Array:
    """Skin that moves with the neck joint alone: its weights on that joint's subtree, jaw and eyes left
    out."""
    parents = arrays["kintree_table"][0].astype(np.int64)
    rigid = np.zeros(len(parents), bool)
    for joint in range(len(parents)):
        rigid[joint] = joint == NECK_JOINT[kind] or (joint > 0 and rigid[parents[joint]])
    rigid[[JAW_JOINT[kind], *EYE_JOINTS[kind]]] = False
    held = arrays["weights"][:, rigid].sum(axis=1) >= _RIGID_WEIGHT
    skin = np.zeros(len(held), bool)
    skin[faces[part == 0]] = True
    return np.flatnonzero(held & skin).astype(np.int32)
