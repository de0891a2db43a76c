"""Whose conditions a clip is given in a swap test: another one's, and one that differs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from datagen.heads.model import rotation_matrices
from manifests.clip import Motion
from manifests.errors import UserError
from training.cases import Case
from training.streams import rng

Array = NDArray[Any]

NEAR_CAMERAS_DEG: Final = 15.0
NEAR_HEAD_POSES_DEG: Final = 5.0
NEAR_EXPRESSIONS: Final = 0.3
"""Of the larger expression's length. Nearer ones than these count as alike, on average over the frames."""


def choose_partners(cases: Sequence[Case], seed: int = 0) -> Array:
    """int [N]: of each case another one whose conditions it is given; no two have the same.

    Drawn by ``seed``, but so that in as few pairs as can be cameras, head pose or expression are alike: to swap
    those would tell nothing. Raises UserError for fewer than two cases.
    """
    if not cases:
        return derangement(np.zeros((0, 0)), seed)
    axes = np.stack([case.sample.world_to_camera[:, 2, :3].double().numpy() for case in cases])
    poses = np.stack([rotation_matrices(c.motion.root) @ rotation_matrices(c.motion.neck) for c in cases])
    alike = _near_axes(axes).astype(int) + _near_rotations(poses) + _near_expressions([c.motion for c in cases])
    return derangement(alike, seed)


def derangement(alike: Array, seed: int = 0) -> Array:
    """int [N]: a permutation without a fixed point, of least total ``alike`` [N, N] (whole numbers from 0), drawn by
    ``seed`` among those. Raises UserError for N below two."""
    count = len(alike)
    if count < 2:
        raise UserError(f"swap tests: {count} clips given, and each needs another; choose a split that has more")
    # All random parts of a permutation together stay below 1, the least that totals of `alike` differ by.
    cost = alike + rng(seed, "derangement").random((count, count)) / (count + 1)
    np.fill_diagonal(cost, (cost.max() + 1) * count)
    return np.asarray(linear_sum_assignment(cost)[1])


def _near_axes(axes: Array) -> Array:
    """bool [N, N] of unit vectors [N, T, 3]."""
    cosine = np.einsum("itk,jtk->ijt", axes, axes)
    return _mean_angle(cosine) < NEAR_CAMERAS_DEG


def _near_rotations(rotations: Array) -> Array:
    """bool [N, N] of matrices [N, T, 3, 3]: by the angle of the rotation from one to the other."""
    cosine = (np.einsum("itkl,jtkl->ijt", rotations, rotations) - 1) / 2
    return _mean_angle(cosine) < NEAR_HEAD_POSES_DEG


def _mean_angle(cosine: Array) -> Array:
    """Degrees, over the last axis."""
    angle: Array = np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean(axis=-1)
    return angle


def _near_expressions(motions: Sequence[Motion]) -> Array:
    """bool [N, N]. Different heads are compared coefficient by coefficient: at worst a preference is misjudged."""
    longest = max(motion.expression.shape[1] for motion in motions)
    faces = np.stack([
        np.concatenate([np.pad(m.expression, ((0, 0), (0, longest - m.expression.shape[1]))), m.jaw], axis=1)
        for m in motions
    ]).astype(np.float64)  # fmt: skip
    length = np.linalg.norm(faces, axis=-1).mean(axis=1)
    apart = np.stack([np.linalg.norm(faces - face, axis=-1).mean(axis=1) for face in faces])
    return apart <= NEAR_EXPRESSIONS * np.maximum(length[:, None], length)
