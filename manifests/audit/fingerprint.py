"""Sixty-four bytes that say what a clip looks like and how it moves, to find clips that are nearly the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

LENGTH = 64
_COLOUR = 32
"""Bytes of gradient hashes: the rest is motion."""
_BITS_APART = 24
_STEPS_APART = 1
_GRID = 8


def alike(a: bytes, b: bytes) -> bool:
    """Whether two clips are nearly the same: at most 24 of 256 gradient bits differ, and no motion value does by
    more than one step. Empty fingerprints are like nothing."""
    if len(a) != LENGTH or len(b) != LENGTH:
        return False
    left, right = np.frombuffer(a, np.uint8), np.frombuffer(b, np.uint8)
    bits = int(np.unpackbits(left[:_COLOUR] ^ right[:_COLOUR]).sum())
    steps = np.abs(left[_COLOUR:].astype(int) - right[_COLOUR:].astype(int)).max()
    return bits <= _BITS_APART and int(steps) <= _STEPS_APART


def bucket(fingerprint: bytes) -> bytes:
    """Fingerprints whose motion is the same to the step share a bucket: the only ones worth comparing when there
    are millions."""
    return fingerprint[_COLOUR:]


def thumbnail(picture: Array) -> bytes:
    """Eight bytes: whether each cell of an 8 x 9 grid is brighter than its right neighbour.

    Source: the difference hash (dHash) of image search. ``picture`` uint8 [H, W, 3].
    """
    grey = picture.astype(np.float32).mean(axis=-1)
    rows = np.array_split(np.arange(grey.shape[0]), _GRID)
    columns = np.array_split(np.arange(grey.shape[1]), _GRID + 1)
    cells = np.array([[grey[np.ix_(row, column)].mean() for column in columns] for row in rows])
    return np.packbits(cells[:, 1:] > cells[:, :-1]).tobytes()


def make(motion: Mapping[str, Array], cameras: Mapping[str, Array], thumbnails: Sequence[bytes]) -> bytes:
    """The fingerprint of a clip from its arrays and the thumbnails of some of its pictures, at least one."""
    chosen = [thumbnails[i] for i in np.linspace(0, len(thumbnails) - 1, _COLOUR // _GRID).round().astype(int)]
    with np.errstate(all="ignore"):  # anybody's numbers: their means may be too large
        rotation, offset = cameras["world_to_camera"][0, :, :3, :3], cameras["world_to_camera"][0, :, :3, 3]
        centres = -np.einsum("tji,tj->ti", rotation, offset)
        expression = motion["expression"].astype(np.float64)
        values = [
            *_padded(motion["shape"] * 0.25, 5),
            *motion["root"].mean(axis=0),
            *motion["neck"].mean(axis=0),
            *motion["neck"].std(axis=0),
            *(motion["translation"].mean(axis=0) * 10),
            motion["jaw"][:, 0].mean() * 2,
            motion["jaw"][:, 0].std() * 4,
            *_padded(expression.mean(axis=0), 6),
            np.linalg.norm(expression, axis=1).std(),
            *centres.mean(axis=0),
            *(centres.std(axis=0) * 2),
        ]
    # Range and step of a byte: -3.2 to 3.175 by 0.025.
    steps = np.rint(np.clip(np.nan_to_num(np.array(values)), -3.2, 3.175) * 40 + 128).astype(np.uint8)
    return b"".join(chosen) + steps.tobytes()


def _padded(values: Array, size: int) -> Array:
    out = np.zeros(size)
    out[: min(size, len(values))] = values[:size]
    return out
