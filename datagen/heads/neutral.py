"""Linear corrections that turn MakeHuman's base pose into a portrait's: lips that meet, lids that shut, arms
that hang.

All are linear in the vertices with weights fixed on the mean shape, so that they hold for every identity. Lips
and lids are told by what is open between their edges. For the lips it is nothing in every identity and never
less than nothing in any expression; for the lids it is always a multiple of the mean opening, and one whole
eyeBlink takes all of that away. So coefficients that are not negative never push lip through lip, and a sum of
shares tells when lids are just shut.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .makehuman import MakeHuman

Array = NDArray[Any]

# The edge loops on which the lips meet, from the midline to one corner: MakeHuman vertices, left side.
UPPER_LIP_LEFT = (474, 7229, 7228, 7227, 7226, 11964, 7225, 7179, 7178, 7193, 10400, 7191)
LOWER_LIP_LEFT = (493, 7242, 7236, 7230, 7197, 7204, 10375, 7192)
# The edges of the left eye's lids, from the inner to the outer corner.
UPPER_LID_LEFT = (13365, 13363, 13364, 13369, 13371, 13359, 13353, 13358, 13357, 13356, 13355, 13354, 13377)
LOWER_LID_LEFT = (
    *(13365, 13360, 13361, 13362, 13378, 13367, 13368, 13370, 13372, 13373, 13374, 13366, 13375, 13376, 13377),
)

_ARM_LOWERING_DEG = 27.0
_LIP_REACH, _LID_REACH = 0.06, 0.05
"""Decimetres over which moving an edge fades out."""
_LIPS_TUCKED = np.array([0, 0.0008, -0.003])
"""Decimetres by which the lower lip's edge lies above and behind the upper one's, so that no teeth are seen
between their curves."""
_CORNER_TUCK = 2.5
"""How much more it lies above towards the corners, where a smoothed surface pulls the edges apart."""
_ROUNDS = 4
"""The edges' vertices do not face each other exactly, so what is left after one correction is corrected again."""
_MARGIN = 1.15
"""Crossing lips are parted by a little more than they cross, for what lies between their vertices."""
_NOT_CORRECTED = ("jawOpen", "mouthClose")
"""mouthClose only undoes jawOpen: by itself it pushes the lips through each other."""
_NO_LID_SHARE = 0.02
"""Shapes that open or close the lids by less than this share leave them alone."""


