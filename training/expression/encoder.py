"""What every expression encoder does: the picture of a face to a code of its expression."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from datagen.heads.model import HeadModel
from manifests.clip import Motion
from training.expression.crop import crop_faces


class ExpressionEncoder(nn.Module, ABC):
    """Faces [N, 3, picture_size, picture_size] in [-1, 1], cut out by `crop.crop_faces`, to codes [N, code_size]."""

    code_size: int
    picture_size: int
    digest: str
    """SHA-256 of what it computes with; caches are keyed by it."""

    @torch.no_grad()
    def encode(self, faces: Tensor) -> Tensor:
        return self._encode(faces)

    @torch.no_grad()
    def read(self, video: Tensor, landmarks: Tensor) -> Tensor:
        """Codes [B, T, code_size] of the faces in a video [B, 3, T, H, W] in [-1, 1], found by landmarks [B, T, 70, 2]
        in pixels."""
        faces = crop_faces(video, landmarks, self.picture_size)
        return self.encode(faces.flatten(0, 1)).unflatten(0, faces.shape[:2])

    def encode_motion(self, motion: Motion, head: HeadModel) -> Tensor | None:
        """Codes [T, code_size] that faces of a motion have on average; None from an encoder that cannot tell. Raises
        UserError for a head whose expressions it was not trained on."""
        return None

    @abstractmethod
    def _encode(self, faces: Tensor) -> Tensor: ...
