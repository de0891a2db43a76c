"""What a corpus on disk says of its pictures, held against each other by routes that share no code with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from datagen.geometry.cameras import plucker_rays
from datagen.geometry.surface import make_surface
from datagen.heads.model import load_head
from manifests.clip import Motion
from manifests.conventions import SEGMENTATION_CLASSES
from tests.conftest import Generated

Array = NDArray[Any]

HAIR = SEGMENTATION_CLASSES.index("hair")


@pytest.fixture(scope="module")
def samples(corpus: Generated) -> list[dict[str, Any]]:
    return [corpus.sample(row) for row in corpus.rows()]


def test_stored_depth_lies_on_the_stored_rays(samples: list[dict[str, Any]]) -> None:
    """A point p is on the line (d, m) exactly if p x d = m (Pluecker)."""
    for sample in samples:
        for view, frame, K, world_to_camera in _pictures(sample):
            depth = sample[f"v{view:02d}.depth.mkv"][frame]
            rows, columns = np.nonzero(depth)
            rays = plucker_rays(K, world_to_camera, *depth.shape)[:, rows, columns].T
            points = _back_project(columns + 0.5, rows + 0.5, depth[rows, columns], K, world_to_camera)
            moment = np.cross(points, rays[:, :3])
            np.testing.assert_allclose(moment, rays[:, 3:], atol=1e-5)
            np.testing.assert_allclose(np.linalg.norm(rays[:, :3], axis=1), 1, atol=1e-6)


def test_the_posed_head_covers_what_alpha_covers(samples: list[dict[str, Any]]) -> None:
    """The head, posed again from motion.npz alone, falls inside the stored silhouette, hair or not."""
    for sample in samples:
        vertices = _pose(sample)
        for view, frame, K, world_to_camera in _pictures(sample):
            alpha = sample[f"v{view:02d}.alpha.mkv"][frame]
            pixels, _ = _project(vertices[frame], K, world_to_camera)
            column, row = np.floor(pixels).astype(int).T
            inside = (row >= 0) & (row < alpha.shape[0]) & (column >= 0) & (column < alpha.shape[1])
            assert inside.mean() > 0.3
            # A pixel that a vertex only touches may get none of its four samples: allow one pixel.
            assert binary_dilation(alpha > 0, np.ones((3, 3)))[row[inside], column[inside]].all()
            bald = sample[f"v{view:02d}.segmentation.mkv"][frame] != HAIR
            covered = np.zeros(alpha.shape, bool)
            covered[row[inside], column[inside]] = True
            filled = covered | (sample[f"v{view:02d}.depth.mkv"][frame] > 0)
            agree = (filled == (alpha > 127))[bald]
            assert agree.mean() > 0.97


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


def test_pose_normals_show_pose_and_no_expression(samples: list[dict[str, Any]]) -> None:
    for sample in samples:
        for view, frame, *_ in _pictures(sample):
            normals = sample[f"v{view:02d}.pose_normals.mkv"][frame]
            length = np.linalg.norm(normals, axis=-1)
            hit = length > 0
            np.testing.assert_allclose(length[hit], 1, atol=1e-5)
            depth = sample[f"v{view:02d}.depth.mkv"][frame] > 0
            assert (hit == depth).mean() > 0.95


def _pictures(sample: dict[str, Any]) -> list[tuple[int, int, Array, Array]]:
    cameras, spec = sample["cameras.npz"], sample["spec.json"]
    return [
        (view, frame, cameras["K"][view, frame], cameras["world_to_camera"][view, frame])
        for view in range(spec["views"])
        for frame in range(spec["frames"])
    ]


def _pose(sample: dict[str, Any]) -> Array:
    head = load_head(sample["spec.json"]["head"]["name"])
    surface = make_surface(head, sample["spec.json"]["render"]["subdivision"])
    return surface.refine(head.pose(Motion(**sample["motion.npz"])))


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
