"""How the learning rate of the small networks goes over a training."""

from __future__ import annotations

import math
from typing import Final

_WARM_UP: Final = 0.05


def rate(share: float, last: float = 0.01) -> float:
    """Factor of the learning rate after a share of the training: up in the first twentieth, then down to ``last`` along
    a cosine."""
    falling = last + (1 - last) * 0.5 * (1 + math.cos(math.pi * share))
    return min(1.0, 0.01 + share / _WARM_UP) * falling
