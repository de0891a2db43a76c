"""Each row holds what its own frames, cameras and faces say, in its own place, and nothing else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from datagen.geometry import cameras
from tests.training.conftest import Parts, noise_batch
from tests.training.test_conditioning import Strided
from training.codec.load import load_codec
from training.data.batch import Sample
from training.encode import Encode
from training.expression.encoder import ExpressionEncoder
from training.expression.load import load_encoder

SIZE, FRAMES = 32, 5
COLOURS = torch.tensor([[0.1, 0.2, 0.3], [0.4, -0.5, 0.6], [-0.7, 0.8, 0.9], [0.0, -0.1, 0.5], [-0.3, 0.7, -0.9]])
"""Of the frames."""
NORMALS = torch.tensor([[0.6, 0.0, -0.8], [0.0, 0.6, -0.8], [-0.6, 0.0, -0.8], [0.0, -0.6, -0.8], [0.0, 0.0, -1.0]])
REFERENCE = torch.tensor([0.9, -0.2, -0.6])
DRIVER = torch.tensor([[-0.2, -0.4, 0.1], [0.3, 0.2, 0.9], [0.8, 0.1, -0.3], [-0.6, 0.4, 0.2], [0.5, -0.8, 0.7]])


class MeanColour(ExpressionEncoder):
    """The code of a face is its mean colour."""

    code_size, picture_size, digest = 3, 16, "mean colour"

    def _encode(self, faces: Tensor) -> Tensor:
        return faces.mean(dim=(2, 3))


def plain(colours: Tensor) -> Tensor:
    """Frames [1, 3, T, H, W] of one colour each, from [T, 3]."""
    return colours.T[None, :, :, None, None].expand(1, 3, len(colours), SIZE, SIZE).contiguous()


def sample(colours: Tensor = COLOURS) -> Sample:
    """One person before a camera that moves from frame to frame."""
    eyes = np.array([[0.3 * t - 0.5, 0.1 * t, 2.0 - 0.2 * t] for t in range(FRAMES)])
    intrinsics = cameras.intrinsics_from_focal(np.linspace(40, 60, FRAMES), SIZE, SIZE)
    places = torch.rand(FRAMES + 1, 70, 2, generator=torch.Generator().manual_seed(2)) * SIZE
    return Sample(
        key=("hand-made",),
        reference=plain(REFERENCE[None])[:, :, 0],
        reference_landmarks=places[None, 0],
        video=plain(colours),
        alpha=torch.ones(1, 1, FRAMES, SIZE, SIZE),
        pose_normals=plain(NORMALS),
        intrinsics=torch.from_numpy(intrinsics)[None].float(),
        world_to_camera=torch.from_numpy(cameras.look_at(eyes, np.zeros(3), 0.2))[None].float(),
        landmarks=places[None, 1:],
    )


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_each_slot_holds_its_own_frames(stride: int) -> None:
    encoded = Encode(Strided(8, stride), MeanColour())(sample())
    told, slots = encoded.conditions, 1 + (FRAMES - 1) // stride
    assert encoded.key == ("hand-made",)
    assert encoded.latents.shape == told.pose.shape == (1, 3, slots, 4, 4)
    for slot in range(slots):
        frames = [0] if slot == 0 else list(range((slot - 1) * stride + 1, slot * stride + 1))
        whole = frames * (stride // len(frames))
        for row, content in ((encoded.latents, COLOURS), (told.pose, NORMALS)):
            wanted = content[frames].mean(dim=0)[:, None, None].expand(3, 4, 4)
            torch.testing.assert_close(row[0, :, slot], wanted)
        torch.testing.assert_close(told.camera[0, :, slot], torch.cat([rays(frame) for frame in whole]))
        codes = torch.cat([*(COLOURS[frame] for frame in whole), torch.ones(1)])
        torch.testing.assert_close(told.expression[0, slot + 1], codes)


def rays(frame: int) -> Tensor:
    """Of the middles of the latents, by the geometry that the pictures were rendered by."""
    given = sample()
    k = cameras.scale_intrinsics(given.intrinsics[0, frame].double().numpy(), 1 / 8)
    return torch.from_numpy(cameras.plucker_rays(k, given.world_to_camera[0, frame].numpy(), 4, 4))


def test_the_portrait_is_in_its_own_place() -> None:
    encoded = Encode(Strided(), MeanColour())(sample())
    told = encoded.conditions
    torch.testing.assert_close(told.reference[0], REFERENCE[:, None, None].expand(3, 4, 4))
    torch.testing.assert_close(told.expression[0, 0], torch.cat([REFERENCE.repeat(4), torch.ones(1)]))
    reference = told.rows(encoded.latents)[:, 3:6]
    assert torch.equal(reference[:, :, 0], told.reference)
    assert not reference[:, :, 1:].any()


def test_a_driver_changes_the_expression_alone() -> None:
    encode, driver = Encode(Strided(), MeanColour()), sample(DRIVER)
    driver = dataclasses.replace(
        driver,
        reference=-driver.reference,
        pose_normals=driver.pose_normals.flip(2),
        intrinsics=driver.intrinsics.flip(1),
        world_to_camera=driver.world_to_camera.flip(1),
    )
    own, driven = encode(sample()), encode(sample(), driver)
    assert torch.equal(driven.latents, own.latents)
    assert torch.equal(driven.weight, own.weight)
    for name in ("reference", "pose", "camera"):
        assert torch.equal(getattr(driven.conditions, name), getattr(own.conditions, name))
    expression = driven.conditions.expression[0]
    torch.testing.assert_close(expression[0], own.conditions.expression[0, 0])
    torch.testing.assert_close(expression[1, :3], DRIVER[0])
    torch.testing.assert_close(expression[2], torch.cat([DRIVER[1:].flatten(), torch.ones(1)]))


def test_a_face_is_looked_for_by_its_own_landmarks() -> None:
    """Pictures are black on the left and white on the right; landmarks say which side the face of a frame is on."""
    video = torch.full((1, 3, 2, 64, 64), -1.0)
    video[..., 32:] = 1
    here = torch.rand(70, 2, generator=torch.Generator().manual_seed(3)) * 4 + torch.tensor([6.0, 30.0])
    landmarks = torch.stack([here, here + torch.tensor([48.0, 0.0])])[None]
    codes = Encode(Strided(), MeanColour()).codes(video, landmarks)
    torch.testing.assert_close(codes[0, :, 0], torch.tensor([-1.0, 1.0]))


def test_autocast_changes_no_latent_and_no_code(parts: Parts) -> None:
    encode, batch = Encode(load_codec(parts.codec), load_encoder(parts.expression)), noise_batch()
    wanted, codes = encode(batch), encode.codes(batch.video, batch.landmarks)
    with torch.autocast("cpu", torch.bfloat16):
        seen = encode(batch)
        assert torch.equal(encode.codes(batch.video, batch.landmarks), codes)
    assert torch.equal(seen.latents, wanted.latents)
    for field in dataclasses.fields(wanted.conditions):
        value = getattr(seen.conditions, field.name)
        assert value.dtype == torch.float32
        assert torch.equal(value, getattr(wanted.conditions, field.name))
