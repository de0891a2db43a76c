"""Masks hold the landmarks they are drawn about, and weights land where the codec's latents are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from manifests.decode import decode
from manifests.errors import UserError
from manifests.reader import CorpusReader
from tests.conftest import Generated
from training.regions import MOUTH, LossWeights, pool_to_slots, region_masks


def face(size: float = 40.0, x: float = 32.0, y: float = 32.0, frames: int = 5, batch: int = 2) -> Tensor:
    """Landmarks [B, T, 70, 2]: eyes and mouth at plausible places of a face ``size`` wide, drifting over time."""
    points = torch.zeros(70, 2)
    turn = torch.linspace(0, 2 * torch.pi, 21)[:-1]
    points[48:68] = torch.stack([0.25 * turn.cos(), 0.3 + 0.08 * turn.sin()], -1)
    for start, side in ((36, -1), (42, 1)):
        points[start : start + 6] = torch.stack([side * 0.2 + 0.08 * turn[:6].cos(), 0.03 * turn[:6].sin() - 0.1], -1)
    for start, side in ((17, -1), (22, 1)):
        points[start : start + 5] = torch.stack([side * torch.linspace(0.1, 0.35, 5), torch.full((5,), -0.22)], -1)
    drift = torch.arange(frames)[:, None, None] * torch.tensor([0.7, -0.4])
    return (points * size + torch.tensor([x, y]) + drift).expand(batch, frames, 70, 2).clone()


def holds(mask: Tensor, points: Tensor) -> bool:
    """Whether the pixel of each point [B, T, N, 2] is in the mask [B, 1, T, H, W]."""
    column, row = points.floor().long().unbind(-1)
    inside = (column >= 0) & (row >= 0) & (column < mask.shape[-1]) & (row < mask.shape[-2])
    b, t, n = torch.nonzero(inside, as_tuple=True)
    return bool(mask[b, 0, t, row[b, t, n], column[b, t, n]].all()) and len(b) > 0


@pytest.mark.parametrize("size", [3.0, 12.0, 40.0])
def test_masks_hold_their_landmarks_at_any_size(size: float) -> None:
    landmarks = face(size)
    masks = region_masks(landmarks, 64, 64)
    assert {name: mask.shape for name, mask in masks.items()} == {"mouth": (2, 1, 5, 64, 64), "eyes": (2, 1, 5, 64, 64)}
    assert holds(masks["mouth"], landmarks[:, :, list(MOUTH)])
    assert holds(masks["eyes"], landmarks[:, :, 36:48])
    assert holds(masks["eyes"], landmarks[:, :, 17:27])


def test_masks_of_rendered_people_hold_their_landmarks_and_little_else(corpus: Generated) -> None:
    for row in corpus.rows():
        member = CorpusReader(str(corpus.out)).members(row, lambda name: name == "landmarks.npz")["landmarks.npz"]
        landmarks = torch.from_numpy(decode("landmarks.npz", member)["pixels"])
        masks = region_masks(landmarks, 64, 80)
        assert holds(masks["mouth"], landmarks[:, :, list(MOUTH)])
        assert holds(masks["eyes"], landmarks[:, :, 36:48])
        width = (landmarks[..., :17, 0].amax(-1) - landmarks[..., :17, 0].amin(-1)).clamp(min=15)
        for mask in masks.values():
            assert (mask.sum(dim=(1, 3, 4)) < 0.6 * width**2).all()


def test_mouth_and_eyes_are_apart_and_turn_with_the_head() -> None:
    upright = face(40)
    masks = region_masks(upright, 64, 64)
    assert not (masks["mouth"] & masks["eyes"]).any()
    mouth = masks["mouth"][0, 0, 0].nonzero()
    assert mouth[:, 1].max() - mouth[:, 1].min() > 1.3 * (mouth[:, 0].max() - mouth[:, 0].min())
    turned = region_masks(upright.flip(-1), 64, 64)
    for name, mask in masks.items():
        assert torch.equal(turned[name], mask.mT)


def test_without_brows_eyes_are_smaller() -> None:
    landmarks = face(40)
    eyes = region_masks(landmarks, 64, 64, brows=False)["eyes"]
    assert holds(eyes, landmarks[:, :, 36:48])
    assert not holds(eyes, landmarks[:, :, 17:27])
    assert eyes.sum() < region_masks(landmarks, 64, 64)["eyes"].sum()


def test_landmarks_out_of_sight_give_no_region() -> None:
    landmarks = face(40)
    landmarks[0] = torch.nan
    landmarks[1] += 1000
    for mask in region_masks(landmarks, 64, 64).values():
        assert not mask.any()


def test_pooling_gives_the_first_frame_a_slot_of_its_own() -> None:
    values = torch.arange(9.0).view(1, 1, 9, 1, 1).expand(1, 1, 9, 16, 24).contiguous()
    values[..., 8:, 16:] += 100
    pooled = pool_to_slots(values, 8, 4)
    assert pooled.shape == (1, 1, 3, 2, 3)
    assert pooled[0, 0, :, 0, 0].tolist() == [0, 2.5, 6.5]
    assert pooled[0, 0, :, 1, 2].tolist() == [100, 102.5, 106.5]
    assert torch.equal(pool_to_slots(values, 8, 1)[0, 0, :, 0, 0], torch.arange(9.0))


def test_weights_multiply_where_alpha_mouth_and_eyes_are() -> None:
    landmarks = face(40, frames=5)
    alpha = torch.zeros(2, 1, 5, 64, 64)
    alpha[..., 8:] = 1
    weights = LossWeights(foreground=2, mouth=3, eyes=5)
    pixels = weights.weight_map(alpha, landmarks, 1, 1)
    masks = region_masks(landmarks, 64, 64)
    assert (pixels[..., :8] == 1).all()
    assert (pixels[masks["mouth"]] == 6).all()
    assert (pixels[masks["eyes"]] == 10).all()
    assert (pixels[~masks["mouth"] & ~masks["eyes"] & (alpha > 0)] == 2).all()
    latents = weights.weight_map(alpha, landmarks, 8, 4)
    assert latents.shape == (2, 1, 2, 8, 8)
    assert np.isclose(latents[0, 0, 0].mean(), pixels[0, 0, 0].mean())
    assert np.isclose(latents[0, 0, 1].mean(), pixels[0, 0, 1:].mean())


def test_weights_of_one_change_nothing() -> None:
    weights = LossWeights().weight_map(torch.rand(1, 1, 5, 16, 16), face(frames=5, batch=1), 8, 4)
    assert (weights == 1).all()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match=r"loss_weights.mouth: 0"):
        LossWeights(mouth=0)
    with pytest.raises(UserError, match="6 frames"):
        pool_to_slots(torch.zeros(1, 1, 6, 16, 16), 8, 4)
    with pytest.raises(UserError, match="multiples of 8"):
        pool_to_slots(torch.zeros(1, 1, 5, 16, 20), 8, 4)
    with pytest.raises(UserError, match="landmarks"):
        region_masks(torch.zeros(5, 70, 2), 8, 8)
