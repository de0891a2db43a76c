"""Stand-ins for licensed files: FLAME-like and SMPL-X-like models, pickled with a fake chumpy."""

from __future__ import annotations

import pickle
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

VERTICES = 300


def flame_like(columns: int = 400, seed: int = 0) -> dict[str, Array]:
    """A bumpy skull with two eyeballs in FLAME's arrays; the subject's left is +X."""
    rng = np.random.default_rng(seed)
    skull, skull_faces = _sphere(12, 15, np.zeros(3), 0.1)
    left, eye_faces = _sphere(6, 10, np.array([0.03, 0.03, 0.08]), 0.012)
    right = left * [-1, 1, 1]
    vertices = np.concatenate([skull + rng.normal(scale=1e-3, size=skull.shape), left, right])
    count, eye = len(vertices), len(left)
    faces = np.concatenate([skull_faces, eye_faces + len(skull), eye_faces[:, ::-1] + len(skull) + eye])
    weights = np.zeros((count, 5))
    weights[: len(skull), 1] = 1
    weights[len(skull) : len(skull) + eye, 3] = 1
    weights[len(skull) + eye :, 4] = 1
    regressor = np.zeros((5, count))
    regressor[0, :10] = regressor[1, 5:15] = regressor[2, 15:25] = 0.1
    regressor[3, len(skull) : len(skull) + eye] = regressor[4, len(skull) + eye :] = 1 / eye
    return {
        "v_template": vertices,
        "shapedirs": rng.normal(scale=1e-3, size=(count, 3, columns)),
        "posedirs": rng.normal(scale=1e-4, size=(count, 3, 36)),
        "J_regressor": regressor,
        "weights": weights,
        "kintree_table": np.array([[4294967295, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32),
        "f": faces.astype(np.uint32),
    }


def landmark_arrays(faces: int, count: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(5)
    return rng.integers(0, faces, count), rng.dirichlet([1, 1, 1], count)


def write_flame_landmarks(folder: Path, faces: int) -> Path:
    """FLAME's two embedding files; returns the one to name."""
    inner, inner_weights = landmark_arrays(faces, 51)
    contour, contour_weights = landmark_arrays(faces, 17)
    path = folder / "flame_static_embedding.pkl"
    content = {"lmk_face_idx": inner.astype(np.uint32), "lmk_b_coords": inner_weights}
    path.write_bytes(pickle.dumps(content, protocol=2))
    table = {
        "lmk_face_idx": np.tile(contour, (79, 1)),
        "lmk_b_coords": np.tile(contour_weights, (79, 1, 1)),
    }
    np.save(folder / "flame_dynamic_embedding.npy", np.array(table, dtype=object))
    return path


@contextmanager
def fake_modules(**classes: type) -> Iterator[None]:
    """Make classes importable as module__sub__Name -> module.sub.Name while a pickle is written."""
    before = dict(sys.modules)
    try:
        for path, cls in classes.items():
            *parents, name = path.split("__")
            for depth in range(1, len(parents) + 1):
                module = ".".join(parents[:depth])
                sys.modules.setdefault(module, types.ModuleType(module))
            cls.__module__, cls.__qualname__, cls.__name__ = ".".join(parents), name, name
            setattr(sys.modules[".".join(parents)], name, cls)
        yield
    finally:
        for module in set(sys.modules) - set(before):
            del sys.modules[module]


def chumpy_pickle(arrays: dict[str, Array], protocol: int = 2) -> bytes:
    """As FLAME's generic_model.pkl: shapes as chumpy arrays, weights as a selection, a sparse regressor."""
    from scipy.sparse import csc_matrix

    class Ch:
        def __init__(self, x: Array) -> None:
            self.x = x

    class Select:
        def __init__(self, a: Any, idxs: Array, preferred_shape: tuple[int, ...]) -> None:
            self.a, self.idxs, self.preferred_shape = a, idxs, preferred_shape

    with fake_modules(chumpy__ch__Ch=Ch, chumpy__reordering__Select=Select):
        content: dict[str, Any] = dict(arrays)
        content["v_template"] = Ch(arrays["v_template"])
        content["shapedirs"] = Ch(np.asfortranarray(arrays["shapedirs"]))
        shape = arrays["weights"].shape
        order = np.random.default_rng(1).permutation(arrays["weights"].size)
        shuffled = np.empty(arrays["weights"].size)
        shuffled[order] = arrays["weights"].ravel()
        content["weights"] = Select(Ch(shuffled), order, shape)
        content["J_regressor"] = csc_matrix(arrays["J_regressor"])
        content["bs_style"] = "lbs"
        return pickle.dumps(content, protocol=protocol)


def _sphere(rings: int, segments: int, centre: Array, radius: float) -> tuple[Array, Array]:
    polar = np.linspace(0, np.pi, rings + 2)[1:-1, None]
    around = 2 * np.pi * np.arange(segments)[None] / segments
    ring = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar) + 0 * around], -1)
    index = np.arange(rings * segments).reshape(rings, segments)
    after = np.roll(index, -1, axis=1)
    a, b, c, d = index[:-1], index[1:], after[1:], after[:-1]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return centre + radius * ring.reshape(-1, 3), faces
