"""What the encoder learns to tell: how far an expression moves the face, each part of it for its visible share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from datagen.heads.model import HeadModel, load_head
from manifests.clip import Motion
from manifests.conventions import LANDMARK_COUNT
from manifests.errors import UserError

Array = NDArray[Any]

ROTATIONS: Final = ("jaw", "right_eye", "left_eye")
"""Joints whose axis-angle rotations belong to an expression."""

GROUPS: Final = {
    "jaw": ("jaw",),
    "mouth": ("mouth", "mh:mouth"),
    "tongue": ("tongue",),
    "lids": ("eyeBlink", "eyeSquint", "eyeWide", "mh:eye-"),
    "gaze": ("eyeLook", "right_eye", "left_eye"),
    "brows": ("brow", "mh:eyebrows"),
    "cheeks": ("cheek",),
    "nose": ("nose", "mh:nose"),
}
"""Parts of a face, and how the names of the coefficients that move them begin."""

_LANDMARKS: Final = {
    "jaw": range(17),
    "brows": range(17, 27),
    "nose": range(27, 36),
    "lids": range(36, 48),
    "mouth": range(48, 68),
    "gaze": range(68, 70),
}

_SHARES: Final = {
    "mouth": 0.30,
    "lids": 0.20,
    "gaze": 0.15,
    "brows": 0.15,
    "jaw": 0.15,
    "nose": 0.05,
}
"""What each part counts among the landmarks; `_COEFFICIENTS` counts the same way, with cheeks and tongue."""

MIRRORED: Final = (
    *((i, 16 - i) for i in range(17)),
    *((17 + i, 26 - i) for i in range(10)),
    *((i, i) for i in range(27, 31)),
    *((31 + i, 35 - i) for i in range(5)),
    *((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)),
    *((42, 39), (43, 38), (44, 37), (45, 36), (46, 41), (47, 40)),
    *((48 + i, 54 - i) for i in range(7)),
    *((55 + i, 59 - i) for i in range(5)),
    *((60 + i, 64 - i) for i in range(5)),
    *((65 + i, 67 - i) for i in range(3)),
    *((68, 69), (69, 68)),
)
"""Each landmark with its counterpart on the other side."""


def group_of(name: str) -> str:
    """The part of the face that a coefficient moves, a key of `GROUPS`; ``other`` for a name of none."""
    for group, beginnings in GROUPS.items():
        if name.startswith(beginnings):
            return group
    return "other"


@dataclass(frozen=True)
class Target:
    """One number that is regressed: metres of the mean person's face."""

    name: str
    family: str
    """``landmark`` or ``coefficient``."""
    group: str


