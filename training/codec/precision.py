"""A codec works in the precision of its own weights, also where a model around it trains in half of it."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager

import torch


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Within, autocast changes no type, so latents are the same in training as in a cache made before it."""
    if not torch.amp.is_autocast_available(device.type):
        return contextlib.nullcontext()
    return torch.autocast(device.type, enabled=False)
