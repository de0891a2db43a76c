"""What every expression encoder does: the picture of a face to a code of its expression."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class ExpressionEncoder(nn.Module, ABC):
    """Faces [N, 3, picture_size, picture_size] in [-1, 1], cut out by `crop.crop_faces`, to codes [N, code_size]."""

    code_size: int
    picture_size: int
    digest: str
    """SHA-256 of what it computes with; caches are keyed by it."""

    @torch.no_grad()
    def encode(self, faces: Tensor) -> Tensor:
        return self._encode(faces)

    @abstractmethod
    def _encode(self, faces: Tensor) -> Tensor: ...
