"""From noise to video latents: the flow's differential equation, solved by diffusers' schedulers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from torch import Tensor, nn

from manifests.errors import UserError, require
from training.conditioning import CONDITIONS, Conditions
from training.flow import TIMESTEPS, FlowSettings, noisy, velocity

Scheduler = Literal["euler", "unipc"]
SCHEDULERS: Final = get_args(Scheduler)


@dataclass(frozen=True)
class SamplerSettings:
    """How latents are made. Raises UserError for values out of range."""

    steps: int = 20
    scheduler: Scheduler = "euler"
    shift: float = 5.0
    guidance: dict[str, float] = field(default_factory=dict)
    """Scale of each condition (`conditioning.CONDITIONS`): 1 uses it as trained, more exaggerates it."""

    def __post_init__(self) -> None:
        if self.scheduler not in SCHEDULERS:
            raise UserError(f"sampler.scheduler: {self.scheduler!r} is none; choose {', '.join(SCHEDULERS)}")
        require(self.steps >= 1, "sampler.steps", self.steps, "at least 1")
        require(0 < self.shift < math.inf, "sampler.shift", self.shift, "a number above 0 (1 shifts nothing)")
        if unknown := set(self.guidance) - set(CONDITIONS):
            raise UserError(f"sampler.guidance: {sorted(unknown)[0]!r} is no condition; use {', '.join(CONDITIONS)}")
        for name, scale in self.guidance.items():
            require(math.isfinite(scale), f"sampler.guidance.{name}", scale, "a number (1 changes nothing)")


def sample_latents(
    transformer: nn.Module,
    conditions: Conditions,
    flow: FlowSettings,
    settings: SamplerSettings,
    noise: Tensor,
    on_step: Callable[[int, int], None] | None = None,
    known: Tensor | None = None,
) -> Tensor:
    """Latents [B, z, S, h, w] under conditions, from noise of that shape. ``known`` [B, z, K, h, w] is what the first
    K slots are to be: at every time they lie on the straight path from it to their noise, and the others follow.

    Guidance adds, for each condition c of scale w_c, (w_c - 1) times what c changes:
    v + sum_c (w_c - 1) (v - v without c). Source: Ho and Salimans, "Classifier-Free Diffusion Guidance", 2022, and
    Brooks et al., "InstructPix2Pix", 2023, for several conditions. Each scale other than 1 costs one more forward.
    """
    latents = noise
    scheduler = make_scheduler(settings)
    for done, step in enumerate(scheduler.timesteps):
        times = scheduler.sigmas[done].expand(len(latents)).to(latents)  # UniPC's timesteps are cut to whole numbers
        if known is not None:
            latents = pinned(latents, noisy(known, noise[:, :, : known.shape[2]], times))

        def predict(told: Conditions, latents: Tensor = latents, times: Tensor = times) -> Tensor:
            return velocity(flow, denoise(transformer, latents, times, told), latents, times)

        guided = full = predict(conditions)
        for name, scale in active(settings.guidance).items():
            guided = guided + (scale - 1) * (full - predict(conditions.without([name])))
        latents = scheduler.step(guided.float(), step, latents.float(), return_dict=False)[0].to(noise)
        if on_step:
            on_step(done + 1, settings.steps)
    return latents if known is None else pinned(latents, known)


def pinned(latents: Tensor, first: Tensor) -> Tensor:
    """Latents [B, z, S, h, w] whose first slots are ``first`` [B, z, K, h, w]."""
    return torch.cat([first.to(latents), latents[:, :, first.shape[2] :]], dim=2)


def denoise(transformer: nn.Module, latents: Tensor, times: Tensor, conditions: Conditions) -> Tensor:
    """The model's prediction [B, z, S, h, w] for noisy latents at times [B] in (0, 1]."""
    prediction: Tensor = transformer(conditions.rows(latents), times * TIMESTEPS, conditions.expression)
    return prediction[:, :, 1:]


def make_scheduler(settings: SamplerSettings) -> Any:
    """diffusers' scheduler with its steps set."""
    if settings.scheduler == "euler":
        euler = FlowMatchEulerDiscreteScheduler(shift=settings.shift)
        # Its own even steps are shifted twice, so that the last one leaps from very little noise.
        euler.set_timesteps(sigmas=[1 - step / settings.steps for step in range(settings.steps)])
        return euler
    unipc = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=settings.shift)
    unipc.set_timesteps(settings.steps)
    return unipc


def active(guidance: Mapping[str, float]) -> dict[str, float]:
    """Scales that change anything."""
    return {name: scale for name, scale in guidance.items() if scale != 1}
