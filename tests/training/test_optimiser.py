"""Groups, schedules, and two optimisers that act as one."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from manifests.errors import UserError
from training.ema import start_average, update_average
from training.optimiser import OptimiserSettings, make_optimiser, schedule


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(4, 4)])
        self.expression_embedder = nn.Linear(4, 4)
        self.out = nn.Linear(4, 1)
        self.frozen = nn.Parameter(torch.zeros(2), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.expression_embedder(self.blocks[0](x)))


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_every_weight_that_takes_gradients_is_in_one_group(name: str) -> None:
    net = Net()
    optimiser = make_optimiser(net, OptimiserSettings(name, 1e-3, 2e-2, weight_decay=0.1, expression_factor=3))  # type: ignore[arg-type]
    rates = {id(p): (g["lr"], g["weight_decay"]) for g in optimiser.param_groups for p in g["params"]}
    assert len(rates) == sum(len(g["params"]) for g in optimiser.param_groups) == 6
    assert rates[id(net.blocks[0].weight)] == ((2e-2, 0.1) if name == "muon" else (1e-3, 0.1))
    assert rates[id(net.blocks[0].bias)] == (1e-3, 0)
    assert rates[id(net.expression_embedder.weight)] == (pytest.approx(3e-3), 0.1)


def test_two_optimisers_step_restore_and_are_scheduled_as_one() -> None:
    def run(
        steps: int, net: Net, optimiser: torch.optim.Optimizer, scheduler: torch.optim.lr_scheduler.LambdaLR
    ) -> None:
        for _ in range(steps):
            optimiser.zero_grad()
            net(torch.ones(2, 4)).square().mean().backward()
            optimiser.step()
            scheduler.step()

    def start() -> tuple[Net, torch.optim.Optimizer, LambdaLR]:
        torch.manual_seed(0)
        net = Net()
        optimiser = make_optimiser(net, OptimiserSettings("muon", warmup_steps=4))
        return net, optimiser, LambdaLR(optimiser, lambda step: min(1.0, (step + 1) / 4))

    with torch.random.fork_rng():
        whole, first, second = start(), start(), start()
    before = whole[0].blocks[0].weight.clone()
    run(6, *whole)
    assert not torch.equal(whole[0].blocks[0].weight, before)
    run(3, *first)
    for fresh, stopped in zip(second, first, strict=True):
        fresh.load_state_dict(stopped.state_dict())
    run(3, *second)
    assert all(torch.equal(a, b) for a, b in zip(whole[0].parameters(), second[0].parameters(), strict=True))
    assert [group["lr"] for group in second[1].param_groups] == [group["lr"] for group in whole[1].param_groups]


def test_a_cosine_warms_up_and_ends_where_it_says() -> None:
    factor = schedule(OptimiserSettings(warmup_steps=10, schedule="cosine", final_share=0.1), 110)
    assert factor(0) == pytest.approx(0.1)
    assert factor(10) == pytest.approx(1)
    assert factor(60) == pytest.approx(0.55)
    assert factor(110) == factor(500) == pytest.approx(0.1)
    assert schedule(OptimiserSettings(warmup_steps=0), -1)(10**6) == 1


def test_wrong_values_are_said() -> None:
    for wrong, said in (
        ({"learning_rate": 0}, "optimiser.learning_rate: 0"),
        ({"learning_rate": math.nan}, "optimiser.learning_rate: nan"),
        ({"muon_learning_rate": -1}, "optimiser.muon_learning_rate: -1"),
        ({"expression_factor": 0}, "optimiser.expression_factor: 0"),
        ({"weight_decay": -0.1}, "optimiser.weight_decay: -0.1"),
        ({"betas": (0.9, 1.0)}, r"optimiser.betas: \(0.9, 1.0\)"),
        ({"warmup_steps": -1}, "optimiser.warmup_steps: -1"),
        ({"final_share": 2}, "optimiser.final_share: 2"),
    ):
        with pytest.raises(UserError, match=said):
            OptimiserSettings(**wrong)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="a cosine needs an end"):
        schedule(OptimiserSettings(schedule="cosine"), -1)


def test_the_average_follows_faster_early_on() -> None:
    net = nn.Linear(1, 1, bias=False)
    average = start_average(net)
    with torch.no_grad():
        net.weight.fill_(1.0)
        average.weight.fill_(0.0)
    update_average(average, net, 1, 0.999)
    assert average.weight.item() == pytest.approx(1 - 2 / 11)
    with torch.no_grad():
        average.weight.fill_(0.0)
    update_average(average, net, 10**6, 0.999)
    assert average.weight.item() == pytest.approx(1e-3)
