"""What a linear reader finds in codes: expression, which should be there, and person, pose and camera, which should
not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.expression.faces import Faces
from training.expression.targets import GROUPS, Target

Array = NDArray[Any]

_RIDGES: Final = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Penalties that are tried, as shares of the variance of a code's number."""

_LEAST_DEVIATION: Final = 1e-9
_LEAST_SHARE: Final = 0.1


@dataclass(frozen=True)
class GroupScore:
    """R^2 on people never seen, for one part of the face: 1 is perfect, 0 what the training people's mean would give
    on average, negative is worse."""

    landmarks: float | None
    """Of the landmarks' displacement from the neutral face; None where the part has none, or none moves."""
    visible: float | None
    """Of all its coefficients, each counted by how far it moves the mesh."""
    plain: float | None
    """Mean of each coefficient's own R^2, rare and invisible ones alike."""


@dataclass(frozen=True)
class Scores:
    """What linear probes read from codes. The probes of groups, pose and camera are fitted on the training people and
    judged on others; that of identity is fitted on some moments of those others, and judged on the rest."""

    groups: dict[str, GroupScore]
    """By part of the face, and ``all`` of them."""
    identity_accuracy: float
    identity_chance: float
    head_yaw: float
    """R^2 of the angle at which the camera sees the head."""
    head_pitch: float
    camera_yaw: float
    """R^2 of where the camera stands, in the world."""
    camera_pitch: float
    view_spread: float
    """Mean squared distance of two views of a moment, by that of two moments: 0 is invariance, 1 none."""


def probe(train_codes: Array, train: Faces, codes: Array, faces: Faces) -> Scores:
    """Probe codes [N, D] of faces of the training people, and of people never seen."""
    mean, deviation = train_codes.mean(axis=0), train_codes.std(axis=0)
    scale = 1 / np.where(deviation > _LEAST_DEVIATION, deviation, np.inf)
    seen, unseen = ((array - mean) * scale for array in (train_codes, codes))
    read = read_linearly(seen, train.targets[train.moment], train.identity, unseen)
    pose = _r2(read_linearly(seen, train.pose, train.identity, unseen), faces.pose)
    camera = _r2(read_linearly(seen, train.camera, train.identity, unseen), faces.camera)
    accuracy, chance = _identity(unseen, faces)
    return Scores(
        groups=_groups(faces.face.targets, read, faces.targets[faces.moment], train.targets.var(axis=0)),
        identity_accuracy=accuracy,
        identity_chance=chance,
        head_yaw=float(pose[0]),
        head_pitch=float(pose[1]),
        camera_yaw=float(camera[0]),
        camera_pitch=float(camera[1]),
        view_spread=_view_spread(codes, faces),
    )


def _groups(targets: tuple[Target, ...], read: Array, truth: Array, usual: Array) -> dict[str, GroupScore]:
    error = np.square(read - truth).mean(axis=0)
    variance = truth.var(axis=0)
    scores = {}
    for group in ("all", *GROUPS):
        chosen = {
            family: np.array([t.family == family and group in ("all", t.group) for t in targets])
            for family in ("landmark", "coefficient")
        }
        # One that nearly rests in these people, but not in others, has no R^2 to speak of.
        own = chosen["coefficient"] & (variance > np.maximum(_LEAST_SHARE * usual, _LEAST_DEVIATION**2))
        scores[group] = GroupScore(
            landmarks=_share(error, variance, chosen["landmark"]),
            visible=_share(error, variance, chosen["coefficient"]),
            plain=float(np.mean(1 - error[own] / variance[own])) if own.any() else None,
        )
    return scores


def _share(error: Array, variance: Array, chosen: Array) -> float | None:
    total = float(variance[chosen].sum())
    return 1 - float(error[chosen].sum()) / total if total > _LEAST_DEVIATION**2 else None


def _r2(read: Array, truth: Array) -> Array:
    """[columns]."""
    shares: Array = 1 - np.square(read - truth).mean(axis=0) / np.maximum(truth.var(axis=0), _LEAST_DEVIATION**2)
    return shares


def read_linearly(codes: Array, truth: Array, identity: Array, unseen: Array) -> Array:
    """[M, K], read from unseen codes [M, D] by ridge regression that codes [N, D] and truth [N, K] fit.

    Its penalty is chosen on a fifth of the people; then all of them fit it.
    """
    people = np.unique(identity)
    judges = np.isin(identity, people[::5])
    chosen = _RIDGES[0]
    if 0 < judges.sum() < len(judges):
        scale = np.maximum(truth.var(axis=0).sum(), _LEAST_DEVIATION**2)
        errors = [
            np.square(_Ridge(codes[~judges], truth[~judges], ridge)(codes[judges]) - truth[judges]).sum() / scale
            for ridge in _RIDGES
        ]
        chosen = _RIDGES[int(np.argmin(errors))]
    return _Ridge(codes, truth, chosen)(unseen)


class _Ridge:
    """A linear reader of codes [N, D], fitted when it is made."""

    def __init__(self, codes: Array, truth: Array, ridge: float) -> None:
        self.centre, self.mean = codes.mean(axis=0), truth.mean(axis=0)
        x = (codes - self.centre).astype(np.float64)
        covariance = x.T @ x / len(x) + ridge * np.eye(x.shape[1])
        self.weights = np.linalg.solve(covariance, x.T @ (truth - self.mean) / len(x))

    def __call__(self, codes: Array) -> Array:
        read: Array = (codes - self.centre) @ self.weights + self.mean
        return read


def _identity(codes: Array, faces: Faces) -> tuple[float, float]:
    """A person's last clip is held out, or of an only clip its last frames: accuracy on them, and chance."""
    held_out = np.zeros(len(codes), bool)
    fitted = np.zeros(len(codes), bool)
    for person in np.unique(faces.identity):
        own = np.flatnonzero(faces.identity == person)
        part = faces.clip if len(np.unique(faces.clip[own])) > 1 else faces.frame
        parts = np.unique(part[own])
        if len(parts) < 2:
            continue
        late = np.isin(part[own], parts[-max(len(parts) // 3, 1) :])
        held_out[own[late]], fitted[own[~late]] = True, True
    if not fitted.any():
        return float("nan"), float("nan")
    people, label = np.unique(faces.identity[fitted], return_inverse=True)
    read = _Ridge(codes[fitted], np.eye(len(people))[label], 1e-2)(codes[held_out])
    right = people[read.argmax(axis=1)] == faces.identity[held_out]
    return float(right.mean()), 1 / len(people)


def _view_spread(codes: Array, faces: Faces) -> float:
    within = [2 * codes[rows].var(axis=0, ddof=1).sum() for rows in faces.views_of_moments() if len(rows) > 1]
    among = 2 * codes.var(axis=0, ddof=1).sum() if len(codes) > 1 else 0.0
    return float(np.mean(within) / among) if within and among > 0 else float("nan")
