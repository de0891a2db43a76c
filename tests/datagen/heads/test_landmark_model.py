"""Landmarks as a function of parameters are those of the posed mesh, and have gradients in all of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from datagen.heads.landmark_model import LandmarkModel
from datagen.heads.model import load_head
from manifests.clip import Motion


def motion(identity: int, expression: int, frames: int = 3) -> Motion:
    draw = np.random.default_rng(3)
    tracks = ("root", "neck", "jaw", "left_eye", "right_eye", "translation")
    return Motion(
        shape=draw.normal(size=identity).astype(np.float32),
        expression=draw.uniform(0, 0.5, (frames, expression)).astype(np.float32),
        **{name: draw.normal(0, 0.2, (frames, 3)).astype(np.float32) for name in tracks},
    )


@pytest.mark.parametrize("name", ["open", "open-body"])
def test_they_are_those_of_the_posed_mesh(name: str) -> None:
    head = load_head(name)
    shown = motion(20, head.info.expression_size)
    corners = head.pose(shown)[:, head.faces[head.landmark_faces]]
    wanted = np.einsum("tlkc,lk->tlc", corners, head.landmark_barycentric)
    found = LandmarkModel(head)(**{name: torch.from_numpy(track) for name, track in vars(shown).items()})
    assert np.abs(found.numpy() - wanted).max() < 2e-6


def test_every_parameter_has_a_gradient() -> None:
    head = load_head("open")
    given = {name: torch.from_numpy(track).requires_grad_() for name, track in vars(motion(8, 12)).items()}
    LandmarkModel(head)(**given).square().sum().backward()
    for name, tensor in given.items():
        assert tensor.grad is not None
        assert tensor.grad.abs().max() > 0, name
