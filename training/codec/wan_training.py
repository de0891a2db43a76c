"""Training a small video autoencoder on windows of a corpus."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import torch
from diffusers import AutoencoderKLWan
from torch import Tensor

from manifests.errors import UserError
from training.codec.settings import CodecSettings
from training.codec.wan import small_wan
from training.progress import Show, silent
from training.streams import stream, torch_generator

_LOGVAR_RANGE: Final = (-30.0, 20.0)
"""As diffusers limits it."""
_WARM_UP: Final = 0.02
_GRADIENT_NORM: Final = 1.0


@dataclass(frozen=True)
class Loss:
    """Of one batch, each a mean over its elements."""

    reconstruction: Tensor
    """Absolute error."""
    gradient: Tensor
    """Absolute error of differences between neighbouring pixels."""
    kl: Tensor
    """Divergence of the posterior from a unit normal, nats a latent number."""

    def total(self, settings: CodecSettings) -> Tensor:
        return self.reconstruction + settings.gradient_weight * self.gradient + settings.kl_weight * self.kl


def train_wan(
    batches: Callable[[int], Tensor], settings: CodecSettings, show: Show = silent
) -> tuple[AutoencoderKLWan, list[float]]:
    """An autoencoder trained on ``batches(step)`` [B, 3, T, H, W], and the loss of every step.

    Its latents' mean and deviation are not set yet. With the same settings, batches and threads it comes out the same,
    unless `minutes` ends it. Raises UserError when the loss is not finite.
    """
    vae = small_wan(settings.latent_channels, settings.base_dim, stream(settings.seed, "codec", "weights"))
    vae = vae.to(settings.device).train()
    optimiser = torch.optim.AdamW(vae.parameters(), lr=settings.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4)
    noise = torch_generator(settings.seed, "codec", "noise")
    losses: list[float] = []
    start = time.monotonic()
    for step in range(settings.steps):
        spent = (time.monotonic() - start) / 60 / settings.minutes if settings.minutes else 0.0
        if spent >= 1:
            break
        share = max(step / settings.steps, spent)
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * schedule(share)
        loss = wan_loss(vae, batches(step).to(settings.device), noise).total(settings)
        if not bool(loss.isfinite()):
            raise UserError(f"codec: the loss is not finite at step {step}; lower codec.learning_rate")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), _GRADIENT_NORM)
        optimiser.step()
        losses.append(float(loss.detach()))
        show(share, 1.0, f"step {step + 1} of {settings.steps}, loss {sum(losses[-50:]) / len(losses[-50:]):.4f}")
    return vae.eval(), losses


def schedule(share: float) -> float:
    """Factor of the learning rate when so much of the training is done: a short rise, then half a cosine to 0.02."""
    rise = min(1.0, (share + 1e-3) / _WARM_UP)
    return rise * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0))))


def wan_loss(vae: AutoencoderKLWan, video: Tensor, noise: torch.Generator) -> Loss:
    """Loss of a batch with one sample of the posterior. KL: Kingma and Welling, "Auto-Encoding Variational Bayes",
    2014, appendix B."""
    mean, logvar = vae._encode(video).chunk(2, dim=1)
    logvar = logvar.clamp(*_LOGVAR_RANGE)
    drawn = torch.randn(mean.shape, generator=noise).to(mean)
    made = vae.decode(mean + (0.5 * logvar).exp() * drawn).sample
    error = made - video
    gradient = (error.diff(dim=3).abs().mean() + error.diff(dim=4).abs().mean()) / 2
    kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    return Loss(error.abs().mean(), gradient, kl)


@torch.no_grad()
def set_latent_statistics(vae: AutoencoderKLWan, videos: Iterable[Tensor]) -> None:
    """Write mean and deviation of each channel over videos [3, T, H, W] into the configuration."""
    count, total, squares = 0, torch.zeros(vae.config.z_dim).double(), torch.zeros(vae.config.z_dim).double()
    for video in videos:
        mode = vae.encode(video[None].to(vae.device)).latent_dist.mode()[0].flatten(1).double().cpu()
        count += mode.shape[1]
        total += mode.sum(1)
        squares += mode.square().sum(1)
    mean = total / count
    deviation = (squares / count - mean.square()).clamp(min=1e-8).sqrt()
    vae.register_to_config(latents_mean=mean.tolist(), latents_std=deviation.tolist())
