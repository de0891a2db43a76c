"""Small clips of the open head for tests of the renderer."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.geometry.cameras import intrinsics_from_focal, look_at
from datagen.geometry.posed import PosedClip, pose_clip
from datagen.heads import HeadModel, load_head
from manifests.clip import AreaLight, Cameras, Clip, Motion, Scene
from tests.datagen.appearances import PLAIN
from tests.datagen.geometry.scenes import make_clip

Array = NDArray[Any]

SIZE = 96

SCENE = Scene(
    lights=(AreaLight((-0.6, 0.5, 0.8), 20.0, 0.5, (1.0, 0.95, 0.9)),),
    world_map="",
    world_colour=(0.5, 0.55, 0.6),
    world_strength=0.5,
    world_rotation_deg=0.0,
    background="black",
    background_colour=(0.2, 0.5, 0.1),
    exposure_ev=0.0,
    view_transform="Standard",
)

LENGTHS = {
    "bald": 0.0,
    "buzz": 0.006,
    "receding": 0.03,
    "short": 0.04,
    "side_part": 0.055,
    "curly": 0.08,
    "afro": 0.07,
    "bob": 0.2,
    "long_straight": 0.42,
    "long_wavy": 0.4,
    "ponytail": 0.4,
    "bun": 0.4,
}


@cache
def open_head() -> HeadModel:
    return load_head("open")


def views() -> list[tuple[Array, Array]]:
    """(K, world_to_camera): frontal; from the side, rolled; from above with an off-centre principal point."""
    centre = np.asarray(open_head().info.head_centre)
    out = []
    for azimuth, elevation, roll, shift in (
        (0, 0, 0, (0, 0)),
        (70, -10, 0.7, (0, 0)),
        (-140, 35, -2.0, (17.3, -8.6)),
    ):
        azimuth, elevation = np.radians([azimuth, elevation])
        direction = [
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
            np.cos(azimuth) * np.cos(elevation),
        ]
        intrinsics = intrinsics_from_focal(55.0, SIZE, SIZE)
        intrinsics[:2, 2] += shift
        out.append((intrinsics, look_at(centre + 0.75 * np.asarray(direction), centre, roll)))
    return out


def person(style: str = "bald", identity: int = 1, frames: int = 1, scene: Scene = SCENE) -> tuple[Clip, PosedClip]:
    """A clip of one person, seen by all ``views``, whose head turns a little each frame."""
    head = open_head()
    rng = np.random.default_rng(identity)
    expression = np.zeros((frames, head.info.expression_size), np.float32)
    expression[:, head.info.expression_names.index("jawOpen")] = np.linspace(0.0, 0.4, frames)
    still = np.zeros((frames, 3), np.float32)
    neck = still + np.linspace(0.0, 0.3, frames, dtype=np.float32)[:, None] * [0.2, 1.0, 0.1]
    shape = rng.normal(size=head.info.identity_size).astype(np.float32)
    motion = Motion(shape, expression, still, neck.astype(np.float32), still, still, still, still)
    intrinsics, poses = (np.stack([view[k] for view in views()]) for k in (0, 1))
    repeat = lambda array: np.repeat(array[:, None], frames, axis=1)  # noqa: E731
    clip = make_clip(motion, Cameras(repeat(intrinsics), repeat(poses), SIZE, SIZE), (), head.info)
    appearance = dataclasses.replace(
        PLAIN,
        melanin=0.35,
        roughness=0.45,
        iris_colour=(0.12, 0.2, 0.3),
        hair_style=style,
        hair_colour=(0.05, 0.03, 0.015),
        hair_length_m=LENGTHS[style],
        clothing_colour=(0.1, 0.15, 0.3),
        neckline_m=-0.03,
        seed=11,
    )
    clip = dataclasses.replace(clip, spec=dataclasses.replace(clip.spec, appearance=appearance, scene=scene))
    return clip, pose_clip(clip, head, 1)
