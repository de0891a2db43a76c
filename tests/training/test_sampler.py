"""The schedulers solve the flow: with the true velocity they arrive at the data."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from manifests.errors import UserError
from tests.training.test_conditioning import conditions
from training.conditioning import Conditions
from training.flow import FlowSettings
from training.sampler import SamplerSettings, make_scheduler, sample_latents


class Oracle(nn.Module):
    """Knows the clean latents: what the pose row says, and a share of what the camera row does."""

    def __init__(self, prediction: str = "sample") -> None:
        super().__init__()
        self.prediction = prediction

    def forward(self, rows: Tensor, timestep: Tensor, expression: Tensor) -> Tensor:
        clean = rows[:, 6:9] + 0.1 * rows[:, 9:12]
        if self.prediction == "sample":
            return clean
        return (rows[:, :3] - clean) / (timestep / 1000).view(-1, 1, 1, 1, 1)


def truth(told: Conditions) -> Tensor:
    return told.pose + 0.1 * told.camera[:, :3]


@pytest.mark.parametrize("prediction", ["sample", "velocity"])
@pytest.mark.parametrize("scheduler", ["euler", "unipc"])
def test_the_true_velocity_leads_to_the_data(scheduler: str, prediction: str) -> None:
    told, flow = conditions(), FlowSettings(prediction=prediction)  # type: ignore[arg-type]
    settings = SamplerSettings(steps=8, scheduler=scheduler)  # type: ignore[arg-type]
    latents = sample_latents(Oracle(prediction), told, flow, settings, torch.randn(2, 3, 3, 4, 4))
    torch.testing.assert_close(latents, truth(told), rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("scheduler", ["euler", "unipc"])
def test_steps_are_shifted_once(scheduler: str) -> None:
    sigmas = make_scheduler(SamplerSettings(steps=4, scheduler=scheduler, shift=5.0)).sigmas.tolist()  # type: ignore[arg-type]
    assert sigmas == pytest.approx([1.0, 0.9375, 5 / 6, 0.625, 0.0], abs=1e-3)


@pytest.mark.parametrize("scheduler", ["euler", "unipc"])
def test_the_model_is_told_how_much_noise_there_is(scheduler: str) -> None:
    """The time it is given is the noise's share that the scheduler reckons with."""
    told: list[float] = []

    class Listening(Oracle):
        def forward(self, rows: Tensor, timestep: Tensor, expression: Tensor) -> Tensor:
            told.extend((timestep[:1].double() / 1000).tolist())
            return super().forward(rows, timestep, expression)

    settings = SamplerSettings(steps=7, scheduler=scheduler)  # type: ignore[arg-type]
    sample_latents(Listening(), conditions(), FlowSettings(prediction="sample"), settings, torch.randn(2, 3, 3, 4, 4))
    assert told == pytest.approx(make_scheduler(settings).sigmas[:-1].tolist(), rel=0, abs=1e-6)


def test_guidance_exaggerates_its_own_condition() -> None:
    told = conditions()
    settings = SamplerSettings(steps=6, guidance={"camera": 3.0, "pose": 1.0})
    seen = sample_latents(Oracle(), told, FlowSettings(prediction="sample"), settings, torch.randn(2, 3, 3, 4, 4))
    torch.testing.assert_close(seen, told.pose + 0.3 * told.camera[:, :3], rtol=1e-3, atol=2e-3)


def test_progress_is_told_at_each_step() -> None:
    seen: list[tuple[int, int]] = []
    sample_latents(
        Oracle(), conditions(), FlowSettings(prediction="sample"), SamplerSettings(steps=3),
        torch.randn(2, 3, 3, 4, 4), lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_values_out_of_range_are_said() -> None:
    with pytest.raises(UserError, match="steps: 0"):
        SamplerSettings(steps=0)
    for shift in (0.0, -1.0, float("nan")):
        with pytest.raises(UserError, match=f"sampler.shift: {shift}"):
            SamplerSettings(shift=shift)
    with pytest.raises(UserError, match=r"guidance.pose: nan"):
        SamplerSettings(guidance={"pose": float("nan")})
    with pytest.raises(UserError, match="'text' is no condition"):
        SamplerSettings(guidance={"text": 2})
