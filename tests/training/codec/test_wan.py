"""Wan's autoencoder: folders of diffusers, what is refused of them, and training a small one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLWan
from safetensors.torch import load_file, save_file

from manifests.errors import UserError
from tests.training.codec.conftest import smooth_video
from training.codec.load import load_codec
from training.codec.settings import CodecSettings
from training.codec.wan import WanCodec, save_wan, small_wan
from training.codec.wan_training import schedule, set_latent_statistics, train_wan

WEIGHTS = "diffusion_pytorch_model.safetensors"


def tiny(**changes: Any) -> AutoencoderKLWan:
    return AutoencoderKLWan(
        **{
            "base_dim": 4,
            "z_dim": 2,
            "dim_mult": [1, 1, 1, 1],
            "num_res_blocks": 1,
            "latents_mean": [0.5, -1.0],
            "latents_std": [2.0, 0.25],
            **changes,
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def change_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def test_reads_what_diffusers_wrote(tmp_path: Path) -> None:
    vae = tiny().eval()
    vae.save_pretrained(tmp_path / "pipeline" / "vae")
    video = smooth_video(1)
    with torch.no_grad():
        mode = vae.encode(video).latent_dist.mode()
    mean, std = torch.tensor([0.5, -1.0]).view(1, 2, 1, 1, 1), torch.tensor([2.0, 0.25]).view(1, 2, 1, 1, 1)
    for path in (tmp_path / "pipeline", tmp_path / "pipeline" / "vae"):
        codec = load_codec(path)
        latents = codec.encode(video)
        assert torch.equal(latents, (mode - mean) / std)
        with torch.no_grad():
            assert torch.equal(codec.decode(latents), vae.decode(latents * std + mean).sample.clamp(-1, 1))


def test_sixteen_pixels_to_a_latent_as_in_wan_2_2(tmp_path: Path) -> None:
    vae = tiny(is_residual=True, patch_size=2, in_channels=12, out_channels=12, decoder_base_dim=8,
               scale_factor_spatial=16)  # fmt: skip
    vae.save_pretrained(tmp_path / "model")
    codec = load_codec(tmp_path / "model")
    assert (codec.spatial_stride, codec.temporal_stride, codec.channels) == (16, 4, 2)
    assert codec.encode(torch.zeros(1, 3, 5, 32, 48)).shape == (1, 2, 2, 2, 3)
    assert codec.decode(torch.zeros(1, 2, 2, 2, 3)).shape == (1, 3, 5, 32, 48)


def test_half_precision_weights_and_videos(folder: Path) -> None:
    codec = load_codec(folder).to(torch.bfloat16)
    assert codec.encode(smooth_video(1)).dtype == torch.float32


def test_digest_covers_scaling_and_weights_and_no_notes(folder: Path) -> None:
    before = load_codec(folder).digest
    change_config(folder, _diffusers_version="0.99", note="harmless")
    assert load_codec(folder).digest == before
    change_config(folder, latents_mean=[0.5, -1.01])
    changed = load_codec(folder).digest
    tensors = load_file(folder / WEIGHTS)
    name = min(tensors)
    tensors[name] = tensors[name] + 1e-3
    save_file(tensors, folder / WEIGHTS)
    assert len({before, changed, load_codec(folder).digest}) == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"z_dim": 4}, "latents_mean is no list of 4 numbers"),
        ({"base_dim": 10**9}, "base_dim is 1000000000, no number from 1 to"),
        ({"base_dim": 8192}, "weights and .* holds"),
        ({"num_res_blocks": 10**9}, "num_res_blocks is 1000000000"),
        ({"dim_mult": [1] * 10**3}, "dim_mult is"),
        ({"temperal_downsample": [True, True, True]}, "halve time twice"),
        ({"temperal_downsample": [False, False, True]}, "halve time twice"),
        ({"latents_std": [1.0, 0.0]}, "latents_std holds 0.0"),
        ({"latents_mean": ["a", "b"]}, "latents_mean is no list of 2 numbers"),
        ({"in_channels": 12}, "12 channels in and 3 out"),
        ({"patch_size": "2"}, "patch_size is '2'"),
        ({"attn_scales": 3}, "builds no autoencoder"),
        ({"num_res_blocks": 2}, "weights and .* holds"),
    ],
)
def test_configurations_that_are_refused(changes: dict[str, object], said: str, folder: Path) -> None:
    change_config(folder, **changes)
    with pytest.raises(UserError, match=said):
        load_codec(folder)


def test_weights_that_are_refused(folder: Path) -> None:
    weights = folder / WEIGHTS
    sound = weights.read_bytes()
    weights.write_bytes(sound[:-10])
    with pytest.raises(UserError, match="cannot be read"):
        load_codec(folder)
    weights.unlink()
    torch.save(tiny().state_dict(), folder / "diffusion_pytorch_model.bin")
    with pytest.raises(UserError, match="is missing; download the autoencoder as safetensors"):
        load_codec(folder)
    tensors = tiny().state_dict()
    tensors["other.weight"] = tensors.pop("quant_conv.weight")
    save_file(tensors, weights)
    with pytest.raises(UserError, match=r"tensor 'other\.weight' is of shape"):
        load_codec(folder)


def test_a_small_one_follows_from_its_seed(tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = WanCodec(small_wan(2, 2, seed=7))
    drawn = torch.rand(1)
    torch.manual_seed(1)
    torch.rand(3)
    assert WanCodec(small_wan(2, 2, seed=7)).digest == first.digest != WanCodec(small_wan(2, 2, seed=8)).digest
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), drawn)  # nothing was drawn from what others draw from


def test_training_lowers_the_loss_and_gives_latents_of_unit_variance(tmp_path: Path) -> None:
    videos = smooth_video(5, batch=2, height=16, width=16)
    settings = CodecSettings(kind="wan", channels=4, base_dim=8, steps=40, learning_rate=3e-3)
    vae, losses = train_wan(lambda step: videos, settings)
    assert len(losses) == 40
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    set_latent_statistics(vae, videos)
    save_wan(vae, tmp_path / "codec")
    codec = load_codec(tmp_path / "codec")
    latents = codec.encode(videos)
    channels = latents.transpose(0, 1).flatten(1)
    torch.testing.assert_close(channels.mean(1), torch.zeros(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(channels.std(1, correction=0), torch.ones(4), atol=1e-3, rtol=0)
    error = (codec.decode(latents) - videos).abs().mean()
    assert error < 0.75 * videos.abs().mean()


def test_training_is_repeatable() -> None:
    videos = smooth_video(5, height=8, width=8)
    settings = CodecSettings(kind="wan", channels=2, base_dim=2, steps=3)
    (first, losses), (second, again) = (train_wan(lambda step: videos, settings) for _ in range(2))
    assert losses == again
    assert WanCodec(first).digest == WanCodec(second).digest
    other = CodecSettings(kind="wan", channels=2, base_dim=2, steps=3, seed=1)
    assert train_wan(lambda step: videos, other)[1] != losses


def test_a_loss_that_is_not_finite_stops_it() -> None:
    videos = [smooth_video(5, height=8, width=8), torch.full((1, 3, 1, 8, 8), float("nan"))]
    settings = CodecSettings(kind="wan", channels=2, base_dim=2, steps=3)
    with pytest.raises(UserError, match=r"not finite at step 1; lower codec\.learning_rate"):
        train_wan(lambda step: videos[step], settings)


def test_schedule_rises_and_falls() -> None:
    shares = [i / 100 for i in range(101)]
    factors = [schedule(share) for share in shares]
    assert factors[0] < 0.1
    assert max(factors) > 0.98
    assert factors[2:] == sorted(factors[2:], reverse=True)
    assert 0 < factors[-1] < 0.05


def test_a_place_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is there already and no model folder"):
        save_wan(tiny(), tmp_path / "notes")
    save_wan(tiny(), tmp_path / "codec")
    save_wan(tiny(), tmp_path / "codec")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["codec", "notes"]
