"""Every picture of a clip against some places of its head's surface, made anew from the stored parameters.

The few pictures that `geometry` compares stand for all pixels; the places here stand for all frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.audit.arrays import Add, Shape
from manifests.audit.images import listed
from manifests.audit.probe import GeometryProbe, Places
from manifests.conventions import SEGMENTATION_CLASSES
from manifests.errors import UserError

Array = NDArray[Any]

PLACES = 384
FEWEST = 24
"""Places that a picture must show for them to tell anything."""
FACING = 0.3
"""Cosine of the angle between normal and line of sight, at least: nearer to the outline, pixels mix."""
AGREE = 0.6
"""Of the places in a picture. Others lie behind a nose or a chin; the lowest of rendered pictures is 0.72."""
LANDMARK_M = 1e-4
ON_ALPHA = 0.9

_ROOM = {"depth": 0.002, "normals": 0.03, "pose_normals": 0.03, "uv": 0.004, "flow": 0.1}
"""How far a value may lie outside those of the pixels around it: metres, 1, 1, 1 and pixels."""
_CHECKS = {
    "depth": "depth-disagrees",
    "normals": "normals-disagree",
    "pose_normals": "normals-disagree",
    "uv": "labels-disagree",
    "flow": "labels-disagree",
    "segmentation": "labels-disagree",
    "alpha": "cameras-disagree",
}
_WORN = [SEGMENTATION_CLASSES.index(name) for name in ("hair", "brows", "lashes", "clothing", "glasses")]
"""Classes that may cover any other."""
_AROUND = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]


def expected_places(
    probe: GeometryProbe, spec: Mapping[str, Any], stored: Mapping[str, Mapping[str, Array]], add: Add
) -> Places | None:
    """The clip's places, and the stored landmarks held against theirs; None if they can't be had, which
    `geometry.expect` has told."""
    try:
        made = probe.places(spec, stored["motion"], PLACES)
    except (UserError, ValueError, IndexError, KeyError, TypeError, ArithmeticError, RuntimeError):
        return None
    off = np.abs(made.landmarks - stored["landmarks"]["points"]).max(axis=(1, 2))
    frames = np.flatnonzero(~(off < LANDMARK_M))
    if len(frames):
        seen = f"up to {1000 * off.max():.3g} mm off in {listed(frames.tolist())}"
        add("landmarks-disagree", "landmarks.npz:points", "those of the head in its stored pose", seen)
    return made


class PlacesCheck:
    """Compares one view's pictures with the places as they come."""

    def __init__(
        self, view: int, shape: Shape, places: Places | None, cameras: Mapping[str, Array] | None, add: Add
    ) -> None:
        self._prefix, self._shape, self._add = f"v{view:02d}", shape, add
        self._places = places if cameras is not None else None
        if cameras is not None:
            self._k, self._pose = cameras["K"][view], cameras["world_to_camera"][view]
        self._wrong: dict[str, list[tuple[int, float]]] = {}

    def take(self, start: int, pictures: Mapping[str, Array]) -> None:
        """The next window of `images.windows`."""
        if self._places is None:
            return
        length = max((len(window) for window in pictures.values()), default=0)
        for frame in range(start, start + length):
            self._compare(self._places, frame, {name: window[frame - start] for name, window in pictures.items()})

    def finish(self) -> None:
        """Tells what was seen."""
        for label, faults in self._wrong.items():
            least = ON_ALPHA if label == "alpha" else AGREE
            expected = f"{least:g} of the places on the mesh as it should be"
            worst = min(share for _, share in faults)
            seen = f"{worst:.2g} in {listed([frame for frame, _ in faults])}"
            self._add(_CHECKS[label], f"{self._prefix}.{label}.mkv", expected, seen)

    def _compare(self, places: Places, frame: int, picture: Mapping[str, Array]) -> None:
        for neutral, labels in (
            (False, set(picture) - {"pose_normals", "rgb"}),
            (True, {"pose_normals"} & set(picture)),
        ):
            points, normals = (places.pose_points, places.pose_normals) if neutral else (places.points, places.normals)
            pixels, depth = self._project(points[frame], frame)
            size = self._shape.width, self._shape.height
            seen = (depth > 0) & self._faces(points[frame], normals[frame], frame)
            seen &= ((pixels >= 1) & (pixels < np.subtract(size, 1))).all(axis=-1)
            at = np.flatnonzero(seen)
            if len(at) < FEWEST:
                continue
            column, row = pixels[at].astype(int).T
            for label in sorted(labels):
                around = np.stack([picture[label][row + y, column + x] for y, x in _AROUND])
                fits = self._fits(label, places, frame, at, around, pixels[at], depth[at], normals[frame][at])
                if fits is not None and len(fits) >= FEWEST:
                    share = float(fits.mean())
                    if share < (ON_ALPHA if label == "alpha" else AGREE):
                        self._wrong.setdefault(label, []).append((frame, share))

    def _fits(
        self,
        label: str,
        places: Places,
        frame: int,
        at: Array,
        around: Array,
        pixels: Array,
        depth: Array,
        normals: Array,
    ) -> Array | None:
        """bool [n]: which places' values are among those of the pixels ``around`` [9, n, ...]."""
        if label == "alpha":
            return np.asarray((around > 127).any(axis=0))
        if label == "segmentation":
            sure = places.classes[at] > 0
            found = (around == places.classes[at]).any(axis=0) | np.isin(around[4], _WORN)
            return np.asarray(found[sure])
        if label == "depth":
            there = around > 0
            lowest, highest = np.where(there, around, np.inf).min(axis=0), around.max(axis=0)
            return np.asarray((depth > lowest - _ROOM[label]) & (depth < highest + _ROOM[label]))
        if label in ("normals", "pose_normals"):
            return _within(normals, around, _ROOM[label])
        if label == "uv":
            return None if places.uv is None else _within(places.uv[at], around, _ROOM[label])
        if frame + 1 < self._shape.frames:
            later, _ = self._project(places.points[frame + 1][at], frame + 1)
            return _within(later - pixels, around, _ROOM[label])
        return None

    def _project(self, points: Array, frame: int) -> tuple[Array, Array]:
        local = points.astype(np.float64) @ self._pose[frame, :3, :3].T + self._pose[frame, :3, 3]
        image = local @ self._k[frame].T
        with np.errstate(all="ignore"):
            pixels = np.nan_to_num(image[:, :2] / image[:, 2:], nan=-1, posinf=-1, neginf=-1)
        return pixels, local[:, 2]

    def _faces(self, points: Array, normals: Array, frame: int) -> Array:
        """bool [N]: which places face the camera."""
        rotation, offset = self._pose[frame, :3, :3], self._pose[frame, :3, 3]
        sight = -offset @ rotation - points
        length = np.maximum(np.linalg.norm(sight, axis=-1), 1e-9)
        return np.asarray((sight * normals).sum(axis=-1) / length > FACING)


def _within(value: Array, around: Array, room: float) -> Array:
    """bool [n]: values [n, C] that lie between the least and greatest of [9, n, C]."""
    return np.asarray(((value > around.min(axis=0) - room) & (value < around.max(axis=0) + room)).all(axis=-1))