class NeutralPose:
    """Applies the corrections to MakeHuman vertices [..., N, 3], decimetres."""

    def __init__(self, human: MakeHuman, mean: Array, jaw: Array) -> None:
        self._mirror = human.mirror
        self._arms = [_Arm(human, side) for side in "lr"]
        body = human.groups["body"]
        lips = (np.array(UPPER_LIP_LEFT), np.array(LOWER_LIP_LEFT))
        lids = (np.array(UPPER_LID_LEFT), np.array(LOWER_LID_LEFT))
        sides = [lips, (self._mirror[lips[0]], self._mirror[lips[1]])]
        self._lips = _Contact(sides, body, mean, _LIP_REACH, jaw)
        outwards = np.abs(mean[self._lips.owners, 0]) / np.abs(mean[lips[0][-1], 0])
        share = np.interp(outwards, [0.65, 0.85], [1, _CORNER_TUCK])[:, None] * [0, 1, 0] + [0, 0, 1]
        self._tuck = (np.where(self._lips.upper[:, None], -_LIPS_TUCKED, _LIPS_TUCKED) * share).round(6)
        self._lids = {
            "Left": _Contact([lids], body, mean, _LID_REACH),
            "Right": _Contact([(self._mirror[lids[0]], self._mirror[lids[1]])], body, mean, _LID_REACH),
        }
        self._opening = {side: contact.opening(mean) for side, contact in self._lids.items()}
        groups = ("helper-upper-teeth", "helper-lower-teeth", "helper-tongue")
        self._mouth = np.concatenate([human.groups[g] for g in groups])
        left = np.array(UPPER_LIP_LEFT + LOWER_LIP_LEFT)
        self._edge = np.unique([left, self._mirror[left]])
        apart = mean[self._mouth, None, 0].clip(mean[self._edge, 0].min(), mean[self._edge, 0].max())
        nearby = np.exp(-(((apart - mean[self._edge, 0]) / _LIP_REACH) ** 2))
        self._nearby = (nearby / nearby.sum(axis=1, keepdims=True)).round(6)

    def __call__(self, vertices: Array) -> Array:
        """An absolute shape, with the lips just closed."""
        posed = self._linear(vertices)
        self._lips.move(posed, self._tuck)
        return posed

    def identity(self, components: Array) -> tuple[Array, Array]:
        """Identity components [K, N, 3], and how each opens the lids [K] as a share of the mean opening.

        Teeth and tongue go where the lips go: MakeHuman's mouth targets leave them behind, to pierce the lips.
        """
        posed = self._linear(components)
        posed[:, self._mouth] += (posed[:, self._edge].mean(axis=1) - posed[:, self._mouth].mean(axis=1))[:, None]
        level = posed[:, self._edge].mean(axis=1, keepdims=True)
        bend = (posed[:, self._edge] - level) * [1, 0, 1]  # the arch of the teeth bends with that of the lips
        posed[:, self._mouth] += in_order(share[:, None] * bend[:, k, None] for k, share in enumerate(self._nearby.T))
        share = np.mean([self._lid_share(side, posed) for side in self._lids], axis=0).round(4)
        for side in self._lids:
            self._set_lids(side, posed, share)
        return posed, share

    def expressions(self, shapes: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
        """Expressions [N, 3] by name, and how each opens the lids [E] of its eye as a share of the mean opening."""
        names = [name for name in shapes if name not in _NOT_CORRECTED]
        stacked = np.stack([shapes[name] for name in names])
        for _ in range(_ROUNDS):
            crossed = self._lips.opening(stacked) * [1, 1, 0]
            crossed[self._lips.gap(crossed) > 0, 1] = 0
            self._lips.move(stacked, crossed * _MARGIN)
        shares = np.zeros((len(self._lids), len(names)))
        for row, side in zip(shares, self._lids, strict=True):
            row[:] = self._lid_share(side, stacked)
            row[np.abs(row) < _NO_LID_SHARE] = 0
            row[[name == f"eyeBlink{side}" for name in names]] = -1
            self._set_lids(side, stacked, row)
        strongest = np.take_along_axis(shares, np.abs(shares).argmax(axis=0)[None], axis=0)[0]
        by_name = dict(zip(names, strongest, strict=True))
        corrected = dict(zip(names, stacked, strict=True))
        share = np.array([by_name.get(name, 0.0) for name in shapes])
        return {name: corrected.get(name, shape) for name, shape in shapes.items()}, share

    def _linear(self, vertices: Array) -> Array:
        posed = vertices.copy()
        for _ in range(_ROUNDS):
            self._lips.move(posed, self._lips.opening(posed))
        for arm in self._arms:
            arm.lower(posed)
        return posed

    def _lid_share(self, side: str, shapes: Array) -> Array:
        """The multiple [K] of the mean opening that is nearest to that of shapes [K, N, 3]."""
        mean = self._opening[side][:, 1]
        return (in_order((self._lids[side].opening(shapes)[..., 1] * mean).T) / (mean**2).sum()).round(4)

    def _set_lids(self, side: str, shapes: Array, share: Array) -> None:
        """Make the lids' opening exactly that multiple of the mean one, in place."""
        for _ in range(_ROUNDS):
            excess: Array = self._lids[side].opening(shapes) - share[:, None, None] * self._opening[side]
            self._lids[side].move(shapes, excess)


class _Contact:
    """Two edges that meet, and the skin that moves with them.

    ``sides``: pairs of upper and lower edge, vertices in order of their distance from the midline. Every vertex
    of an edge meets the point of the other edge at its own place along it half way. ``lower`` [N] above 0.5
    tells the skin of the lower edge; without it skin goes with the edge it is nearest to.
    """

    def __init__(
        self, sides: list[tuple[Array, Array]], body: Array, mean: Array, reach: float, lower: Array | None = None
    ) -> None:
        rows: list[Array] = []
        owners: list[int] = []
        upper: list[bool] = []
        for first, second in sides:
            for own, other in ((first, second), (second, first)):
                for vertex in own[~np.isin(own, other)]:
                    rows.append(_half_way(int(vertex), other, mean))
                    owners.append(int(vertex))
                    upper.append(own is first)
        self.upper = np.array(upper)
        self.owners = np.array(owners)
        self._rows = np.array(rows).round(9)
        distance = np.linalg.norm(mean[body, None] - mean[owners], axis=2)
        near = distance.min(axis=1) < 3 * reach
        body, distance = body[near], distance[near]
        if lower is None:
            same = self.upper[distance.argmin(axis=1)][:, None] == self.upper
        else:
            same = np.abs(lower[body, None] - lower[owners]) < 0.5
        weight = np.where(same, np.exp(-((distance / (0.5 * reach)) ** 2)), 0) + 1e-30
        fade = np.exp(-((np.where(same, distance, np.inf).min(axis=1) / reach) ** 2))
        spread = np.zeros((len(mean), len(owners)))
        spread[body] = fade[:, None] * weight / weight.sum(axis=1, keepdims=True)
        for edge in sides:
            spread[np.concatenate(edge)] = 0
        for k, vertex in enumerate(owners):
            spread[vertex, k] = 1 / owners.count(vertex)  # the midline belongs to both sides
        self._spread = spread.round(6)
        self._moved = np.flatnonzero(self._spread.any(axis=1))

    def opening(self, vertices: Array) -> Array:
        """Half the way [..., K, 3] from each vertex of the edges to the other edge, in vertices [..., N, 3]."""
        halves = [in_order(row[v] * vertices[..., v, :] for v in np.flatnonzero(row)) for row in self._rows]
        return np.stack(halves, axis=-2)

    def gap(self, opening: Array) -> Array:
        """How far the edges are apart [..., K], negative where the upper is below the lower."""
        return np.where(self.upper, -2, 2) * opening[..., 1]

    def move(self, vertices: Array, by: Array) -> None:
        """Move the edges' vertices by [..., K, 3], and the skin around with them, in place."""
        for k in range(len(self._rows)):
            step = np.broadcast_to(by[..., k, :], (*vertices.shape[:-2], 3))
            vertices[..., self._moved, :] += self._spread[self._moved, k][:, None] * step[..., None, :]


def _half_way(vertex: int, other: Array, mean: Array) -> Array:
    """The row [N] that tells half the way from a vertex to the other edge at its own place along it."""
    place = np.abs(mean[other, 0])
    x = np.clip(np.abs(mean[vertex, 0]), place.min(), place.max())
    k = int(np.clip(np.searchsorted(place, x), 1, len(place) - 1))
    share = (x - place[k - 1]) / (place[k] - place[k - 1])
    row = np.zeros(len(mean))
    row[vertex] -= 0.5
    row[other[k - 1]] += 0.5 * (1 - share)
    row[other[k]] += 0.5 * share
    return row


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
