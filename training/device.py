"""Whether a device is here, asked before anything is read."""

from __future__ import annotations

import torch

from manifests.errors import UserError


def check_device(device: str, name: str = "device") -> None:
    """Raises UserError for one that this machine lacks, or that is none; ``name`` is what it was given as."""
    none = UserError(f"{name}: {device!r} is no device that is used here; choose cpu or cuda")
    try:
        wanted = torch.device(device)
    except RuntimeError:
        raise none from None
    if wanted.type not in ("cpu", "cuda"):
        raise none
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        raise UserError(f"{name}: {device} is not here; choose cpu")
