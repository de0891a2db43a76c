"""The open head in the FLAME file format: bust, five joints, 300 identity and 86 expression components."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import bust, eyeball, landmarks
from .figure import Figure

Array = NDArray[Any]

JOINTS = ("root", "neck", "jaw", "left_eye", "right_eye")
_PARENTS = (-1, 0, 1, 1, 1)
SHAPE_COLUMNS, EXPRESSION_COLUMNS = 300, 100
"""Where smplx's FLAME splits ``shapedirs``."""

_NECK_SHARE = {"neck03": 0.85, "neck02": 0.5, "neck01": 0.15}
"""How far the skin over each neck bone follows a turn of the head; bones above follow wholly."""


def open_head_arrays(figure: Figure) -> dict[str, Array]:
    """Every array of the FLAME-format file and of the extras that ``HeadModel`` reads; see ``store``."""
    cut = bust.cut(figure.vertices, figure.faces, figure.part, figure.uv, figure.uv_faces, bust.bust_field)
    vertices = cut.vertices(figure.vertices)
    source = np.where(cut.share == 0, figure.source[cut.first], -1)
    landmark_faces, barycentric = landmarks.find(source, figure.mirror, cut.faces, cut.part)
    return {
        "v_template": vertices.astype(np.float32),
        "shapedirs": shape_directions(
            cut.vertices(figure.components, axis=1), cut.vertices(figure.expressions, axis=1)
        ),
        "posedirs": np.zeros((len(vertices), 3, 9 * (len(JOINTS) - 1)), np.float32),
        "J_regressor": _joint_regressor(figure, cut).astype(np.float32),
        "weights": cut.vertices(_skin_weights(figure)).astype(np.float32),
        "kintree_table": np.array([_PARENTS, range(len(JOINTS))], np.int64),
        "f": cut.faces.astype(np.int64),
        "part": cut.part,
        "uv": cut.uv.astype(np.float32),
        "uv_faces": cut.uv_faces.astype(np.int32),
        "landmark_faces": landmark_faces.astype(np.int32),
        "landmark_barycentric": barycentric.astype(np.float32),
    }


def shape_directions(components: Array, expressions: Array) -> Array:
    """Identity [K, V, 3] and expression [E, V, 3] components as FLAME's ``shapedirs`` float32 [V, 3, 400]."""
    directions = np.zeros((components.shape[1], 3, SHAPE_COLUMNS + EXPRESSION_COLUMNS), np.float32)
    directions[:, :, : len(components)] = components.transpose(1, 2, 0)
    directions[:, :, SHAPE_COLUMNS : SHAPE_COLUMNS + len(expressions)] = expressions.transpose(1, 2, 0)
    return directions


def head_joint_rows(figure: Figure) -> dict[str, Array]:
    """Regressor rows [V] of the joints that head and body share; the eyes' are exact for every identity."""
    skin = _upper_skin(figure)
    rows = {
        "neck": regressor_row(np.zeros(3), figure.vertices, skin),
        "jaw": regressor_row(figure.jaw_pivot, figure.vertices, skin),
    }
    for name, index in figure.eyes.items():
        rows[name] = np.zeros(len(figure.vertices))
        rows[name][index] = eyeball.centre_weights()
    return rows


def regressor_row(point: Array, vertices: Array, candidates: Array, count: int = 200) -> Array:
    """Weights [V], sum 1, over the nearest candidates whose weighted mean is ``point``; least squares
    norm."""
    distance = np.linalg.norm(vertices[candidates] - point, axis=1)
    nearest = candidates[np.argsort(distance, kind="stable")[:count]]
    system = np.vstack([vertices[nearest].T, np.ones(len(nearest))])
    row = np.zeros(len(vertices))
    row[nearest] = np.linalg.pinv(system) @ np.append(point, 1)
    return row


def neck_share(figure: Figure) -> Array:
    """How far each vertex [V] follows a turn of the head about the neck joint."""
    share = np.zeros(len(figure.vertices))
    total = np.zeros(len(figure.vertices))
    for bone, weight in figure.bones.items():
        share += weight * (1.0 if _under(figure, bone, "head") else _NECK_SHARE.get(bone, 0.0))
        total += weight
    share = np.divide(share, total, out=np.ones_like(share), where=total > 0)
    for index in figure.eyes.values():
        share[index] = 1
    return share


def _skin_weights(figure: Figure) -> Array:
    head = neck_share(figure)
    weights = np.zeros((len(figure.vertices), len(JOINTS)))
    weights[:, JOINTS.index("root")] = 1 - head
    weights[:, JOINTS.index("jaw")] = head * figure.jaw
    weights[:, JOINTS.index("neck")] = head * (1 - figure.jaw)
    for name, index in figure.eyes.items():
        weights[index] = 0
        weights[index, JOINTS.index(name)] = 1
    return weights


def _joint_regressor(figure: Figure, cut: bust.Cut) -> Array:
    rows = head_joint_rows(figure)
    rows["root"] = regressor_row(figure.joints["neck"], figure.vertices, _upper_skin(figure))
    on_figure = np.stack([rows[name] for name in JOINTS])
    regressor = np.zeros((len(JOINTS), len(cut.first)))
    plain = np.flatnonzero(cut.share == 0)
    regressor[:, plain] = on_figure[:, cut.first[plain]]
    return regressor


def _upper_skin(figure: Figure) -> Array:
    """Skin well above the bust's edge."""
    skin = np.unique(figure.faces[figure.part == 0])
    return skin[figure.vertices[skin, 1] > -0.8 * bust.DEPTH]


def _under(figure: Figure, bone: str, ancestor: str) -> bool:
    while bone:
        if bone == ancestor:
            return True
        bone = figure.bone_parents.get(bone, "")
    return False
