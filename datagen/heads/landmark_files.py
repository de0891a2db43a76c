"""Landmarks of licensed heads: the embeddings that come with SMPL-X, FLAME and DECA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.conventions import PARTS
from manifests.errors import UserError

from .foreign import read_members

Array = NDArray[Any]

_INNER, _CONTOUR = 51, 17
_STATIC = ("lmk_face_idx", "lmk_b_coords")
_DECA = ("full_lmk_faces_idx", "full_lmk_bary_coords")
_SMPLX = ("lmk_faces_idx", "lmk_bary_coords", "dynamic_lmk_faces_idx", "dynamic_lmk_bary_coords")
_DYNAMIC_FILE = "flame_dynamic_embedding.npy"


def contour_and_inner(
    kind: str, model: dict[str, Array], landmarks: str | None, face_count: int, file: str
) -> tuple[Array, Array]:
    """Faces [68] and barycentric coordinates [68, 3] in iBUG order, for a model file and an optional
    embedding.

    Contours that SMPL-X and FLAME tabulate by head turn are taken at yaw 0, their first row. Raises UserError
    that says which file to give.
    """
    origin = landmarks or file
    try:
        faces, barycentric = _from_file(Path(landmarks)) if landmarks else _from_model(kind, model, file)
    except (IndexError, ValueError) as error:
        raise UserError(f"{origin}: landmark arrays of broken shape ({error})") from error
    if faces.shape != (_INNER + _CONTOUR,) or barycentric.shape != (_INNER + _CONTOUR, 3):
        raise UserError(f"{origin}: 68 landmarks expected, found {faces.shape} and {barycentric.shape}")
    if faces.dtype.kind not in "iu":
        raise UserError(f"{origin}: landmark faces of type {faces.dtype}; whole numbers expected")
    if faces.min() < 0 or faces.max() >= face_count:
        raise UserError(f"{origin}: landmark faces outside 0 to {face_count - 1}; made for another mesh")
    inside = (barycentric > -0.1).all() and (barycentric < 1.1).all()
    if not inside or np.abs(barycentric.sum(axis=1) - 1).max() > 1e-2:
        raise UserError(f"{origin}: barycentric coordinates that lie outside their face or do not sum to 1")
    return faces.astype(np.int64), barycentric.astype(float)


def pupils(template: Array, faces: Array, part: Array, file: str) -> tuple[Array, Array]:
    """Face [2] and barycentric [2, 3] of the front-most vertex of the right and the left eyeball."""
    chosen, barycentric = [], []
    for name in ("right_eye", "left_eye"):
        own = np.flatnonzero(part == PARTS.index(name))
        if not len(own):
            raise UserError(f"{file}: no {name.replace('_', ' ')}ball; give a release with eyeballs")
        depth = template[faces[own], 2]
        k, corner = np.unravel_index(depth.argmax(), depth.shape)
        chosen.append(own[k])
        barycentric.append(np.eye(3)[corner])
    return np.array(chosen), np.array(barycentric)


def _from_model(kind: str, model: dict[str, Array], file: str) -> tuple[Array, Array]:
    if any(key not in model for key in _SMPLX):
        raise UserError(
            f"{file}: this {kind} file has no landmarks; give with it flame_static_embedding.pkl "
            f"({_DYNAMIC_FILE} beside it) or DECA's landmark_embedding.npy"
        )
    faces, barycentric, contour_faces, contour_barycentric = (model[key] for key in _SMPLX)
    return np.append(contour_faces[0], faces), np.concatenate([contour_barycentric[0], barycentric])


def _from_file(path: Path) -> tuple[Array, Array]:
    found = read_members(path, (*_STATIC, *_DECA))
    if all(key in found for key in _DECA):
        return found[_DECA[0]].reshape(-1), found[_DECA[1]].reshape(-1, 3)
    if not all(key in found for key in _STATIC):
        raise UserError(f"{path}: holds neither {_STATIC[0]} (FLAME) nor {_DECA[0]} (DECA)")
    beside = path.with_name(_DYNAMIC_FILE)
    if not beside.is_file():
        raise UserError(f"{path}: holds the inner landmarks only; put {_DYNAMIC_FILE} beside it")
    contour = read_members(beside, _STATIC)
    if not all(key in contour for key in _STATIC):
        raise UserError(f"{beside}: holds no {_STATIC[0]}")
    faces = np.append(contour[_STATIC[0]][0], found[_STATIC[0]])
    return faces, np.concatenate([contour[_STATIC[1]][0], found[_STATIC[1]]])
