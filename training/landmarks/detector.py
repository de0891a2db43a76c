"""What every landmark detector does: a picture to the points of the face in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Detection:
    """The face in each of N pictures."""

    points: Tensor
    """[N, 70, 2] pixels: the iBUG 68 and two pupils, those that are hidden where they would be."""
    visible: Tensor
    """[N, 70] in [0, 1]: how surely each is seen."""
    found: Tensor
    """[N] in [0, 1]: how surely there is a face at all."""


class LandmarkDetector(nn.Module, ABC):
    """Finds the largest face of each picture [N, 3, H, W] in [-1, 1]."""

    licence: str
    """Of its weights: what may be done with what it finds may depend on it."""

    @torch.no_grad()
    def detect(self, pictures: Tensor, near: Tensor | None = None) -> Detection:
        """``near`` [N, 70, 2] are points of a like picture, as of the frame before: where to look first."""
        return self._detect(pictures, near)

    @abstractmethod
    def _detect(self, pictures: Tensor, near: Tensor | None) -> Detection: ...
