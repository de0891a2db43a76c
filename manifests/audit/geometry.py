"""Cameras, landmarks, pictures and labels of a clip must tell of one and the same head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.audit.arrays import Add, Shape
from manifests.audit.images import listed
from manifests.audit.probe import Expected, GeometryProbe
from manifests.conventions import SEGMENTATION_CLASSES
from manifests.errors import UserError

Array = NDArray[Any]

LANDMARK_PX, FLOAT32, NEAR_M = 0.05, 1e-5, 1e-3
ROTATION = 1e-6
"""How far a rotation may be from one."""
LONGEST_FOCAL_PX, FARTHEST_M = 1e6, 1e3
"""Beyond them no camera of a corpus is, and arithmetic on pixels is not safe."""
NORMAL_DEG, DEPTH_M = 2.0, 0.001
"""For nine pixels of ten; storing them costs 0.4 degrees and 0.05 mm."""
SAME_PLACE = 0.95
"""Intersection over union of where a label and the mesh are."""
MESH_COVERED = 0.95
"""Of the mesh: alpha covers it, whatever hair adds."""
OVERLAP = 0.9
"""Intersection over union of the mesh with alpha without what segmentation calls worn, or without hair."""
OVERLAP_OF_STYLE = {"bald": 0.9, "buzz": 0.85, "short": 0.75, "bob": 0.5}
"""The same with the hair, where there is no segmentation; the lowest rendered ones are 0.99, 0.98, 0.93 and 0.84."""
SMALL_PX = 64
"""A mesh that covers fewer pixels says nothing."""
LARGE_PX, PIXELS_AT_ONCE = 2048 * 2048, 1 << 22
"""A picture of more is compared once a view; so many pixels' meshes are held at a time, or one view's."""

Meshes = Mapping[tuple[int, int], Expected]
"""By view and frame."""


def check_cameras(cameras: Mapping[str, Array], add: Add) -> bool:
    """Whether intrinsics are such as a camera has, and world-to-camera transforms rigid."""
    k, pose = cameras["K"], cameras["world_to_camera"]
    straight = (k[..., 0, 0] > 0) & (k[..., 1, 1] > 0) & (k[..., 2, :] == [0, 0, 1]).all(axis=-1)
    straight &= (np.abs(k) < LONGEST_FOCAL_PX).all(axis=(-1, -2))
    if not straight.all():
        add("cameras-disagree", "cameras.npz:K", "focal lengths above 0 and a last row 0 0 1", _where(~straight))
    rotation, offset = pose[..., :3, :3], pose[..., :3, 3]
    near = (np.abs(rotation) < 2).all(axis=(-1, -2)) & (np.abs(offset) < FARTHEST_M).all(axis=-1)
    safe = np.where(near[..., None, None], rotation, 0)
    gram = safe @ np.swapaxes(safe, -1, -2)
    rigid = near & (np.abs(gram - np.eye(3)).max(axis=(-1, -2)) < ROTATION) & (np.linalg.det(safe) > 0)
    rigid &= (pose[..., 3, :] == [0, 0, 0, 1]).all(axis=-1)
    if not rigid.all():
        add("cameras-disagree", "cameras.npz:world_to_camera", "rotations and translations", _where(~rigid))
    return bool(straight.all() and rigid.all())


def check_landmarks(cameras: Mapping[str, Array], landmarks: Mapping[str, Array], shape: Shape, add: Add) -> None:
    """Landmarks in the pictures are those in space, seen through the cameras; visible ones are in the picture."""
    points = landmarks["points"].astype(np.float64)
    off, outside = np.zeros((shape.views, shape.frames)), np.zeros((shape.views, shape.frames), bool)
    for view, (k, pose) in enumerate(zip(cameras["K"], cameras["world_to_camera"], strict=True)):
        stored, visible = landmarks["pixels"][view].astype(np.float64), landmarks["visible"][view]
        with np.errstate(all="ignore"):
            local = np.einsum("tij,tnj->tni", pose[:, :3, :3], points) + pose[:, None, :3, 3]
            image = np.einsum("tij,tnj->tni", k, local)
            error = np.abs(image[..., :2] / image[..., 2:] - stored)
            # Beside the picture, pixels grow beyond what float32 holds to a fraction.
            excess = np.maximum(error - FLOAT32 * np.abs(stored), 0).max(axis=-1)
        before = local[..., 2] > NEAR_M
        off[view] = np.where(before, np.nan_to_num(excess, nan=np.inf), 0).max(axis=-1)
        inside = ((stored >= 0) & (stored <= (shape.width, shape.height))).all(axis=-1)
        outside[view] = (visible & ~(inside & before)).any(axis=-1)
    wrong = off > LANDMARK_PX
    if wrong.any():
        seen = f"up to {off.max():.3g} px off, {_where(wrong)}"
        add("landmarks-disagree", "landmarks.npz:pixels", "the points seen through the cameras", seen)
    if outside.any():
        add("landmarks-disagree", "landmarks.npz:visible", "visible ones in the picture", _where(outside))


def views_at_once(shape: Shape) -> int:
    """How many views' meshes are held at a time."""
    return max(1, PIXELS_AT_ONCE // (len(_compared(shape)) * shape.height * shape.width))


def expect(
    probe: GeometryProbe | None, spec: Mapping[str, Any], stored: Mapping[str, Any], shape: Shape, view: int, add: Add
) -> Meshes:
    """What the mesh looks like in the first, middle and last picture of the next `views_at_once` views."""
    views = range(view, min(view + views_at_once(shape), shape.views))
    pictures = [(v, t) for v in views for t in _compared(shape)]
    if probe is None:
        add("geometry-unchecked", "", "a head to check geometry against", "none was given")
        return {}
    record = {**spec, "width": shape.width, "height": shape.height}
    try:
        made = probe.pictures(record, stored["motion"], stored["cameras"], pictures)
    except UserError as error:
        add("geometry-unchecked", "", "the clip's head on this machine", str(error))
        return {}
    except (ValueError, IndexError, KeyError, TypeError, ArithmeticError, RuntimeError) as error:
        # The parameters are anybody's: what no head can be posed with disagrees with any picture.
        add("cameras-disagree", "motion.npz", "a head that the cameras see", f"{type(error).__name__}: {error}")
        return {}
    return {(e.view, e.frame): e for e in made}


class MeshCheck:
    """Compares one view's pictures with the expected mesh as they come."""

    def __init__(self, view: int, expected: Meshes, hair_style: str, add: Add) -> None:
        self._prefix = f"v{view:02d}"
        self._expected = {t: e for (v, t), e in expected.items() if v == view}
        self._hair_style, self._add = hair_style, add
        self._wrong: dict[tuple[str, str, str], list[tuple[int, str]]] = {}

    def take(self, start: int, pictures: Mapping[str, Array]) -> None:
        """The next window of `images.windows`."""
        length = max((len(window) for window in pictures.values()), default=0)
        for frame in range(start, start + length):
            if frame in self._expected:
                self._compare(self._expected[frame], {label: w[frame - start] for label, w in pictures.items()})

    def finish(self) -> None:
        """Tells what was seen."""
        for (check, member, expected), faults in self._wrong.items():
            self._add(check, member, expected, f"{faults[0][1]} in {listed([frame for frame, _ in faults])}")

    def _compare(self, mesh: Expected, picture: Mapping[str, Array]) -> None:
        if mesh.mask.sum() < SMALL_PX:
            self._note("head-out-of-frame", "rgb.mp4", "a head in the picture", mesh.frame, "next to none")
            return
        if "alpha" in picture:
            self._compare_alpha(mesh, picture["alpha"] > 127, picture.get("segmentation"))
        for label, normals in (("pose_normals", mesh.pose_normals), ("normals", mesh.normals)):
            if label in picture:
                self._compare_normals(f"{label}.mkv", mesh.frame, picture[label], normals)
        if "depth" in picture:
            self._compare_depth(mesh, picture["depth"])

    def _compare_alpha(self, mesh: Expected, covered: Array, segmentation: Array | None) -> None:
        inside = float((covered & mesh.mask).sum() / mesh.mask.sum())
        if segmentation is None:
            least = OVERLAP_OF_STYLE.get(self._hair_style, min(OVERLAP_OF_STYLE.values()))
            body = covered
        else:
            least = OVERLAP
            body = covered & (~np.isin(segmentation, _WORN) | mesh.mask)
        overlap = float((body & mesh.mask).sum() / (body | mesh.mask).sum())
        if inside < MESH_COVERED or overlap < least:
            expected = f"alpha on {MESH_COVERED:g} of the mesh, and an overlap of {least:g}"
            self._note("cameras-disagree", "alpha.mkv", expected, mesh.frame, f"{inside:.3g}, and {overlap:.3g}")

    def _compare_normals(self, member: str, frame: int, stored: Array, wanted: Array) -> None:
        there, here = (np.linalg.norm(normals, axis=-1) > 0.5 for normals in (stored, wanted))
        both = there & here
        cosine = np.clip((stored[both] * wanted[both]).sum(axis=-1), -1, 1)
        angle = float(np.degrees(np.arccos(np.quantile(cosine, 0.1)))) if both.any() else 180.0
        place = _overlap(there, here)
        if angle > NORMAL_DEG or place < SAME_PLACE:
            expected = f"nine pixels of ten within {NORMAL_DEG:g} degrees of the mesh, and an overlap of {SAME_PLACE:g}"
            self._note("normals-disagree", member, expected, frame, f"{angle:.3g} degrees, and {place:.3g}")

    def _compare_depth(self, mesh: Expected, depth: Array) -> None:
        there = depth > 0
        both = there & mesh.mask
        off = float(np.quantile(np.abs(depth - mesh.depth)[both], 0.9)) if both.any() else np.inf
        place = _overlap(there, mesh.mask)
        if off > DEPTH_M or place < SAME_PLACE:
            expected = f"nine pixels of ten within {1000 * DEPTH_M:g} mm of the mesh, and an overlap of {SAME_PLACE:g}"
            self._note("depth-disagrees", "depth.mkv", expected, mesh.frame, f"{1000 * off:.3g} mm, and {place:.3g}")

    def _note(self, check: str, member: str, expected: str, frame: int, seen: str) -> None:
        self._wrong.setdefault((check, f"{self._prefix}.{member}", expected), []).append((frame, seen))


_WORN = [SEGMENTATION_CLASSES.index(name) for name in ("hair", "lashes", "glasses")]


def _compared(shape: Shape) -> list[int]:
    """Frames."""
    return [shape.frames // 2] if shape.height * shape.width > LARGE_PX else sorted(shape.watched)


def _overlap(a: Array, b: Array) -> float:
    """Intersection over union."""
    return float((a & b).sum() / max((a | b).sum(), 1))


def _where(wrong: Array) -> str:
    """Of [V, T] flags."""
    view, frame = np.argwhere(wrong)[0]
    return f"in {int(wrong.sum())} of {wrong.size} pictures, the first in view {view}, frame {frame}"
