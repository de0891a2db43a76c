"""What a corpus on disk says of its pictures, held against each other by routes that share no code with it.

Heads are posed again from motion.npz alone, and a ray tracer looks at them through the stored cameras.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import trimesh
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from datagen.geometry.cameras import plucker_rays
from datagen.geometry.surface import Surface, make_surface
from datagen.heads.model import load_head
from manifests.clip import Motion
from manifests.conventions import SEGMENTATION_CLASSES
from tests.conftest import Generated

Array = NDArray[Any]

HAIR = SEGMENTATION_CLASSES.index("hair")
EXPRESSIVE_M = 0.003
"""Skin that an expression moves further than this shows it."""


@dataclass(frozen=True)
class Traced:
    """One picture of a sample, and what a ray tracer sees in its place. Arrays are [H, W] or [H, W, 3]."""

    sample: dict[str, Any]
    view: int
    frame: int
    depth: Array
    """Metres; 0 where rays miss."""
    normals: Array
    neutral_normals: Array
    """Of the same pose with a neutral face."""
    moved: Array
    """How far the expression moved what is seen, metres."""

    def stored(self, label: str) -> Array:
        picture: Array = self.sample[f"v{self.view:02d}.{label}.mkv"][self.frame]
        return picture


@pytest.fixture(scope="module")
def samples(corpus: Generated) -> list[dict[str, Any]]:
    return [corpus.sample(row) for row in corpus.rows()]


@pytest.fixture(scope="module")
def traced(samples: list[dict[str, Any]]) -> list[Traced]:
    """The first and the last frame of every view of every clip."""
    return [picture for sample in samples for picture in _trace(sample)]


def test_stored_rays_meet_the_posed_head_at_the_stored_depth(traced: list[Traced]) -> None:
    for picture in traced:
        stored = picture.stored("depth")
        both = (stored > 0) & (picture.depth > 0)
        assert both.sum() > 500
        assert np.count_nonzero((stored > 0) != (picture.depth > 0)) <= 2
        error = np.abs(stored - picture.depth)[both]
        assert np.median(error) <= 1e-4  # its steps are that long
        assert np.quantile(error, 0.95) <= 1e-4


def test_stored_normals_are_those_of_the_posed_head(traced: list[Traced]) -> None:
    for picture in traced:
        angle = _degrees_between(picture.stored("normals"), picture.normals)
        assert np.isfinite(angle).sum() > 500
        assert np.nanmedian(angle) <= 0.5
        assert np.nanquantile(angle, 0.9) <= 0.5


def test_pose_normals_show_pose_and_no_expression(traced: list[Traced]) -> None:
    """Where the face moves they are far from the normals with expression, and everywhere those without."""
    with_expression, without = [], []
    for picture in traced:
        stored = picture.stored("pose_normals")
        angle = _degrees_between(stored, picture.neutral_normals)
        assert np.isfinite(angle).sum() > 500
        assert np.nanmedian(angle) <= 0.5
        assert np.nanquantile(angle, 0.9) <= 0.5
        assert np.count_nonzero(stored.any(axis=-1) != picture.neutral_normals.any(axis=-1)) <= 2
        moving = (picture.moved > EXPRESSIVE_M) & np.isfinite(angle)
        without.append(angle[moving])
        with_expression.append(_degrees_between(stored, picture.normals)[moving])
    assert sum(map(len, without)) > 100
    assert np.median(np.concatenate(without)) <= 0.5
    assert np.nanmedian(np.concatenate(with_expression)) > 2


def test_the_posed_head_covers_what_alpha_covers(traced: list[Traced]) -> None:
    """But for hair, which is no part of it. The bound is tight enough to tell a shift by two pixels."""
    for picture in traced:
        alpha = picture.stored("alpha") > 127
        head = picture.depth > 0
        bald = picture.stored("segmentation") != HAIR
        assert _overlap(head, alpha, bald) > 0.97
        for axis in (0, 1):
            for shift in (-2, 2):
                assert _overlap(np.roll(head, shift, axis), alpha, bald) < 0.97


def test_landmarks_are_where_the_stored_cameras_see_their_points(samples: list[dict[str, Any]]) -> None:
    for sample in samples:
        landmarks = sample["landmarks.npz"]
        for view, frame, K, world_to_camera in _pictures(sample):
            pixels, depth = _project(landmarks["points"][frame], K, world_to_camera)
            np.testing.assert_allclose(landmarks["pixels"][view, frame], pixels, atol=1e-3)
            visible = landmarks["visible"][view, frame]
            column, row = np.floor(pixels[visible]).astype(int).T
            stored = sample[f"v{view:02d}.depth.mkv"][frame][row, column]
            seen = stored > 0
            # A pixel of a face this small spans millimetres of depth.
            assert np.median(np.abs(stored - depth[visible])[seen]) < 0.004


def test_flow_carries_points_from_frame_to_frame(samples: list[dict[str, Any]]) -> None:
    """Still people under moving cameras: where flow leads, the next frame's depth has the same world point."""
    checked = 0
    for sample in samples:
        if sample["spec.json"]["recipe"] != "view_sweep":
            continue
        for view, frame, K, world_to_camera in _pictures(sample):
            if frame + 1 == sample["spec.json"]["frames"]:
                continue
            depth = sample[f"v{view:02d}.depth.mkv"][frame]
            rows, columns = np.nonzero(depth)
            points = _back_project(columns + 0.5, rows + 0.5, depth[rows, columns], K, world_to_camera)
            later, _ = _project(
                points,
                sample["cameras.npz"]["K"][view, frame + 1],
                sample["cameras.npz"]["world_to_camera"][view, frame + 1],
            )
            flow = sample[f"v{view:02d}.flow.mkv"][frame][rows, columns]
            start = np.stack([columns + 0.5, rows + 0.5], axis=1)
            np.testing.assert_allclose(start + flow, later, atol=0.05)
            checked += len(rows)
    assert checked > 1000


