"""Frozen models work in the precision of their own weights, also where the model behind them trains in half of it."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager

import torch


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Within, autocast changes no type, so latents and codes are the same in training as in a cache made before it."""
    if not torch.amp.is_autocast_available(device.type):
        return contextlib.nullcontext()
    return torch.autocast(device.type, enabled=False)
