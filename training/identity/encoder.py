"""What every identity encoder does: a face to where its person lies among all people."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional


class IdentityEncoder(nn.Module, ABC):
    """Pictures [N, 3, H, W] in [-1, 1] with landmarks [N, 70, 2] in pixels to vectors [N, D] of length 1: those of one
    person are near each other, by their dot product."""

    licence: str
    """Of its weights."""

    @torch.no_grad()
    def embed(self, pictures: Tensor, landmarks: Tensor) -> Tensor:
        return functional.normalize(self._embed(pictures, landmarks), dim=1)

    @abstractmethod
    def _embed(self, pictures: Tensor, landmarks: Tensor) -> Tensor: ...
