"""What training an identity encoder can be told."""

from __future__ import annotations

import math
from dataclasses import dataclass

from manifests.errors import require


@dataclass(frozen=True)
class IdentitySettings:
    """Raises UserError for a value that cannot be."""

    size: int = 48
    """Of the crops, in pixels."""
    width: int = 24
    code_size: int = 64
    steps: int = 2000
    people: int = 64
    """Of a batch, each of whom is seen twice."""
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    most_faces: int = 60_000
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        require(16 <= self.size <= 256 and self.size % 8 == 0, "identity.size", self.size, "a multiple of 8, 16 to 256")
        require(4 <= self.width <= 256, "identity.width", self.width, "4 to 256")
        require(2 <= self.code_size <= 1024, "identity.code_size", self.code_size, "2 to 1024")
        require(self.people >= 2, "identity.people", self.people, "at least 2")
        for name in ("steps", "most_faces"):
            require(getattr(self, name) >= 1, f"identity.{name}", getattr(self, name), "at least 1")
        rates = 0 < self.learning_rate < math.inf
        require(rates, "identity.learning_rate", self.learning_rate, "a number above 0")
        require(0 <= self.weight_decay < math.inf, "identity.weight_decay", self.weight_decay, "0 or more")
