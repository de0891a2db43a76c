"""The surface that is rendered and rasterised: a head's mesh, its skin made finer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from datagen.geometry.subdivision import refine_barycentric, subdivide
from manifests.conventions import PARTS

if TYPE_CHECKING:
    from datagen.heads.model import HeadModel

Array = NDArray[Any]


@dataclass(frozen=True)
class Surface:
    """A head's topology after Loop subdivision of its skin; eyes, teeth and tongue stay as they are.

    The head's own vertices come first and keep their indices.
    """

    faces: Array
    """int32 [F, 3]."""
    part: Array
    """uint8 [F], indices into ``manifests.conventions.PARTS``."""
    uv: Array | None
    """float32 [U, 2]."""
    uv_faces: Array | None
    """int32 [F, 3], indices into ``uv``."""
    landmark_faces: Array
    """int32 [70]."""
    landmark_barycentric: Array
    """float32 [70, 3]."""
    refinement: sparse.csr_matrix
    """float32 [Vs, V]: fine vertices as weights on the head's."""

    @property
    def vertex_count(self) -> int:
        return self.refinement.shape[0]

    def refine(self, vertices: Array) -> Array:
        """Head vertices [..., V, 3] -> fine vertices float32 [..., Vs, 3], metres."""
        vertices = np.asarray(vertices, np.float32)
        flat = np.moveaxis(vertices, -2, 0).reshape(vertices.shape[-2], -1)
        fine = (self.refinement @ flat).reshape((self.vertex_count, *vertices.shape[:-2], 3))
        return np.ascontiguousarray(np.moveaxis(fine, 0, -2))

    def landmarks(self, vertices: Array) -> Array:
        """Fine vertices [..., Vs, 3] -> landmarks [..., 70, 3]."""
        corners = vertices[..., self.faces[self.landmark_faces], :]
        return np.einsum("...kcx,kc->...kx", corners, self.landmark_barycentric)

    def vertices_of(self, *parts: str) -> Array:
        """Indices of the fine vertices that faces of the named parts use."""
        wanted = np.isin(self.part, [PARTS.index(name) for name in parts])
        return np.unique(self.faces[wanted])


def make_surface(head: HeadModel, levels: int) -> Surface:
    """The head's surface after ``levels`` rounds of subdivision (0 keeps its mesh)."""
    faces, part = np.asarray(head.faces, np.int32), np.asarray(head.part, np.uint8)
    uv, uv_faces = head.uv, head.uv_faces
    points = np.asarray(head.landmark_faces, np.int32), np.asarray(head.landmark_barycentric, np.float32)
    matrix = sparse.identity(len(head.template), format="csr")
    for _ in range(levels):
        skin = part == PARTS.index("skin")
        level = subdivide(faces, skin, matrix.shape[0])
        matrix = level.matrix @ matrix
        points = refine_barycentric(*points, level)
        if uv is not None and uv_faces is not None:
            flat = subdivide(uv_faces, skin, len(uv), smooth=False)
            uv, uv_faces = np.asarray(flat.matrix @ uv, np.float32), flat.faces
        faces, part = level.faces, part[level.parent]
    return Surface(faces, part, uv, uv_faces, *points, matrix.astype(np.float32).tocsr())
