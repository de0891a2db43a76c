"""How the small networks learn that find landmarks and tell people apart."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Final, TypeVar

from torch import Tensor, nn, optim

from training.ema import update_average
from training.progress import Show
from training.rate import rate

_AVERAGE: Final = 0.995

Network = TypeVar("Network", bound=nn.Module)


def train_network(
    network: Network,
    lesson: Callable[[], tuple[Tensor, str]],
    *,
    steps: int,
    learning_rate: float,
    weight_decay: float,
    progress: Show,
) -> Network:
    """The averaged weights after so many steps of AdamW, on the CPU; ``lesson`` draws a batch and gives the
    network's loss, and words on it."""
    average = copy.deepcopy(network)
    optimiser = optim.AdamW(network.parameters(), learning_rate, weight_decay=weight_decay)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate * rate(step / steps)
        loss, words = lesson()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        update_average(average, network, step, _AVERAGE)
        progress(step + 1, steps, f"step {step + 1} of {steps}, {words}")
    return average.cpu().eval()
