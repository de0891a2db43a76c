"""The video autoencoder of Wan as a codec: pre-trained weights from a folder of diffusers, or a small one of our own.

Architecture: Wan Team, "Wan: Open and Advanced Large-Scale Video Generative Models", 2025, section 4.1, as diffusers'
`AutoencoderKLWan` builds it.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import safetensors
import torch
from diffusers import AutoencoderKLWan
from safetensors.torch import load_file
from torch import Tensor

from manifests.errors import UserError
from training.codec.codec import Codec
from training.folder import CONFIG, check_place, digest, load_weights, replacing_folder
from training.precision import full_precision

CLASS_NAME: Final = "AutoencoderKLWan"
WEIGHTS: Final = "diffusion_pytorch_model.safetensors"
TEMPORAL_STRIDE: Final = 4
"""diffusers cuts videos into the first frame and then fours, whatever the configuration says."""
_PARAMETERS: Final = tuple(name for name in inspect.signature(AutoencoderKLWan.__init__).parameters if name != "self")
_MOST_CHANNELS: Final = 8192
_MOST_LEVELS: Final = 8
_MOST_BLOCKS: Final = 16


class WanCodec(Codec):
    """Latents are the posterior's mode, not a sample, less the mean and by the deviation of the configuration."""

    temporal_stride = TEMPORAL_STRIDE

    def __init__(self, vae: AutoencoderKLWan) -> None:
        """Takes the autoencoder as it is: to be trained no further. Raises UserError for one that is no such codec."""
        super().__init__()
        config = architecture(vae.config)
        check(config)
        self.vae = vae.eval().requires_grad_(False)
        self.channels = config["z_dim"]
        self.spatial_stride = spatial_stride(config)
        self.latents_mean: Tensor
        self.latents_std: Tensor
        shape = (1, self.channels, 1, 1, 1)
        self.register_buffer("latents_mean", torch.tensor(config["latents_mean"]).view(shape), persistent=False)
        self.register_buffer("latents_std", torch.tensor(config["latents_std"]).view(shape), persistent=False)
        self.digest = digest(config, vae.state_dict())

    def _encode(self, video: Tensor) -> Tensor:
        with full_precision(video.device):
            mode = self.vae.encode(video.to(self.vae.dtype)).latent_dist.mode().float()
            return ((mode - self.latents_mean) / self.latents_std).to(video.dtype)

    def _decode(self, latents: Tensor) -> Tensor:
        with full_precision(latents.device):
            unscaled = latents.float() * self.latents_std + self.latents_mean
            video: Tensor = self.vae.decode(unscaled.to(self.vae.dtype)).sample
            return video.to(latents.dtype)


def small_wan(z_dim: int = 8, base_dim: int = 16, seed: int = 0) -> AutoencoderKLWan:
    """An untrained autoencoder that a CPU can train; the same for the same seed, whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoencoderKLWan(
            base_dim=base_dim,
            z_dim=z_dim,
            dim_mult=[1, 2, 4, 4],
            num_res_blocks=1,
            temperal_downsample=[False, True, True],
            latents_mean=[0.0] * z_dim,
            latents_std=[1.0] * z_dim,
        )


def save_wan(vae: AutoencoderKLWan, folder: str | Path) -> None:
    """Write the folder that diffusers reads, beside its place first; a model that was there is replaced.

    Raises UserError when the place is taken by something that is no model folder.
    """
    check_place(folder)
    with replacing_folder(folder) as beside:
        vae.save_pretrained(beside, safe_serialization=True)


def load_wan(folder: str | Path, config: Mapping[str, Any]) -> WanCodec:
    """The autoencoder in a folder of diffusers with this config.json. Weights are read as safetensors and as nothing
    else. Raises UserError for a configuration of another kind, and for weights that are missing or do not fit it."""
    wanted = architecture(config)
    try:
        check(wanted)
        with torch.device("meta"):  # what its own numbers say takes no memory until the weights agree
            vae = AutoencoderKLWan(**wanted)
    except UserError as error:
        raise UserError(f"{folder}: {error}") from None
    except (TypeError, ValueError, IndexError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"{folder}/{CONFIG}: builds no autoencoder ({reason}); take another copy of it") from None
    tensors = _weights(Path(folder))
    if _numbers(vae.state_dict()) != _numbers(tensors):
        raise UserError(
            f"{folder}: {CONFIG} asks for {_numbers(vae.state_dict())} weights and {WEIGHTS} holds "
            f"{_numbers(tensors)}; one of them is another model's"
        )
    vae = vae.to_empty(device="cpu")
    load_weights(vae, tensors, folder)
    return WanCodec(vae)


def architecture(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of a config.json shapes the autoencoder, with diffusers' defaults for the rest."""
    defaults = inspect.signature(AutoencoderKLWan.__init__).parameters
    return {name: _plain(config.get(name, defaults[name].default)) for name in _PARAMETERS}


