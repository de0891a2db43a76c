"""Brings a licensed FLAME or SMPL-X file into the store, as plain arrays and nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.clip import HeadInfo
from manifests.conventions import PARTS
from manifests.errors import UserError

from . import store
from .foreign import read_members
from .landmark_files import contour_and_inner, pupils
from .model import EYE_JOINTS
from .texture_files import MEMBERS, texture_coordinates

Array = NDArray[Any]

_KINDS = {5: "flame", 55: "smplx"}
"""Number of joints -> file format."""
_COMMON = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f")
_HANDS = ("hands_componentsl", "hands_componentsr", "hands_meanl", "hands_meanr")
_OPTIONAL = (
    *MEMBERS,
    "lmk_faces_idx",
    "lmk_bary_coords",
    "dynamic_lmk_faces_idx",
    "dynamic_lmk_bary_coords",
)
_SPLITS = {400: (300, 100), 20: (10, 10)}
"""Columns of ``shapedirs`` -> identity and expression components, in the releases there are."""
_LAYOUT = (300, 100)
_SMPLX_VERTICES = 9930
"""smplx names key vertices of SMPL-X by number, up to 9929."""
_LARGEST = 1e10
"""Root joints have parent 4294967295; nothing else comes near."""
_WHOLE_EYE = 0.9


def import_head(
    file: str,
    name: str,
    *,
    landmarks: str | None = None,
    uv: str | None = None,
    licence: str = "",
    replace: bool = False,
) -> HeadInfo:
    """Check the model in ``file`` (.pkl or .npz) and store it as head ``name``.

    FLAME files carry no landmarks: ``landmarks`` then names ``flame_static_embedding.pkl`` (with
    ``flame_dynamic_embedding.npy`` beside it) or DECA's ``landmark_embedding.npy``. Nor do they carry texture
    coordinates, which ``uv`` adds: ``FLAME_texture.npz``. Nothing in any file is ever executed. Raises UserError that
    names the file, what is wrong with it and what to do.
    """
    store.check_name(name)
    if not licence.isprintable():
        raise UserError("--licence: plain text on one line expected; it is written into every clip")
    if name in store.OPEN_HEADS:
        raise UserError(f"head '{name}': this name belongs to an open head; choose another")
    if not replace and os.path.exists(store.heads_folder() / name):
        raise UserError(f"head '{name}': already in {store.heads_folder()}; choose another name, or give --replace")
    raw = read_members(Path(file), (*_COMMON, *_HANDS, *_OPTIONAL))
    kind, arrays, identity_size, expression_size = _checked(raw, file)
    arrays |= texture_coordinates(raw, arrays["f"], file, uv)
    part = _parts(kind, arrays)
    arrays["part"] = part
    faces68, barycentric68 = contour_and_inner(kind, raw, landmarks, len(arrays["f"]), file)
    pupil_faces, pupil_barycentric = pupils(arrays["v_template"], arrays["f"], part, file)
    arrays["landmark_faces"] = np.concatenate([faces68, pupil_faces]).astype(np.int32)
    arrays["landmark_barycentric"] = np.concatenate([barycentric68, pupil_barycentric]).astype(np.float32)
    return store.save_head(
        name,
        kind,
        arrays,
        licence=licence or f"as given with {Path(file).name}",
        identity_size=identity_size,
        expression_size=expression_size,
    )


def _checked(raw: dict[str, Array], file: str) -> tuple[str, dict[str, Array], int, int]:
    """Kind, arrays in the layout that smplx reads, identity and expression components."""
    missing = [key for key in _COMMON if key not in raw]
    if missing:
        raise UserError(f"{file}: no {', '.join(missing)}; give a FLAME or SMPL-X model file")
    flat = [key for key in _COMMON if raw[key].ndim < 2]
    if flat:
        raise UserError(f"{file}: {', '.join(flat)} of shape {raw[flat[0]].shape}; give a FLAME or SMPL-X model file")
    joints = len(raw["J_regressor"])
    if joints not in _KINDS:
        raise UserError(f"{file}: {joints} joints; FLAME has 5, SMPL-X 55")
    kind = _KINDS[joints]
    count = len(raw["v_template"])
    columns = raw["shapedirs"].shape[-1]
    if columns not in _SPLITS and columns < sum(_LAYOUT):
        raise UserError(
            f"{file}: shapedirs has {columns} columns, so identity and expression cannot be told apart; "
            "give a release with 400 (300 + 100) or 20 (10 + 10)"
        )
    identity_size, expression_size = _SPLITS.get(columns, _LAYOUT)
    shapes = {
        "v_template": (count, 3),
        "shapedirs": (count, 3, columns),
        "posedirs": (count, 3, 9 * (joints - 1)),
        "J_regressor": (joints, count),
        "weights": (count, joints),
        "kintree_table": (2, joints),
        "f": (len(raw["f"]), 3),
    }
    if kind == "smplx" and count < _SMPLX_VERTICES:
        raise UserError(f"{file}: {count} vertices; smplx picks fixed ones up to number {_SMPLX_VERTICES - 1}")
    if kind == "smplx":
        absent = [key for key in _HANDS if key not in raw]
        if absent:
            raise UserError(f"{file}: no {', '.join(absent)}; give a SMPL-X file with hands")
        shapes |= dict.fromkeys(_HANDS[:2], (45, 45)) | dict.fromkeys(_HANDS[2:], (45,))
    for key, shape in shapes.items():
        if raw[key].shape != shape:
            raise UserError(f"{file}: {key} has shape {raw[key].shape}, {shape} expected")
        if not (np.abs(raw[key].astype(np.float64)) < _LARGEST).all():
            raise UserError(f"{file}: {key} holds values that are not finite, or absurdly large")
    _check_indices(raw["f"], count, f"{file}: f")

    plain = [key for key in shapes if key not in ("f", "kintree_table", "shapedirs")]
    arrays = {key: raw[key].astype(np.float32) for key in plain}
    arrays["f"] = raw["f"].astype(np.int64)
    arrays["kintree_table"] = _kinematic_tree(raw["kintree_table"], joints, file)
    arrays["shapedirs"] = np.zeros((count, 3, sum(_LAYOUT)), np.float32)
    arrays["shapedirs"][..., :identity_size] = raw["shapedirs"][..., :identity_size]
    start = _LAYOUT[0]
    arrays["shapedirs"][..., start : start + expression_size] = raw["shapedirs"][
        ..., identity_size : identity_size + expression_size
    ]
    return kind, arrays, identity_size, expression_size


def _check_indices(index: Array, count: int, what: str) -> None:
    if index.dtype.kind not in "iu":
        raise UserError(f"{what}: whole numbers expected, not {index.dtype}")
    if not index.size or index.min() < 0 or index.max() >= count:
        raise UserError(f"{what}: indices outside 0 to {count - 1}")


def _kinematic_tree(table: Array, joints: int, file: str) -> Array:
    """Parents before children; the root's parent, which files write as -1 or 4294967295, is -1."""
    parents = table[0].astype(np.int64)
    parents[0] = -1
    if (parents[1:] < 0).any() or (parents[1:] >= np.arange(1, joints)).any():
        raise UserError(f"{file}: kintree_table is not a tree with parents before children")
    return np.stack([parents, np.arange(joints)])


def _parts(kind: str, arrays: dict[str, Array]) -> Array:
    """Part of each face: an eyeball is a connected piece that an eye joint moves; the rest is skin."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    faces, count = arrays["f"], len(arrays["v_template"])
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    graph = coo_matrix((np.ones(len(edges)), edges.T), shape=(count, count))
    pieces, piece = connected_components(graph, directed=False)
    part = np.zeros(len(faces), np.uint8)
    size = np.bincount(piece, minlength=pieces)
    for name, joint in zip(("right_eye", "left_eye"), EYE_JOINTS[kind], strict=True):
        weight = np.bincount(piece, arrays["weights"][:, joint], pieces) / size
        part[weight[piece[faces[:, 0]]] > _WHOLE_EYE] = PARTS.index(name)
    return part
