"""The running average of the weights, which is what validates and animates.

Lightning's own averaging does not work with sharded models; here the average is a module beside the trained one, so
that whatever wraps, shards and saves the one does the same to the other.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

Module = TypeVar("Module", bound=nn.Module)


def start_average(model: Module) -> Module:
    """A copy of ``model`` that takes no gradients."""
    return copy.deepcopy(model).requires_grad_(False).eval()


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, step: int, decay: float) -> None:
    """Move the average towards the weights after ``step`` optimiser steps. Early on it follows faster: by
    min(decay, (1 + step) / (10 + step))."""
    averaged, current = list(average.parameters()), list(model.parameters())
    update = get_ema_multi_avg_fn(min(decay, (1 + step) / (10 + step)))
    update(averaged, [parameter.detach() for parameter in current], torch.tensor(step))
