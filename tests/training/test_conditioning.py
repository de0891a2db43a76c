"""The rows are where the paper's figure has them, and hold what the camera and the slots truly are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from datagen.geometry import cameras
from tests.conftest import Generated
from training.codec.codec import Codec
from training.conditioning import (
    CONDITIONS,
    Conditions,
    camera_row,
    expression_channels,
    expression_row,
    input_channels,
    pack_frames,
    plucker_rays,
)


class Strided(Codec):
    """Mean colours of squares, and of the frames of a slot; what is tested here needs no more."""

    def __init__(self, spatial_stride: int = 8, temporal_stride: int = 4) -> None:
        super().__init__()
        self.channels, self.spatial_stride, self.temporal_stride = 3, spatial_stride, temporal_stride
        self.digest = f"{spatial_stride} {temporal_stride}"

    def _encode(self, video: Tensor) -> Tensor:
        slots = pack_frames(video.transpose(1, 2), self.temporal_stride).mean(2).transpose(1, 2)
        return torch.nn.functional.avg_pool3d(slots, (1, self.spatial_stride, self.spatial_stride))

    def _decode(self, latents: Tensor) -> Tensor:
        frames = torch.cat([latents[:, :, :1], latents[:, :, 1:].repeat_interleave(self.temporal_stride, 2)], 2)
        scale = (1, self.spatial_stride, self.spatial_stride)
        return torch.nn.functional.interpolate(frames, scale_factor=scale)


def conditions(batch: int = 2, z: int = 3, slots: int = 3, edge: int = 4) -> Conditions:
    generator = torch.Generator().manual_seed(0)
    return Conditions(
        reference=torch.randn(batch, z, edge, edge, generator=generator),
        pose=torch.randn(batch, z, slots, edge, edge, generator=generator),
        camera=torch.randn(batch, 24, slots, edge, edge, generator=generator),
        expression=torch.randn(batch, slots + 1, 9, generator=generator),
    )


def test_the_four_rows_are_those_of_the_figure() -> None:
    told = conditions()
    noisy = torch.randn(2, 3, 3, 4, 4)
    rows = told.rows(noisy)
    assert rows.shape == (2, input_channels(Strided()), 4, 4, 4)
    noise, reference, pose, camera = rows.split([3, 3, 3, 24], dim=1)
    for row, content in ((noise, noisy), (pose, told.pose), (camera, told.camera)):
        assert torch.equal(row[:, :, 1:], content)
        assert not row[:, :, 0].any()
    assert torch.equal(reference[:, :, 0], told.reference)
    assert not reference[:, :, 1:].any()


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_is_left_out_by_itself_and_only_where_asked(name: str) -> None:
    told = conditions()
    dropped = told.without([name], torch.tensor([True, False]))
    for field in dataclasses.fields(told):
        before, after = getattr(told, field.name), getattr(dropped, field.name)
        assert torch.equal(after[1], before[1])
        assert torch.equal(after[0], before[0]) is (field.name != name)
    assert not getattr(dropped, name)[0].any()


def test_an_unknown_condition_is_said() -> None:
    with pytest.raises(ValueError, match="text"):
        conditions().without(["text"])


def test_rays_are_those_of_the_geometry_room() -> None:
    generator = np.random.default_rng(1)
    eyes = generator.normal(size=(2, 5, 3)) + [0, 0, 3]
    world_to_camera = cameras.look_at(eyes, np.zeros(3), 0.3)
    intrinsics = cameras.intrinsics_from_focal(np.full((2, 5), 50.0), 64, 48)
    ours = plucker_rays(torch.from_numpy(intrinsics), torch.from_numpy(world_to_camera), 6, 8, 8)
    theirs = cameras.plucker_rays(cameras.scale_intrinsics(intrinsics, 1 / 8), world_to_camera, 6, 8)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-6)


def test_rays_of_the_corpus_meet_the_landmarks_and_another_cameras_miss_them(corpus: Generated) -> None:
    """A landmark's ray passes through its place in 3D; by another view's camera it passes far off."""
    row = next(row for row in corpus.rows() if row["recipe"] in ("studio", "dynamic_sweep"))
    sample = corpus.sample(row)
    k, w2c = (torch.from_numpy(sample["cameras.npz"][name]) for name in ("K", "world_to_camera"))
    points, pixels = sample["landmarks.npz"]["points"], sample["landmarks.npz"]["pixels"]
    own = distance_to_rays(k[0], w2c[0], points, pixels[0])
    other = distance_to_rays(k[1], w2c[1], points, pixels[0])
    assert own.max() < 1e-3
    assert np.median(other) > 0.02


def distance_to_rays(k: Tensor, w2c: Tensor, points: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Metres from 3D landmarks [T, 70, 3] to the rays [T, 70] that start through their pixels [T, 70, 2]."""
    moved = k[:, None].repeat(1, 70, 1, 1).double()
    moved[..., :2, 2] += 0.5 - torch.from_numpy(pixels).double()  # brings the landmark to the middle of pixel 0
    rays = plucker_rays(moved, w2c[:, None].expand(-1, 70, -1, -1), 1, 1, 1)[..., 0, 0].double().numpy()
    return np.linalg.norm(np.cross(points, rays[..., :3]) - rays[..., 3:], axis=-1)


def test_each_slot_of_the_camera_row_holds_its_own_frames() -> None:
    codec = Strided()
    eyes = np.stack([[0.1 * t, 0.0, 2.0] for t in range(9)])
    world_to_camera = torch.from_numpy(cameras.look_at(eyes, np.zeros(3)))[None]
    intrinsics = torch.from_numpy(cameras.intrinsics_from_focal(np.full(9, 50.0), 64, 64))[None]
    row = camera_row(intrinsics, world_to_camera, (64, 64), codec)
    assert row.shape == (1, 24, 3, 8, 8)
    alone = plucker_rays(intrinsics, world_to_camera, 8, 8, 8)
    for frame in range(9):
        slot, place = (0, 3) if frame == 0 else ((frame - 1) // 4 + 1, (frame - 1) % 4)
        assert torch.equal(row[0, 6 * place : 6 * place + 6, slot], alone[0, frame])
    assert torch.equal(row[0, :6, 0], row[0, 18:, 0])  # the first slot repeats its only frame


def test_each_slot_of_the_expression_row_holds_its_own_frames() -> None:
    codec = Strided()
    codes = torch.arange(9.0)[None, :, None] + torch.tensor([0.0, 0.5])
    row = expression_row(codes, torch.tensor([[-1.0, -2.0]]), codec)
    assert row.shape == (1, 4, expression_channels(codec, 2))
    assert row[0, 0].tolist() == [-1, -2] * 4 + [1]
    assert row[0, 1].tolist() == [0, 0.5] * 4 + [1]
    assert row[0, 2].tolist() == [1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 1]
    assert row[0, 3].tolist() == [5, 5.5, 6, 6.5, 7, 7.5, 8, 8.5, 1]
