"""Samples to what the transformer works on: latents to be generated, and their conditions."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from training.codec.codec import Codec
from training.conditioning import Conditions, camera_row, expression_row
from training.data.batch import Sample
from training.expression.encoder import ExpressionEncoder
from training.precision import full_precision
from training.regions import LossWeights


@dataclass(frozen=True)
class Encoded:
    """A batch of B as latents."""

    key: tuple[str, ...]
    latents: Tensor
    """[B, z, S, h, w]."""
    conditions: Conditions
    weight: Tensor
    """[B, 1, S, h, w]: how much each latent's error counts."""

    def to(self, device: torch.device | str) -> Encoded:
        return dataclasses.replace(
            self,
            latents=self.latents.to(device),
            conditions=self.conditions.to(device),
            weight=self.weight.to(device),
        )


class Encode:
    """The two frozen models that stand before the transformer. No module, so that no checkpoint holds them."""

    def __init__(self, codec: Codec, expression: ExpressionEncoder, weights: LossWeights | None = None) -> None:
        self.codec = codec.eval().requires_grad_(False)
        self.expression = expression.eval().requires_grad_(False)
        self.weights = weights or LossWeights()

    def to(self, device: torch.device | str) -> Encode:
        self.codec.to(device)
        self.expression.to(device)
        return self

    @torch.no_grad()
    def __call__(self, sample: Sample, driver: Sample | None = None) -> Encoded:
        """``driver`` is whose expressions are shown; the sample's own unless it is given. Autocast changes nothing."""
        with full_precision(sample.video.device):
            return self._encoded(sample, sample if driver is None else driver)

    def codes(self, video: Tensor, landmarks: Tensor) -> Tensor:
        """Expression codes [B, T, D] of the faces in a video [B, 3, T, H, W], found by landmarks [B, T, 70, 2]."""
        with full_precision(video.device):
            return self.expression.read(video, landmarks)

    def _encoded(self, sample: Sample, driver: Sample) -> Encoded:
        size = sample.video.shape[-2], sample.video.shape[-1]
        conditions = Conditions(
            reference=self.codec.encode(sample.reference[:, :, None])[:, :, 0],
            pose=self.codec.encode(sample.pose_normals),
            camera=camera_row(sample.intrinsics, sample.world_to_camera, size, self.codec),
            expression=expression_row(
                self.codes(driver.video, driver.landmarks),
                self.codes(sample.reference[:, :, None], sample.reference_landmarks[:, None])[:, 0],
                self.codec,
            ),
        )
        return Encoded(
            key=sample.key,
            latents=self.codec.encode(sample.video),
            conditions=conditions,
            weight=self.weights.weight_map(
                sample.alpha, sample.landmarks, self.codec.spatial_stride, self.codec.temporal_stride
            ),
        )
