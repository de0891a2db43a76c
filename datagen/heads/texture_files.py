"""Texture coordinates of licensed heads: within the model's file, or in one of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.errors import UserError

from .foreign import read_members

Array = NDArray[Any]

MEMBERS = ("vt", "ft")
"""The names in SMPL-X's files and in FLAME's ``FLAME_texture.npz``: coordinates, and three of them for each face."""
_FURTHEST = 16.0
"""Coordinates lie in [0, 1], or a few tiles away."""


def texture_coordinates(model: dict[str, Array], faces: Array, file: str, uv: str | None) -> dict[str, Array]:
    """uv float32 [U, 2] and uv_faces int32 [F, 3] for ``faces`` [F, 3]; nothing if neither file has any.

    From the file ``uv`` where one is named, else from the members of the model's own. Raises UserError if they
    are broken or belong to another mesh.
    """
    origin = uv or file
    raw = read_members(Path(uv), MEMBERS) if uv else model
    missing = [name for name in MEMBERS if name not in raw]
    if missing and uv is None:
        return {}
    if missing:
        raise UserError(f"{uv}: no {', '.join(missing)}; give FLAME_texture.npz, or another with vt [U, 2], ft [F, 3]")
    coordinates, corners = raw["vt"], raw["ft"]
    if coordinates.ndim != 2 or coordinates.shape[1] != 2 or coordinates.dtype.kind not in "iuf":
        raise UserError(f"{origin}: vt has shape {coordinates.shape}; numbers [U, 2] expected")
    if corners.shape != faces.shape or corners.dtype.kind not in "iu":
        raise UserError(
            f"{origin}: ft has shape {corners.shape} and type {corners.dtype}; whole numbers {faces.shape} expected, "
            "one row for each face of the model; it was made for another mesh"
        )
    if corners.min() < 0 or corners.max() >= len(coordinates):
        raise UserError(f"{origin}: ft: indices outside 0 to {len(coordinates) - 1}")
    if not (np.abs(coordinates.astype(np.float64)) < _FURTHEST).all():
        raise UserError(f"{origin}: vt holds values that are not finite, or absurdly large")
    return {"uv": coordinates.astype(np.float32), "uv_faces": corners.astype(np.int32)}