def spatial_stride(config: Mapping[str, Any]) -> int:
    """Pixels to a latent, from the levels themselves: older configurations do not tell it."""
    return int(2 ** (len(config["dim_mult"]) - 1) * (config["patch_size"] or 1))


def check(config: Mapping[str, Any]) -> None:
    """Raises UserError for an architecture that this codec does not stand for, or of absurd size."""
    whole = ("base_dim", "z_dim", "num_res_blocks", "in_channels", "out_channels")
    decoder = {"decoder_base_dim": config["decoder_base_dim"] or config["base_dim"]}
    for name, value in {**{name: config[name] for name in whole}, **decoder}.items():
        most = _MOST_BLOCKS if name == "num_res_blocks" else _MOST_CHANNELS
        if type(value) is not int or not 1 <= value <= most:
            raise UserError(f"{CONFIG}: {name} is {value!r}, no number from 1 to {most}; take another copy of it")
    levels, halved = config["dim_mult"], config["temperal_downsample"]
    if not _list_of(levels, int) or not 1 <= len(levels) <= _MOST_LEVELS or not all(1 <= n <= 64 for n in levels):
        raise UserError(f"{CONFIG}: dim_mult is {levels!r}, no list of 1 to {_MOST_LEVELS} factors; take another copy")
    if not _list_of(halved, bool) or len(halved) != len(levels) - 1 or 2 ** sum(halved) != TEMPORAL_STRIDE:
        raise UserError(
            f"{CONFIG}: temperal_downsample is {halved!r}; only autoencoders that halve time twice are read, "
            "such as those of Wan 2.1 and 2.2"
        )
    patch = config["patch_size"]
    if patch is not None and (type(patch) is not int or not 1 <= patch <= 16):
        raise UserError(f"{CONFIG}: patch_size is {patch!r}, neither null nor 1 to 16; take another copy")
    pixels = (config["in_channels"], config["out_channels"])
    if pixels != (3 * (patch or 1) ** 2,) * 2:
        raise UserError(f"{CONFIG}: {pixels[0]} channels in and {pixels[1]} out; only colour videos are read")
    for name in ("latents_mean", "latents_std"):
        given = config[name]
        if not _list_of(given, float, int) or len(given) != config["z_dim"] or not all(map(math.isfinite, given)):
            raise UserError(f"{CONFIG}: {name} is no list of {config['z_dim']} numbers, one a channel; add them")
    if min(config["latents_std"]) <= 0:
        raise UserError(f"{CONFIG}: latents_std holds {min(config['latents_std'])}; deviations are above 0")


def _list_of(value: object, *kinds: type) -> bool:
    return isinstance(value, list) and all(type(item) in kinds for item in value)


def _numbers(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors.values())


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _weights(folder: Path) -> dict[str, Tensor]:
    file = folder / WEIGHTS
    try:
        return dict(load_file(file))
    except FileNotFoundError:
        raise UserError(
            f"{file} is missing; download the autoencoder as safetensors (other kinds of weights are not read)"
        ) from None
    except (safetensors.SafetensorError, OSError) as error:
        raise UserError(f"{file}: cannot be read ({error}); take another copy of the model") from None
