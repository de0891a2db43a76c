"""Members of a cached clip: arrays of half precision, as ``.npy`` that numpy and webdataset read.

::

    v00.video.npy         [N, z, S, h, w]   latents of the N windows of a view
    v00.normals.npy       [N, z, S, h, w]   latents of their normal maps in camera space
    v00.expression.npy    [T, D]            expression codes of all frames of the clip, seen in that view

An array's bytes follow from its shape alone, so one window of it is read without the rest.
"""

from __future__ import annotations

import io
import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

STORED: Final = np.dtype("<f2")
"""Latents have about unit variance: half precision leaves an error of 2^-11 of each number."""


def video_name(view: int) -> str:
    return f"v{view:02d}.video.npy"


def normals_name(view: int) -> str:
    return f"v{view:02d}.normals.npy"


def expression_name(view: int) -> str:
    return f"v{view:02d}.expression.npy"


def npy_header(shape: tuple[int, ...]) -> bytes:
    """What stands before the numbers. Format: NumPy Enhancement Proposal 1, version 1.0."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"descr": np.lib.format.dtype_to_descr(STORED), "fortran_order": False, "shape": shape}
    )
    return out.getvalue()


def npy_size(shape: tuple[int, ...]) -> int:
    """Bytes of a member of that shape."""
    return len(npy_header(shape)) + math.prod(shape) * STORED.itemsize


def npy_bytes(array: Array) -> bytes:
    """An array of `STORED` as a member."""
    assert array.dtype == STORED
    return npy_header(array.shape) + np.ascontiguousarray(array).tobytes()


def row_place(shape: tuple[int, ...], row: int) -> tuple[int, int]:
    """Where (offset, size) in a member of that shape the numbers of ``array[row]`` are."""
    size = math.prod(shape[1:]) * STORED.itemsize
    return len(npy_header(shape)) + row * size, size
