"""Small scenes whose truth is known: spheres before cameras, and clips made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sparse
import trimesh
from numpy.typing import NDArray

from datagen.geometry.cameras import intrinsics_from_focal, look_at
from datagen.geometry.posed import PosedClip
from datagen.geometry.regions import Regions
from datagen.geometry.surface import Surface
from manifests.clip import (
    Cameras,
    Clip,
    ClipSpec,
    ClipSummary,
    HeadInfo,
    Motion,
    RenderSettings,
    Scene,
    Traits,
)
from manifests.conventions import WORN_CLASSES
from tests.datagen.appearances import PLAIN

Array = NDArray[Any]

RADIUS = 0.1


def sphere(level: int, radius: float = RADIUS) -> tuple[Array, Array]:
    """Vertices float32 [V, 3] and faces int32 [F, 3] of a sphere about the origin."""
    mesh = trimesh.creation.icosphere(level, radius)
    return np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.int32)


def cameras_around(count: int, seed: int, size: int = 96) -> list[tuple[Array, Array]]:
    """(K, world_to_camera) of rolled cameras in all directions, with off-centre principal points."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(count):
        eye = rng.normal(size=3)
        eye *= rng.uniform(0.4, 0.9) / np.linalg.norm(eye)
        intrinsics = intrinsics_from_focal(rng.uniform(40, 90), size, size)
        intrinsics[:2, 2] += rng.uniform(-9, 9, 2)
        out.append((intrinsics, look_at(eye, rng.normal(size=3) * 0.01, rng.uniform(-3, 3))))
    return out


def make_motion(frames: int, expression_size: int = 1, shape_size: int = 1) -> Motion:
    """A still, neutral head."""
    still = np.zeros((frames, 3), np.float32)
    shape, expression = np.zeros(shape_size, np.float32), np.zeros((frames, expression_size), np.float32)
    return Motion(shape, expression, still, still, still, still, still, still)


def make_clip(motion: Motion, cameras: Cameras, labels: tuple[str, ...], head: HeadInfo | None = None) -> Clip:
    """A clip of the given motion and cameras; all else is of no consequence."""
    black = (0.0, 0.0, 0.0)
    spec = ClipSpec(
        format_version=1, corpus="test", config_hash="0", seed=1, index=7, recipe="phone", template="plain",
        identity=0, split="train", head=head or HeadInfo("ball", "flame", "0", "CC0-1.0", 1, 1, (), black),
        fps=15.0, frames=motion.frames, views=len(cameras.intrinsics), width=cameras.width,
        height=cameras.height, labels=labels,
        traits=Traits(40.0, 0.5, 0.0, 0.0, 1.0),
        appearance=PLAIN,
        scene=Scene((), "", black, 0.0, 0.0, "black", black, 0.0, "Standard"),
        render=RenderSettings(),
        summary=ClipSummary(
            0, 0, 0, 0, 1, 1, 50, "fixed", 0, 0, 0, 0, 0, 40, 0.5, "asian",
            0.3, "bald", "none", "crew", "none", "none", 0, "black",
        ),
        software={},
    )  # fmt: skip
    return Clip(spec, motion, cameras)


def sphere_clip(frames: int, views: int, size: int, labels: tuple[str, ...]) -> tuple[Clip, PosedClip]:
    """A ball that rises and swells while cameras circle it. Its texture coordinates are position over 0.4."""
    vertices, faces = sphere(3)
    growth = np.linspace(1, 1.2, frames, dtype=np.float32)[:, None, None]
    lift = np.linspace(0, 0.02, frames, dtype=np.float32)[:, None, None] * np.array([0, 1, 0], np.float32)
    moving = vertices * growth + lift
    landmark_faces = np.arange(70, dtype=np.int32) * 7
    thirds = np.full((70, 3), 1 / 3, np.float32)
    uv = (vertices[:, :2] / 0.4 + 0.5).astype(np.float32)
    part = (np.arange(len(faces)) % 5).astype(np.uint8)
    identity = sparse.identity(len(vertices), dtype=np.float32, format="csr")
    surface = Surface(faces, part, uv, faces, landmark_faces, thirds, identity)
    empty = np.zeros(len(vertices), np.float32)
    posed = PosedClip(
        surface=surface,
        rest=vertices,
        vertices=moving,
        pose_vertices=vertices + lift,
        landmarks=surface.landmarks(moving),
        rest_landmarks=surface.landmarks(vertices),
        head_to_world=np.tile(np.eye(4), (frames, 1, 1)),
        regions=Regions(*[empty] * 7),
    )
    angle = np.linspace(0, 2, views)[:, None] + np.linspace(0, 0.4, frames)
    eye = 0.7 * np.stack([np.sin(angle), 0.2 * np.ones_like(angle), np.cos(angle)], axis=-1)
    intrinsics = np.broadcast_to(intrinsics_from_focal(50, size, size), (views, frames, 3, 3)).copy()
    cameras = Cameras(intrinsics, look_at(eye, np.zeros(3), 0.1 * angle), size, size)
    return make_clip(make_motion(frames), cameras, labels), posed


def worn(shape: tuple[int, int], **coverage: Array) -> dict[str, Array]:
    """The coverage of a picture by what is worn; nothing where none is given."""
    return {name: coverage.get(name, np.zeros(shape, np.float32)) for name in WORN_CLASSES}
