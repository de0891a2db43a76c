"""The open figure as a full body in the SMPL-X file format: 55 joints, the open head's identities and
expressions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import landmarks
from .figure import Figure
from .open_head import head_joint_rows, neck_share, regressor_row, shape_directions

Array = NDArray[Any]

_FINGERS = {"index": 2, "middle": 3, "pinky": 5, "ring": 4, "thumb": 1}
"""SMPL-X finger names, in its order, and MakeHuman's numbers."""

# SMPL-X joint: parent, MakeHuman joint that places it, MakeHuman bones that it moves.
_TRUNK = {
    "pelvis": ("", "pelvis", ("root", "pelvis.L", "pelvis.R", "spine05")),
    "left_hip": ("pelvis", "l-upper-leg", ("upperleg01.L", "upperleg02.L")),
    "right_hip": ("pelvis", "r-upper-leg", ("upperleg01.R", "upperleg02.R")),
    "spine1": ("pelvis", "spine-4", ("spine04", "spine03")),
    "left_knee": ("left_hip", "l-knee", ("lowerleg01.L", "lowerleg02.L")),
    "right_knee": ("right_hip", "r-knee", ("lowerleg01.R", "lowerleg02.R")),
    "spine2": ("spine1", "spine-2", ("spine02",)),
    "left_ankle": ("left_knee", "l-ankle", ("foot.L",)),
    "right_ankle": ("right_knee", "r-ankle", ("foot.R",)),
    "spine3": ("spine2", "spine-1", ("spine01", "breast.L", "breast.R", "neck01", "neck02", "neck03")),
    "left_foot": (
        "left_ankle",
        "l-toe-2-1",
        tuple(f"toe{i}-{k}.L" for i in range(1, 6) for k in range(1, 4)),
    ),
    "right_foot": (
        "right_ankle",
        "r-toe-2-1",
        tuple(f"toe{i}-{k}.R" for i in range(1, 6) for k in range(1, 4)),
    ),
    "neck": ("spine3", "", ()),
    "left_collar": ("spine3", "l-clavicle", ("clavicle.L", "shoulder01.L")),
    "right_collar": ("spine3", "r-clavicle", ("clavicle.R", "shoulder01.R")),
    "head": ("neck", "head", ()),
    "left_shoulder": ("left_collar", "l-shoulder", ("upperarm01.L", "upperarm02.L")),
    "right_shoulder": ("right_collar", "r-shoulder", ("upperarm01.R", "upperarm02.R")),
    "left_elbow": ("left_shoulder", "l-elbow", ("lowerarm01.L", "lowerarm02.L")),
    "right_elbow": ("right_shoulder", "r-elbow", ("lowerarm01.R", "lowerarm02.R")),
    "left_wrist": ("left_elbow", "l-hand", ("wrist.L", *(f"metacarpal{i}.L" for i in range(1, 5)))),
    "right_wrist": ("right_elbow", "r-hand", ("wrist.R", *(f"metacarpal{i}.R" for i in range(1, 5)))),
    "jaw": ("head", "", ()),
    "left_eye": ("head", "", ()),
    "right_eye": ("head", "", ()),
}
_JOINTS = _TRUNK | {
    f"{side}_{finger}{k}": (
        f"{side}_wrist" if k == 1 else f"{side}_{finger}{k - 1}",
        f"{side[0]}-finger-{number}-{k}",
        (f"finger{number}-{k}.{side[0].upper()}",),
    )
    for side in ("left", "right")
    for finger, number in _FINGERS.items()
    for k in (1, 2, 3)
}
JOINTS = tuple(_JOINTS)
"""The 55 joints in SMPL-X's order."""

_HAND_NUMBERS = 45
_YAW_STEPS = 79
"""Rows of SMPL-X's contour table, one a degree of head turn; ours is the same in all."""


def open_body_arrays(figure: Figure) -> dict[str, Array]:
    """Every array of the SMPL-X-format file and of the extras that ``HeadModel`` reads; see ``store``."""
    count = len(figure.vertices)
    faces, barycentric = landmarks.find(figure.source, figure.mirror, figure.faces, figure.part)
    parents = [JOINTS.index(parent) if parent else -1 for parent, _, _ in _JOINTS.values()]
    return {
        "v_template": figure.vertices.astype(np.float32),
        "shapedirs": shape_directions(figure.components, figure.expressions),
        "posedirs": np.zeros((count, 3, 9 * (len(JOINTS) - 1)), np.int8),
        "J_regressor": _joint_regressor(figure).astype(np.float32),
        "weights": _skin_weights(figure).astype(np.float32),
        "kintree_table": np.array([parents, range(len(JOINTS))], np.int64),
        "f": figure.faces.astype(np.int64),
        "hands_componentsl": np.eye(_HAND_NUMBERS, dtype=np.float32),
        "hands_componentsr": np.eye(_HAND_NUMBERS, dtype=np.float32),
        "hands_meanl": np.zeros(_HAND_NUMBERS, np.float32),
        "hands_meanr": np.zeros(_HAND_NUMBERS, np.float32),
        "lmk_faces_idx": faces[17:68].astype(np.int64),
        "lmk_bary_coords": barycentric[17:68].astype(np.float32),
        "dynamic_lmk_faces_idx": np.tile(faces[:17], (_YAW_STEPS, 1)).astype(np.int64),
        "dynamic_lmk_bary_coords": np.tile(barycentric[:17], (_YAW_STEPS, 1, 1)).astype(np.float32),
        "part": figure.part,
        "uv": figure.uv.astype(np.float32),
        "uv_faces": figure.uv_faces.astype(np.int32),
        "landmark_faces": faces.astype(np.int32),
        "landmark_barycentric": barycentric.astype(np.float32),
    }


def _skin_weights(figure: Figure) -> Array:
    """Weights [V, 55]: above the collar exactly the open head's, so that neck and jaw turn alike on both."""
    share = neck_share(figure)
    body = np.zeros((len(figure.vertices), len(JOINTS)))
    for joint, (_, _, bones) in enumerate(_JOINTS.values()):
        for bone in bones:
            body[:, joint] += figure.bones.get(bone, 0.0)
    total = body.sum(axis=1, keepdims=True)
    weights = (1 - share)[:, None] * np.divide(body, total, out=np.zeros_like(body), where=total > 0)
    weights[:, JOINTS.index("jaw")] = share * figure.jaw
    weights[:, JOINTS.index("head")] = share * (1 - figure.jaw)
    for name, index in figure.eyes.items():
        weights[index] = 0
        weights[index, JOINTS.index(name)] = 1
    return weights


def _joint_regressor(figure: Figure) -> Array:
    skin = np.unique(figure.faces[figure.part == 0])
    points = {name: figure.joints[place] for name, (_, place, _) in _JOINTS.items() if place}
    rows = head_joint_rows(figure)
    for name, point in points.items():
        rows[name] = regressor_row(point, figure.vertices, skin)
    return np.stack([rows[name] for name in JOINTS])
