"""Components of patches: what they keep, how they are scaled, and that they depend on the frames alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from manifests.errors import UserError
from tests.training.codec.conftest import smooth_patches, smooth_video
from training.codec.load import load_codec
from training.codec.patches import PatchCodec, fit_patches, from_patches, save_patches, to_patches
from training.folder import read_config, read_tensors, write_folder
from training.measures import psnr


def test_patches_go_back() -> None:
    video = torch.rand(2, 3, 3, 16, 24)
    patches = to_patches(video, 8)
    assert patches.shape == (2, 3, 2, 3, 192)
    assert torch.equal(from_patches(patches, 8), video)
    assert torch.equal(patches[1, 2, 1, 2].view(3, 8, 8), video[1, :, 2, 8:16, 16:24])


def test_unseen_smooth_video_survives() -> None:
    codec = smooth_patches()
    video = smooth_video(999)
    assert psnr(video, codec.decode(codec.encode(video))) > 35
    assert psnr(video, codec.decode(torch.zeros(1, 24, 5, 4, 6))) < 20  # the latents carry it


def test_all_components_lose_nothing() -> None:
    noise = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    codec = fit_patches([(noise, noise)], channels=48, patch=4)
    video = noise.transpose(0, 1)[None]
    torch.testing.assert_close(codec.decode(codec.encode(video)), video, atol=1e-4, rtol=0)


def test_latents_of_pictures_are_centred_and_half_white() -> None:
    pictures = torch.cat([smooth_video(seed)[0].transpose(0, 1) for seed in range(20)]) * 0.5 + 0.2
    codec = fit_patches([(pictures, torch.zeros_like(pictures))], channels=6)
    latents = codec.encode(pictures.transpose(0, 1)[None])[0].flatten(1)  # [6, patches]
    torch.testing.assert_close(latents.mean(1), torch.zeros(6), atol=1e-4, rtol=0)
    variance = latents.var(1, correction=0)
    assert float(variance.mean()) == pytest.approx(1, abs=1e-3)
    plain = codec.encode(pictures.transpose(0, 1)[None])[0] * codec.scale.view(6, 1, 1, 1)
    deviation = plain.flatten(1).std(1, correction=0)
    torch.testing.assert_close(variance / variance[0], deviation / deviation[0], atol=1e-3, rtol=0)


def test_normal_maps_have_a_say() -> None:
    flat = torch.rand(64, 3, 1, 1, generator=torch.Generator().manual_seed(1)).expand(64, 3, 8, 8) * 2 - 1
    ramp = torch.linspace(-1, 1, 8).view(1, 1, 1, 8) * flat
    with_normals = fit_patches([(flat, ramp)], channels=6)
    without = fit_patches([(flat, torch.zeros_like(flat))], channels=6)
    video = ramp.transpose(0, 1)[None]
    assert psnr(video, with_normals.decode(with_normals.encode(video))) > 40
    assert psnr(video, without.decode(without.encode(video))) < 20


def test_equal_frames_equal_bytes_however_they_are_handed_over() -> None:
    first, second = smooth_patches(), smooth_patches()
    assert first.digest == second.digest
    assert smooth_patches(channels=12).digest != first.digest
    torch.testing.assert_close(smooth_patches(channels=12).basis, first.basis[:, :12])


def test_a_constant_picture_makes_no_nan() -> None:
    black = -torch.ones(2, 3, 8, 8)
    codec = fit_patches([(black, torch.zeros(2, 3, 8, 8))])
    assert torch.allclose(codec.decode(codec.encode(black.transpose(0, 1)[None])), black.transpose(0, 1)[None])


@pytest.mark.parametrize(
    ("channels", "patch", "said"),
    [
        (0, 8, "codec.channels: 0"),
        (193, 8, "codec.channels: 193"),
        (3, 0, "codec.patch: 0"),
        (3, 65, "codec.patch: 65"),
    ],
)
def test_sizes_that_cannot_be(channels: int, patch: int, said: str) -> None:
    with pytest.raises(UserError, match=said):
        fit_patches([], channels, patch)


def test_nothing_to_fit_to() -> None:
    with pytest.raises(UserError, match="no frames"):
        fit_patches([])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"channels": 10**12}, "codec.channels: 1000000000000"),
        ({"channels": "64"}, "codec.channels: 64"),
        ({"channels": True}, "codec.channels: True"),
        ({"patch": None}, "codec.patch: None"),
        ({"channels": 23}, r"tensor 'basis' is of shape \[192, 24\], the model has shape \[192, 23\]"),
    ],
)
def test_a_folder_whose_config_lies(change: dict[str, object], said: str, tmp_path: Path) -> None:
    save_patches(smooth_patches(), tmp_path / "codec")
    file = tmp_path / "codec" / "config.json"
    file.write_text(json.dumps({**read_config(tmp_path / "codec"), **change}))
    with pytest.raises(UserError, match=said):
        load_codec(tmp_path / "codec")


@pytest.mark.parametrize(("name", "value"), [("scale", 0.0), ("mean", float("nan")), ("basis", float("inf"))])
def test_numbers_that_no_codec_has(name: str, value: float, tmp_path: Path) -> None:
    codec = smooth_patches()
    save_patches(codec, tmp_path / "codec")
    tensors = read_tensors(tmp_path / "codec")
    tensors[name].view(-1)[0] = value
    write_folder(tmp_path / "codec", codec.config, tensors)
    with pytest.raises(UserError, match="holds numbers that no codec has"):
        load_codec(tmp_path / "codec")


def test_digest_covers_every_number(tmp_path: Path) -> None:
    codec = smooth_patches()
    mean = codec.mean.clone()
    mean[5] += 1e-6
    assert PatchCodec(mean, codec.basis, codec.scale).digest != codec.digest
    save_patches(codec, tmp_path / "codec")
    assert load_codec(tmp_path / "codec").digest == codec.digest
