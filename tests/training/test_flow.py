"""The path, its velocity and its times are what they are said to be."""

from __future__ import annotations

import math

import pytest
import torch

from manifests.errors import UserError
from training.flow import FlowSettings, draw_times, flow_loss, noisy, shift_time, target, velocity


def test_the_path_runs_straight_from_data_to_noise() -> None:
    clean, noise = torch.randn(3, 2, 1, 2, 2), torch.randn(3, 2, 1, 2, 2)
    assert torch.equal(noisy(clean, noise, torch.zeros(3)), clean)
    assert torch.equal(noisy(clean, noise, torch.ones(3)), noise)
    times, step = torch.tensor([0.2, 0.5, 0.8]), 1e-3
    slope = (noisy(clean, noise, times + step) - noisy(clean, noise, times)) / step
    torch.testing.assert_close(slope, target(FlowSettings(), clean, noise), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("prediction", ["velocity", "sample"])
def test_a_right_prediction_means_the_right_velocity(prediction: str) -> None:
    settings = FlowSettings(prediction=prediction)  # type: ignore[arg-type]
    clean, noise, times = torch.randn(2, 3, 1, 2, 2), torch.randn(2, 3, 1, 2, 2), torch.tensor([0.3, 0.9])
    seen = velocity(settings, target(settings, clean, noise), noisy(clean, noise, times), times)
    torch.testing.assert_close(seen, noise - clean)


def test_times_are_shifted_towards_noise_and_the_share_at_high_noise_is_kept() -> None:
    assert shift_time(torch.tensor(0.5), 3.0) == pytest.approx(0.75)
    generator = torch.Generator().manual_seed(0)
    plain = draw_times(FlowSettings(shift=1), 20_000, generator)
    assert plain.min() > 0
    assert plain.max() <= 1
    assert plain.mean() == pytest.approx(0.5, abs=0.01)
    high = draw_times(FlowSettings(shift=1, high_noise_share=0.4, high_noise=0.98), 20_000, generator)
    assert float((high > 0.98).float().mean()) == pytest.approx(0.4 + 0.6 * 0.02, abs=0.01)


def test_the_weight_changes_what_counts_and_not_how_much() -> None:
    wanted, prediction = (
        torch.zeros(1, 2, 1, 1, 2),
        torch.tensor([[1.0, 3.0]]).view(1, 1, 1, 1, 2).expand(1, 2, 1, 1, 2),
    )
    assert flow_loss(prediction, wanted).item() == 5
    assert flow_loss(prediction, wanted, torch.tensor([3.0, 1.0]).view(1, 1, 1, 1, 2)).item() == 3
    assert flow_loss(prediction, wanted, torch.full((1, 1, 1, 1, 2), 7.0)).item() == 5


@pytest.mark.parametrize("wrong", [{"shift": 0}, {"shift": math.nan}, {"high_noise_share": 1.5}, {"high_noise": 1.0}])
def test_values_out_of_range_are_said(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        FlowSettings(**wrong)  # type: ignore[arg-type]
