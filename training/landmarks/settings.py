"""What training a landmark detector can be told."""

from __future__ import annotations

import math
from dataclasses import dataclass

from manifests.errors import require


@dataclass(frozen=True)
class LandmarkSettings:
    """Raises UserError for a value that cannot be."""

    width: int = 24
    """Channels of the first layer."""
    picture_size: int = 64
    steps: int = 3000
    batch: int = 48
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    most_faces: int = 20_000
    """Held in memory; of larger splits each clip gives fewer frames."""
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        require(4 <= self.width <= 256, "landmarks.width", self.width, "4 to 256")
        sizes = 32 <= self.picture_size <= 256 and self.picture_size % 8 == 0
        require(sizes, "landmarks.picture_size", self.picture_size, "a multiple of 8, 32 to 256")
        for name in ("steps", "batch", "most_faces"):
            require(getattr(self, name) >= 1, f"landmarks.{name}", getattr(self, name), "at least 1")
        rate = 0 < self.learning_rate < math.inf
        require(rate, "landmarks.learning_rate", self.learning_rate, "a number above 0")
        require(0 <= self.weight_decay < math.inf, "landmarks.weight_decay", self.weight_decay, "0 or more")
