"""A head's skin laid out flat: which point of the surface each texel of a texture shows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from datagen.geometry.raster import View
from datagen.geometry.surface import Surface
from manifests.conventions import PARTS

Array = NDArray[Any]

_BEYOND = 8
"""Texels around an island of the layout that take on its border's values, so that no seam shows."""


class Canvas:
    """Texels of a texture of ``size`` x ``size``, row 0 at v = 1; N of them, and those just beyond, lie on skin."""

    def __init__(self, surface: Surface, size: int, wanted: Array) -> None:
        """The surface must have texture coordinates. ``wanted`` bool [F]: the faces that are to be painted."""
        assert surface.uv is not None
        assert surface.uv_faces is not None
        skin = wanted & (surface.part == PARTS.index("skin"))
        self._faces = surface.faces[skin]
        u, v = surface.uv.astype(np.float64).T
        flat = np.stack([u * size, (1 - v) * size, np.ones_like(u)], axis=1)
        hits = View(flat, surface.uv_faces[skin], np.eye(3), np.eye(4)).hits(size, size)
        self._hits = hits
        away, nearest = distance_transform_edt(~hits.mask, return_indices=True)
        self._padded = away <= _BEYOND
        number = np.zeros(hits.mask.shape, np.int64)
        number[hits.mask] = np.arange(len(hits.face))
        self._source = number[tuple(nearest[:, self._padded])]

    def __len__(self) -> int:
        return len(self._hits.face)

    def at_texels(self, values: Array) -> Array:
        """Vertex values [Vs, C] at the texels on skin: [N, C]."""
        return self._hits.interpolate(self._faces, values)

    def picture(self, values: Array) -> Array:
        """Values of the texels on skin [N, C] as a texture [size, size, C]; zero where there is none."""
        out = np.zeros((*self._padded.shape, values.shape[1]), values.dtype)
        out[self._padded] = values[self._source]
        return out
