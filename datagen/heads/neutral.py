"""Linear corrections that turn MakeHuman's base pose into a portrait's: lips closed, arms hanging.

Both are linear in the vertices with weights fixed on the mean shape, so that they hold for every identity.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .makehuman import MakeHuman

Array = NDArray[Any]

# The edge loop on which the lips meet, from the midline to one corner: MakeHuman vertices, left side.
UPPER_LIP_LEFT = (474, 7229, 7228, 7227, 7226, 11964, 7225, 7179, 7178, 7193, 10400, 7191)
LOWER_LIP_LEFT = (493, 7242, 7236, 7230, 7197, 7204, 10375, 7192)

_ARM_LOWERING_DEG = 27.0
_SEAL_REACH = 0.06
"""Decimetres over which closing the lips fades out."""


class NeutralPose:
    """Applies the corrections to MakeHuman vertices [..., N, 3], decimetres."""

    def __init__(self, human: MakeHuman, mean: Array, jaw: Array) -> None:
        self._mirror = human.mirror
        self._arms = [_Arm(human, side) for side in "lr"]
        self._gap, self._spread = _lip_seal(human, mean, jaw)
        self._moved = np.flatnonzero(self._spread.any(axis=1))
        groups = ("helper-upper-teeth", "helper-lower-teeth", "helper-tongue")
        self._mouth = np.concatenate([human.groups[g] for g in groups])

    def identity(self, components: Array) -> Array:
        """Identity components [K, N, 3]: as ``__call__``, and teeth and tongue go where the lips go.

        MakeHuman's mouth targets leave the teeth behind, which then pierce the lips.
        """
        posed = self(components)
        left = np.array(UPPER_LIP_LEFT + LOWER_LIP_LEFT)
        lips = np.unique([left, self._mirror[left]])
        shift = posed[:, lips].mean(axis=1) - posed[:, self._mouth].mean(axis=1)
        posed[:, self._mouth] += shift[:, None]
        return posed

    def __call__(self, vertices: Array) -> Array:
        """Any shape, absolute or a difference."""
        posed = vertices.copy()
        for gap, spread in zip(self._gap, self._spread[self._moved].T, strict=True):
            opening = in_order(gap[v] * vertices[..., v, :] for v in np.flatnonzero(gap))
            posed[..., self._moved, :] += spread[:, None] * opening[..., None, :]
        for arm in self._arms:
            arm.lower(posed)
        return posed


class _Arm:
    def __init__(self, human: MakeHuman, side: str) -> None:
        parents = human.bone_parents()
        root = f"upperarm01.{side.upper()}"
        self._weight = np.zeros(len(human.vertices))
        for bone, weight in human.bone_weights().items():
            while bone and bone != root:
                bone = parents.get(bone, "")
            if bone:
                self._weight += weight
        for group, index in human.groups.items():
            if group.startswith((f"joint-{side}-elbow", f"joint-{side}-hand", f"joint-{side}-finger")):
                self._weight[index] = 1
        self._moved = np.flatnonzero(self._weight)
        self._shoulder = human.groups[f"joint-{side}-shoulder"]
        angle = np.radians(_ARM_LOWERING_DEG) * (-1 if side == "l" else 1)
        self._cosine, self._sine = float(np.cos(angle).round(9)), float(np.sin(angle).round(9))

    def lower(self, vertices: Array) -> None:
        """Turn the arm about its shoulder joint, in the frontal plane and in place."""
        shoulder = in_order(vertices[..., v, :] for v in self._shoulder)[..., None, :] / len(self._shoulder)
        offset = vertices[..., self._moved, :] - shoulder
        x, y = offset[..., 0], offset[..., 1]
        weight = self._weight[self._moved]
        vertices[..., self._moved, 0] += weight * (self._cosine * x - self._sine * y - x)
        vertices[..., self._moved, 1] += weight * (self._sine * x + self._cosine * y - y)


def in_order(terms: Iterable[Array]) -> Array:
    """Sum whose rounding depends on the order of the terms alone, not on the processor or its threads."""
    return functools.reduce(np.add, terms)


def _lip_seal(human: MakeHuman, mean: Array, jaw: Array) -> tuple[Array, Array]:
    """Gap rows [K, N] that measure what is open at each lip vertex, and how it is shared out [N, K].

    Every vertex of the upper edge meets the point of the lower edge at its own place along the lip half way.
    """
    count = len(mean)
    rows, owners = [], []
    left = (np.array(UPPER_LIP_LEFT), np.array(LOWER_LIP_LEFT))
    for upper, lower in (left, (human.mirror[left[0]], human.mirror[left[1]])):
        for own, other in ((upper, lower), (lower, upper)):
            place = np.abs(mean[other, 0])
            for vertex in own:
                row = np.zeros(count)
                row[vertex] -= 0.5
                x = np.clip(np.abs(mean[vertex, 0]), place.min(), place.max())
                k = int(np.clip(np.searchsorted(place, x), 1, len(place) - 1))
                share = (x - place[k - 1]) / (place[k] - place[k - 1])
                row[other[k - 1]] += 0.5 * (1 - share)
                row[other[k]] += 0.5 * share
                rows.append(row)
                owners.append(vertex)
    owner_jaw, owner_place = jaw[owners], mean[owners]
    body = human.groups["body"]
    distance = np.linalg.norm(mean[body, None] - owner_place, axis=2)
    near = distance.min(axis=1) < 3 * _SEAL_REACH
    body, distance = body[near], distance[near]
    same_lip = np.abs(jaw[body, None] - owner_jaw) < 0.5
    weight = np.where(same_lip, np.exp(-((distance / (0.5 * _SEAL_REACH)) ** 2)), 0) + 1e-30
    fade = np.exp(-((np.where(same_lip, distance, np.inf).min(axis=1) / _SEAL_REACH) ** 2))
    spread = np.zeros((count, len(rows)))
    spread[body] = fade[:, None] * weight / weight.sum(axis=1, keepdims=True)
    spread[owners] = 0
    for k, vertex in enumerate(owners):
        spread[vertex, k] = 1 / owners.count(vertex)  # the midline belongs to both sides
    return np.array(rows).round(9), spread.round(6)