class MeanFace:
    """Expressions on the mean person of a head model, whose head stands still.

    The same expression gives the same targets whoever makes it and wherever the head turns, and all are metres:
    a coordinate of a landmark's displacement from the neutral face, or a coefficient times the mean displacement
    of the mesh at 1 (or at one radian of a joint). So a shape counts by what it shows.
    """

    def __init__(self, head: HeadModel) -> None:
        if not head.info.expression_names:
            raise UserError(
                f"head '{head.info.name}': its expression components have no names, which the encoder's targets need; "
                "render the corpus with the open head"
            )
        self.head = head
        self.coefficient_names = (
            *head.info.expression_names,
            *(f"{joint}_{axis}" for joint in ROTATIONS for axis in "xyz"),
        )
        self.effects = self._effects()
        """float32 [coefficients]: metres a unit."""
        self.targets = (
            *(
                Target(f"landmark_{i}_{axis}", "landmark", group)
                for group, points in _LANDMARKS.items()
                for i in points
                for axis in "xyz"
            ),
            *(Target(name, "coefficient", group_of(name)) for name in self.coefficient_names),
        )

    def values(self, motion: Motion) -> Array:
        """float32 [T, targets], metres, of a motion of T frames; shape, neck and what moves the head are not in it.

        Raises UserError where the motion is of another head.
        """
        shown = self._show(motion)
        moved = self._landmarks(self.head.pose(shown)) - self._landmarks(self.head.template)
        order = [i for points in _LANDMARKS.values() for i in points]
        visible = self.coefficients(motion) * self.effects
        return np.concatenate([moved[:, order].reshape(len(moved), -1), visible], axis=1).astype(np.float32)

    def coefficients(self, motion: Motion) -> Array:
        """float32 [T, coefficients], by `coefficient_names`: shapes as they are, rotations in radians."""
        parts = [motion.expression, *(getattr(motion, joint) for joint in ROTATIONS)]
        return np.concatenate(parts, axis=1).astype(np.float32)

    def mirror(self) -> tuple[Array, Array]:
        """Where each target of the mirrored face is found, int64 [targets], and its sign, float32 [targets]."""
        place = {target.name: i for i, target in enumerate(self.targets)}
        other_side = dict(MIRRORED)
        found, signs = [], []
        for target in self.targets:
            stem, _, axis = target.name.rpartition("_")
            if target.family == "landmark":
                partner, sign = f"landmark_{other_side[int(stem[9:])]}_{axis}", -1 if axis == "x" else 1
            elif stem in ROTATIONS:
                partner, sign = f"{_swap_sides(stem)}_{axis}", 1 if axis == "x" else -1
            else:
                partner, sign = _swap_sides(target.name), 1
            found.append(place.get(partner, place[target.name]))
            signs.append(sign)
        return np.array(found), np.array(signs, np.float32)

    def _show(self, motion: Motion) -> Motion:
        frames = motion.frames
        if motion.expression.shape[1] != self.head.info.expression_size:
            raise UserError(
                f"motion: {motion.expression.shape[1]} expression components, head '{self.head.info.name}' has "
                f"{self.head.info.expression_size}; the clips of a corpus share one head"
            )
        still = np.zeros((frames, 3), np.float32)
        return Motion(
            shape=np.zeros(1, np.float32),
            expression=motion.expression,
            root=still,
            neck=still,
            jaw=motion.jaw,
            left_eye=motion.left_eye,
            right_eye=motion.right_eye,
            translation=still,
        )

    def _landmarks(self, vertices: Array) -> Array:
        """[..., V, 3] -> [..., 70, 3]."""
        corners = vertices[..., self.head.faces[self.head.landmark_faces], :]
        return np.einsum("...lcd,lc->...ld", corners, self.head.landmark_barycentric)

    def _effects(self) -> Array:
        """Mean displacement of the mesh's vertices that each coefficient moves it by at 1, one at a time."""
        size, turns = self.head.info.expression_size, 3 * len(ROTATIONS)
        still = np.zeros((size + turns, 3), np.float32)
        joints = {}
        for number, joint in enumerate(ROTATIONS):
            joints[joint] = still.copy()
            joints[joint][size + 3 * number : size + 3 * number + 3] = np.eye(3)
        expression = np.eye(size + turns, size, dtype=np.float32)
        posed = self.head.pose(self._show(Motion(np.zeros(1), expression, still, still, translation=still, **joints)))
        moved: Array = np.linalg.norm(posed - self.head.template, axis=-1).mean(axis=1)
        return moved.astype(np.float32)


def mean_face(head: str) -> MeanFace:
    """Of a head by its name. Raises UserError for a head that is not there or has no names of expressions."""
    return MeanFace(load_head(head))


def scales(targets: Sequence[Target], values: Array, coefficients: float) -> Array:
    """float32 [targets]: what to multiply targets in metres with, so that the sum of their variances is 1.

    ``values`` [N, targets] are those of the training people. The targets of a part of the face share one scale in
    each family, so that metres count alike within it, and each part has its share of the total whatever its size
    in metres: squared error then is the share of visible variance that is not explained. ``coefficients`` in
    [0, 1] is the share of that family. A part that never moves gets 0.
    """
    deviations = values.std(axis=0, dtype=np.float64)
    out = np.zeros(len(targets), np.float32)
    keys = sorted({(target.family, target.group) for target in targets})
    for family, group in keys:
        share = _SHARES.get(group, 0.05) * (coefficients if family == "coefficient" else 1 - coefficients)
        chosen = [i for i, target in enumerate(targets) if (target.family, target.group) == (family, group)]
        total = np.square(deviations[chosen]).sum()
        if total > _STILL_M**2:
            out[chosen] = np.sqrt(share / total)
    total = np.square(deviations * out).sum()
    return (out / np.sqrt(total)).astype(np.float32) if total else out


_STILL_M: Final = 1e-6


def _swap_sides(name: str) -> str:
    for left, right in (("Left", "Right"), ("left", "right")):
        if left in name or right in name:
            return name.replace(left, "\0").replace(right, left).replace("\0", right)
    return name


assert sorted(i for points in _LANDMARKS.values() for i in points) == list(range(LANDMARK_COUNT))
