"""Motions and measurements that several tests share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.heads import HeadModel
from manifests.clip import Motion

Array = NDArray[Any]


def still(head: HeadModel, frames: int = 1, **changes: Array) -> Motion:
    """A neutral motion with some fields changed."""
    fields: dict[str, Array] = {
        "shape": np.zeros(head.info.identity_size, np.float32),
        "expression": np.zeros((frames, head.info.expression_size), np.float32),
    }
    for name in ("root", "neck", "jaw", "left_eye", "right_eye", "translation"):
        fields[name] = np.zeros((frames, 3), np.float32)
    return Motion(**(fields | changes))


def expression(head: HeadModel, **weights: float) -> Array:
    row = np.zeros((1, head.info.expression_size), np.float32)
    for name, weight in weights.items():
        row[0, head.info.expression_names.index(name)] = weight
    return row


def random_motion(head: HeadModel, frames: int, seed: int = 0) -> Motion:
    rng = np.random.default_rng(seed)

    def turns(spread: float) -> Array:
        return (spread * rng.normal(size=(frames, 3))).astype(np.float32)

    return still(
        head,
        frames,
        shape=np.clip(rng.normal(size=head.info.identity_size), -2.5, 2.5).astype(np.float32),
        expression=rng.uniform(0, 0.5, (frames, head.info.expression_size)).astype(np.float32),
        root=turns(0.3),
        neck=turns(0.3),
        jaw=np.abs(turns(0.1)) * np.array([1, 0, 0], np.float32),
        left_eye=turns(0.1),
        right_eye=turns(0.1),
        translation=turns(0.05),
    )


def landmarks(head: HeadModel, vertices: Array) -> Array:
    """Landmarks [..., 70, 3] of vertices [..., V, 3]."""
    corners = vertices[..., head.faces[head.landmark_faces], :]
    return np.einsum("lk,...lkc->...lc", head.landmark_barycentric, corners)


def part_vertices(head: HeadModel, part: int) -> Array:
    return np.unique(head.faces[head.part == part])
