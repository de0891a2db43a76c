"""Normals rendered anew are those that the corpus holds, and nothing else is."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from datagen.heads.model import HeadModel, load_head
from manifests.clip import Motion
from manifests.decode import NORMAL_SCALE
from manifests.errors import UserError
from tests.conftest import Generated
from training.pose_normals import camera_space, render_pose_normals

Array = NDArray[Any]

STORAGE_ERROR_DEG = 0.5
"""What a corpus promises of its normals."""


@dataclass(frozen=True)
class Stored:
    """One clip of the corpus."""

    spec: dict[str, Any]
    motion: Motion
    intrinsics: Array
    world_to_camera: Array
    pose_normals: Array
    """[V, T, H, W, 3]"""


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return load_head("open")


@pytest.fixture(scope="module")
def clips(corpus: Generated) -> list[Stored]:
    found = []
    for row in corpus.rows():
        sample = corpus.sample(row)
        views = range(sample["spec.json"]["views"])
        found.append(
            Stored(
                spec=sample["spec.json"],
                motion=Motion(**sample["motion.npz"]),
                intrinsics=sample["cameras.npz"]["K"],
                world_to_camera=sample["cameras.npz"]["world_to_camera"],
                pose_normals=np.stack([sample[f"v{v:02d}.pose_normals.mkv"] for v in views]),
            )
        )
    return found


def render(head: HeadModel, clip: Stored, view: int = 0, **changed: Any) -> Array:
    given = {
        "motion": clip.motion,
        "intrinsics": clip.intrinsics[view],
        "world_to_camera": clip.world_to_camera[view],
        "height": clip.spec["height"],
        "width": clip.spec["width"],
        "subdivision": clip.spec["render"]["subdivision"],
    }
    return render_pose_normals(head, **(given | changed))


def mask(normals: Array) -> Array:
    return np.any(normals != 0, axis=-1)


def largest_angle(a: Array, b: Array) -> float:
    """Degrees, over the pixels that both see a surface in."""
    both = mask(a) & mask(b)
    return float(np.degrees(np.arccos(np.clip((a[both] * b[both]).sum(axis=-1), -1, 1))).max())


def as_stored(normals: Array) -> Array:
    """What is read back of normals after they were written as bytes."""
    steps = np.rint(normals * NORMAL_SCALE)
    return steps / np.maximum(np.linalg.norm(steps, axis=-1, keepdims=True), 1)


def test_every_view_of_every_clip_is_what_the_corpus_holds(head: HeadModel, clips: list[Stored]) -> None:
    for clip in clips:
        for view, stored in enumerate(clip.pose_normals):
            made = render(head, clip, view)
            assert np.array_equal(mask(made), mask(stored))
            assert 100 < mask(made[0]).sum() < mask(made[0]).size
            assert largest_angle(made, stored) <= STORAGE_ERROR_DEG
            assert np.allclose(as_stored(made), stored, atol=1e-6)
            assert np.allclose(np.linalg.norm(made[mask(made)], axis=-1), 1, atol=1e-6)


def test_cameras_in_single_precision_move_at_most_a_pixel_of_the_outline(head: HeadModel, clips: list[Stored]) -> None:
    for clip in clips:
        intrinsics, pose = clip.intrinsics[0].astype(np.float32), clip.world_to_camera[0].astype(np.float32)
        made = render(head, clip, intrinsics=intrinsics, world_to_camera=pose)
        assert (mask(made) != mask(clip.pose_normals[0])).sum() <= 1
        assert largest_angle(made, clip.pose_normals[0]) <= STORAGE_ERROR_DEG


FLIPS = [np.diag([-1.0, 1, 1, 1]), np.diag([1.0, -1, 1, 1]), np.diag([1.0, 1, -1, 1]), np.diag([-1.0, -1, 1, 1])]


@pytest.mark.parametrize("flip", FLIPS, ids=["x", "y", "z", "x and y"])
@pytest.mark.parametrize("where", ["camera", "world"])
def test_a_flipped_axis_shows(head: HeadModel, clips: list[Stored], flip: Array, where: str) -> None:
    clip = clips[0]
    pose = clip.world_to_camera[0]
    made = render(head, clip, world_to_camera=flip @ pose if where == "camera" else pose @ flip)
    stored = clip.pose_normals[0]
    assert not np.array_equal(mask(made), mask(stored))
    assert not mask(made).any() or largest_angle(made, stored) > 20 * STORAGE_ERROR_DEG


def test_another_camera_pose_or_person_shows(head: HeadModel, clips: list[Stored]) -> None:
    clip, stored = clips[0], clips[0].pose_normals[0]
    other = next(c for c in clips if not np.array_equal(c.motion.shape, clip.motion.shape))
    turned = dataclasses.replace(clip.motion, neck=clip.motion.neck + np.float32([0, 0.1, 0]))
    wrong = {
        "camera": render(head, clip, 1),
        "lens": render(head, clip, intrinsics=clip.intrinsics[0] * [[1.1], [1.1], [1]]),
        "frame": render(head, clip, world_to_camera=np.roll(clip.world_to_camera[0], 1, axis=0)),
        "head pose": render(head, clip, motion=turned),
        "person": render(head, clip, motion=dataclasses.replace(clip.motion, shape=other.motion.shape)),
        "subdivision": render(head, clip, subdivision=0),
    }
    for name, made in wrong.items():
        assert not np.allclose(as_stored(made), stored, atol=1e-6), name
        assert largest_angle(made, stored) > 4 * STORAGE_ERROR_DEG, name


def test_expression_and_jaw_do_not_show(head: HeadModel, clips: list[Stored]) -> None:
    clip = clips[0]
    neutral = dataclasses.replace(
        clip.motion, expression=np.zeros_like(clip.motion.expression), jaw=np.zeros_like(clip.motion.jaw)
    )
    assert np.abs(clip.motion.expression).max() > 0.1
    assert np.array_equal(render(head, clip), render(head, clip, motion=neutral))


def test_in_camera_space_what_is_seen_faces_the_camera(head: HeadModel, clips: list[Stored]) -> None:
    clip = clips[0]
    made = render(head, clip)
    turned = camera_space(made, clip.world_to_camera[0])
    assert turned.shape == (3, *made.shape[:3])
    assert turned.dtype == np.float32
    by_hand = clip.world_to_camera[0][2][:3, :3] @ made[2, 30, 40]
    assert np.allclose(turned[:, 2, 30, 40], by_hand, atol=1e-6)
    seen = mask(made)
    rows, columns = np.nonzero(seen[0])
    rays = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))], -1) @ np.linalg.inv(clip.intrinsics[0, 0]).T
    facing = (rays * turned[:, 0][:, seen[0]].T).sum(axis=-1)
    assert (facing < 0).mean() > 0.95


def test_sizes_that_do_not_fit_are_refused(head: HeadModel, clips: list[Stored]) -> None:
    clip = clips[0]
    with pytest.raises(UserError, match="one camera a frame"):
        render(head, clip, intrinsics=clip.intrinsics[0, :3])
    with pytest.raises(UserError, match="resolution"):
        render(head, clip, height=0)
    with pytest.raises(UserError, match="subdivision: 7"):
        render(head, clip, subdivision=7)
