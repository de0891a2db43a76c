"""Optimisers and their schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from manifests.errors import UserError, require


@dataclass(frozen=True)
class OptimiserSettings:
    """Raises UserError for values out of range."""

    name: Literal["adamw", "muon"] = "adamw"
    """``muon`` turns the steps of the blocks' matrices orthogonal and leaves the rest to AdamW (Jordan et al., "Muon",
    2024): fewer steps for a small model on one machine; matrices must not be sharded."""
    learning_rate: float = 1e-4
    """Of AdamW."""
    muon_learning_rate: float = 0.02
    weight_decay: float = 0.01
    """Of matrices; vectors do not decay."""
    betas: tuple[float, float] = (0.9, 0.95)
    expression_factor: float = 1.0
    """Times the learning rate for what the expression enters by."""
    warmup_steps: int = 100
    schedule: Literal["constant", "cosine"] = "constant"
    final_share: float = 0.05
    """Of the learning rate at the end of a cosine."""

    def __post_init__(self) -> None:
        for name in ("learning_rate", "muon_learning_rate", "expression_factor"):
            require(0 < getattr(self, name) < math.inf, f"optimiser.{name}", getattr(self, name), "a number above 0")
        for name in ("weight_decay", "warmup_steps"):
            require(0 <= getattr(self, name) < math.inf, f"optimiser.{name}", getattr(self, name), "0 or more")
        require(all(0 <= beta < 1 for beta in self.betas), "optimiser.betas", self.betas, "two from 0 to below 1")
        require(0 <= self.final_share <= 1, "optimiser.final_share", self.final_share, "a share from 0 to 1")


def make_optimiser(model: nn.Module, settings: OptimiserSettings) -> torch.optim.Optimizer:
    """The optimiser of a transformer's weights that take gradients."""
    named = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    orthogonal = {name for name, weight in named if settings.name == "muon" and _is_block_matrix(name, weight)}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, weight in named:
        if name not in orthogonal:
            factor = settings.expression_factor if "expression_embedder" in name else 1.0
            decay = settings.weight_decay if weight.ndim > 1 else 0.0
            groups.setdefault((settings.learning_rate * factor, decay), []).append(weight)
    adamw = torch.optim.AdamW(
        [{"params": weights, "lr": rate, "weight_decay": decay} for (rate, decay), weights in groups.items()],
        betas=settings.betas,
    )
    if not orthogonal:
        return adamw
    muon = torch.optim.Muon(
        [weight for name, weight in named if name in orthogonal],
        lr=settings.muon_learning_rate,
        weight_decay=settings.weight_decay,
    )
    return Together([muon, adamw])


def schedule(settings: OptimiserSettings, total_steps: int) -> Callable[[int], float]:
    """The factor of the learning rate at each step. Raises UserError for a cosine without an end."""
    if settings.schedule == "cosine" and total_steps < 1:
        raise UserError("optimiser.schedule: a cosine needs an end; set trainer.max_steps, or use constant")

    def factor(step: int) -> float:
        warm = min(1.0, (step + 1) / max(settings.warmup_steps, 1))
        if settings.schedule == "constant":
            return warm
        done = min(max(step - settings.warmup_steps, 0) / max(total_steps - settings.warmup_steps, 1), 1.0)
        return warm * (settings.final_share + (1 - settings.final_share) * 0.5 * (1 + math.cos(math.pi * done)))

    return factor


class Together(torch.optim.Optimizer):
    """Several optimisers of different weights, stepped as one."""

    def __init__(self, parts: Iterable[torch.optim.Optimizer]) -> None:
        self.parts = list(parts)
        super().__init__([group for part in self.parts for group in part.param_groups], {})
        self._share_groups()

    def _share_groups(self) -> None:
        """The parts read their learning rates from the groups that a schedule writes to."""
        start = 0
        for part in self.parts:
            part.param_groups = self.param_groups[start : start + len(part.param_groups)]
            start += len(part.param_groups)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def _is_block_matrix(name: str, weight: torch.Tensor) -> bool:
    return weight.ndim == 2 and ".blocks." in f".{name}"
