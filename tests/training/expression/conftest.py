"""Drawn faces: what an expression encoder has to see, at a size at which it learns in seconds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from manifests.clip import Motion
from training.expression.faces import Faces
from training.expression.targets import MeanFace, mean_face

SIZE = 16


@pytest.fixture(scope="session")
def face() -> MeanFace:
    return mean_face("open")


def motion(face: MeanFace, frames: int, **coefficients: np.ndarray) -> Motion:
    """A still head of frames whose named coefficients [frames] are not 0."""
    expression = np.zeros((frames, face.head.info.expression_size), np.float32)
    for name, values in coefficients.items():
        expression[:, face.head.info.expression_names.index(name)] = values
    fields = [field.name for field in dataclasses.fields(Motion)][2:]
    return Motion(np.zeros(1, np.float32), expression, **{name: np.zeros((frames, 3), np.float32) for name in fields})


def draw_faces(face: MeanFace, people: int, frames: int, views: int, seed: int) -> Faces:
    """Every person has a colour, every view a brightness; jawOpen is how tall the dark mouth is, and the brow's height
    is browInnerUp."""
    generator = np.random.default_rng(seed)
    moments = people * frames
    jaw, brow = generator.uniform(0, 1, (2, moments)).astype(np.float32)
    shown = motion(face, moments, jawOpen=jaw, browInnerUp=brow)
    colours = generator.uniform(120, 220, (people, 3))
    crops, rows = [], []
    for moment in range(moments):
        for view in range(views):
            picture = np.broadcast_to(colours[moment // frames], (SIZE, SIZE, 3)) * (0.7 + 0.15 * view)
            y = np.arange(SIZE)[:, None] + 0.5
            x = np.abs(np.arange(SIZE)[None] + 0.5 - SIZE / 2)
            mouth = (x < 4) * np.clip(jaw[moment] * 5 - np.abs(y - 12) + 0.5, 0, 1)
            brows = (x > 2) * (x < 6) * np.clip(1.5 - np.abs(y - 5 + 3 * brow[moment]), 0, 1)
            crops.append(picture * (1 - np.maximum(mouth, brows))[..., None])
            rows.append((moment, moment // frames, moment % frames, view))
    moment, clip, frame, view = np.array(rows).T
    pose = np.stack([view * 20.0 - 20.0, generator.normal(size=len(view))], axis=1).astype(np.float32)
    return Faces(
        crops=torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).to(torch.uint8),
        moment=moment,
        clip=clip,
        frame=frame,
        view=view,
        landmarks=np.zeros((len(view), 70, 2), np.float32),
        pose=pose,
        camera=pose.copy(),
        identity=clip + 1000 * seed,
        targets=face.values(shown),
        coefficients=face.coefficients(shown),
        face=face,
    )
