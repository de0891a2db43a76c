"""What every kind of codec keeps to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from manifests.errors import UserError
from tests.training.codec.conftest import smooth_video
from training.codec.codec import latent_size, slots
from training.codec.load import load_codec


def test_shapes(codec_folder: Path) -> None:
    codec = load_codec(codec_folder)
    video = smooth_video(1, frames=9, batch=2)
    latents = codec.encode(video)
    assert latents.shape == (2, codec.channels, slots(codec, 9), *latent_size(codec, 32, 48))
    assert latents.dtype == torch.float32
    back = codec.decode(latents)
    assert back.shape == video.shape
    assert back.abs().max() <= 1


def test_one_picture_is_a_video(codec_folder: Path) -> None:
    codec = load_codec(codec_folder)
    video = smooth_video(1)
    latents = codec.encode(video[:, :, :1])
    assert latents.shape[2] == 1
    torch.testing.assert_close(latents, codec.encode(video)[:, :, :1])  # no slot looks ahead


def test_no_gradient_and_no_chance(codec_folder: Path) -> None:
    codec = load_codec(codec_folder)
    video = smooth_video(2).requires_grad_()
    first = codec.encode(video)
    assert not first.requires_grad
    assert torch.equal(first, codec.encode(video))
    assert not any(parameter.requires_grad for parameter in codec.parameters())


def test_odd_sizes_are_refused(codec_folder: Path) -> None:
    codec = load_codec(codec_folder)
    with pytest.raises(UserError, match="resolution: 48 x 36 is no multiple of the codec's 8 pixels"):
        codec.encode(torch.zeros(1, 3, 1, 36, 48))
    with pytest.raises(UserError, match="resolution: 48 x 0"):
        codec.encode(torch.zeros(1, 3, 1, 0, 48))
    with pytest.raises(UserError, match="frames: 0 do not fit"):
        codec.encode(torch.zeros(1, 3, 0, 32, 48))


@pytest.mark.parametrize(("frames", "fitting"), [(2, 1), (4, 1), (6, 5), (8, 5), (83, 81)])
def test_frames_that_would_be_dropped(frames: int, fitting: int, tmp_path: Path) -> None:
    from training.codec.wan import WanCodec, small_wan

    codec = WanCodec(small_wan(z_dim=2, base_dim=2))
    with pytest.raises(
        UserError, match=rf"^frames: {frames} do not fit the codec, which takes 4k \+ 1; use {fitting} "
    ):
        codec.encode(torch.zeros(1, 3, frames, 8, 8))
    assert slots(codec, fitting) == (fitting + 3) // 4


def test_saved_and_loaded_is_the_same(codec_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(codec_folder, tmp_path / "elsewhere")
    first, second = load_codec(codec_folder), load_codec(copy)
    assert first.digest == second.digest
    assert len(first.digest) == 64
    video = smooth_video(3)
    latents = first.encode(video)
    assert torch.equal(latents, second.encode(video))
    assert torch.equal(first.decode(latents), second.decode(latents))


def test_training_in_half_precision_changes_nothing(codec_folder: Path) -> None:
    codec = load_codec(codec_folder)
    video = smooth_video(4)
    latents = codec.encode(video)
    frames = codec.decode(latents)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (video[0, 0, 0] @ video[0, 0, 0].T).dtype == torch.bfloat16
        assert torch.equal(codec.encode(video), latents)
        assert torch.equal(codec.decode(latents), frames)
    assert codec.encode(video.bfloat16()).dtype == codec.decode(latents.bfloat16()).dtype == torch.bfloat16


def test_device_moves_all_of_it(codec_folder: Path) -> None:
    codec = load_codec(codec_folder).to("meta")
    assert codec.encode(torch.zeros(1, 3, 5, 32, 48, device="meta")).device.type == "meta"