def _trace(sample: dict[str, Any]) -> list[Traced]:
    motion = Motion(**sample["motion.npz"])
    head = load_head(sample["spec.json"]["head"]["name"])
    surface = make_surface(head, sample["spec.json"]["render"]["subdivision"])
    posed, neutral = (surface.refine(head.pose(m)) for m in (motion, motion.without_expression()))
    frames = (0, motion.frames - 1)
    meshes = {frame: (_Mesh(posed[frame], surface), _Mesh(neutral[frame], surface)) for frame in frames}
    out = []
    for view, frame, K, world_to_camera in _pictures(sample):
        if frame not in meshes:
            continue
        size = sample[f"v{view:02d}.alpha.mkv"].shape[1:]
        depth, normals, vertex = meshes[frame][0].seen_by(K, world_to_camera, *size)
        _, neutral_normals, _ = meshes[frame][1].seen_by(K, world_to_camera, *size)
        moved = np.linalg.norm(posed[frame] - neutral[frame], axis=-1)[vertex]
        out.append(Traced(sample, view, frame, depth, normals, neutral_normals, moved))
    return out


class _Mesh:
    """A mesh in Embree's hands, with trimesh's vertex normals."""

    def __init__(self, vertices: Array, surface: Surface) -> None:
        self._faces = surface.faces
        self._normals = trimesh.Trimesh(vertices, surface.faces, process=False).vertex_normals
        self._scene = EmbreeScene(robust=True)
        TriangleMesh(self._scene, vertices.astype(np.float32), surface.faces)

    def seen_by(self, K: Array, world_to_camera: Array, height: int, width: int) -> tuple[Array, Array, Array]:
        """Depth [H, W], normals [H, W, 3] (zero where rays miss) and a vertex of the face seen [H, W]."""
        rays = plucker_rays(K, world_to_camera, height, width).reshape(6, -1).T
        direction, moment = np.ascontiguousarray(rays[:, :3]), rays[:, 3:]
        centre = -world_to_camera[:3, :3].T @ world_to_camera[:3, 3]
        np.testing.assert_allclose(np.cross(centre, direction), moment, atol=1e-6)
        origin = np.broadcast_to(centre, direction.shape).astype(np.float32)
        found = self._scene.run(origin, direction, output=True)
        hit = found["primID"] >= 0
        points = centre + np.where(hit, found["tfar"], 1.0)[:, None] * direction
        pixels, depth = _project(points, K, world_to_camera)
        row, column = np.divmod(np.arange(height * width), width)
        np.testing.assert_allclose(pixels, np.stack([column, row], axis=1) + 0.5, atol=1e-3)

        corners = self._faces[np.where(hit, found["primID"], 0)]
        u, v = found["u"][:, None], found["v"][:, None]
        normals = [self._normals[corner] for corner in corners.T]
        normal = (1 - u - v) * normals[0] + u * normals[1] + v * normals[2]
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        from_behind = (found["Ng"] * direction).sum(axis=1) > 0
        normal *= np.where(from_behind, -1, 1)[:, None] * hit[:, None]
        size = (height, width)
        return np.where(hit, depth, 0).reshape(size), normal.reshape((*size, 3)), corners[:, 0].reshape(size)


def _degrees_between(a: Array, b: Array) -> Array:
    """Between unit vectors [..., 3]; not a number where either is zero."""
    angle = np.degrees(np.arccos(np.clip((a * b).sum(axis=-1), -1, 1)))
    return np.where(a.any(axis=-1) & b.any(axis=-1), angle, np.nan)


def _overlap(a: Array, b: Array, where: Array) -> float:
    """Intersection over union of two masks."""
    return float((a & b & where).sum() / ((a | b) & where).sum())


def _pictures(sample: dict[str, Any]) -> list[tuple[int, int, Array, Array]]:
    cameras, spec = sample["cameras.npz"], sample["spec.json"]
    return [
        (view, frame, cameras["K"][view, frame], cameras["world_to_camera"][view, frame])
        for view in range(spec["views"])
        for frame in range(spec["frames"])
    ]


def _project(points: Array, K: Array, world_to_camera: Array) -> tuple[Array, Array]:
    local = points @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
    image = local @ K.T
    return image[:, :2] / image[:, 2:], local[:, 2]


def _back_project(x: Array, y: Array, depth: Array, K: Array, world_to_camera: Array) -> Array:
    pixels = np.stack([x, y, np.ones_like(x)], axis=1)
    local = (np.linalg.inv(K) @ pixels.T).T * depth[:, None]
    rotation, translation = world_to_camera[:3, :3], world_to_camera[:3, 3]
    points: Array = (local - translation) @ rotation
    return points
