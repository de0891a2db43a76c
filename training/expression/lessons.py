"""What the network is taught: to tell expression from its code, and on the way where everything is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from training.expression.augment import augment, mirror
from training.expression.faces import Faces
from training.expression.network import FaceNetwork
from training.expression.settings import ExpressionSettings
from training.expression.targets import scales

_LEAST_SPREAD: Final = 0.02
"""Landmarks' standard deviations in a crop are at least this, so that none counts for much because it hardly moves."""

_POSE_DEG: Final = 30.0
_MEMORY: Final = 0.95


@dataclass(frozen=True)
class Batch:
    """Views of moments: V views of M moments are V M faces, all first views, then all second ones."""

    faces: Tensor
    """[V M, 3, size, size] in [-1, 1]."""
    targets: Tensor
    """[M, targets], scaled."""
    places: Tensor
    """[V M, 140 + 2]: landmarks in the crop and pose of the head, about unit variance."""


class Classroom:
    """Draws batches from the faces of the training people."""

    def __init__(self, faces: Faces, settings: ExpressionSettings) -> None:
        self.faces, self.settings = faces, settings
        targets = faces.face.targets
        values = torch.from_numpy(faces.targets)
        self.mean = values.mean(dim=0)
        self.scale = torch.from_numpy(scales(targets, faces.targets, settings.coefficients))
        found, signs = faces.face.mirror()
        self._targets = self.scaled(values)
        self._mirrored = self.scaled(values[:, torch.from_numpy(found)] * torch.from_numpy(signs))
        self._landmarks = torch.from_numpy(faces.landmarks)
        self._pose = torch.from_numpy(faces.pose) / _POSE_DEG
        self._middle = self._landmarks.mean(dim=0)
        self._spread = self._landmarks.std(dim=0).clamp_min(_LEAST_SPREAD)
        self._views = faces.views_of_moments()

    def scaled(self, targets: Tensor) -> Tensor:
        """Targets in metres [N, targets] on the scale on which their variances sum to 1."""
        return (targets - self.mean) * self.scale

    def batch(self, generator: torch.Generator) -> Batch:
        """Moments and views are drawn, some moments mirrored, and each face changed by itself."""
        settings, faces = self.settings, self.faces
        moments = torch.randint(len(self._views), (settings.moments,), generator=generator)
        columns = []
        for moment in moments.tolist():
            views = torch.from_numpy(self._views[moment])
            order = torch.randperm(len(views), generator=generator)
            columns.append(views[order.repeat(settings.views)[: settings.views]])
        rows = torch.stack(columns, dim=1).flatten()  # [V M]
        pictures, landmarks, pose = faces.pictures(rows.numpy()), self._landmarks[rows], self._pose[rows]
        shown = torch.from_numpy(faces.moment)[rows[: settings.moments]]
        targets = self._targets[shown]
        if settings.mirror:
            chosen = torch.rand(settings.moments, generator=generator) < 0.5
            targets = torch.where(chosen[:, None], self._mirrored[shown], targets)
            chosen = chosen.repeat(settings.views)
            pictures, landmarks = mirror(pictures, landmarks, chosen)
            pose = torch.where(chosen[:, None], pose * pose.new_tensor([-1, 1]), pose)
        pictures, landmarks = augment(pictures, landmarks, generator, settings.augmentation)
        places = torch.cat([((landmarks - self._middle) / self._spread).flatten(1), pose], dim=1)
        return Batch(pictures, targets, places)


@dataclass(frozen=True)
class Loss:
    total: Tensor
    unexplained: Tensor
    """Share of the targets' variance, see `targets.scales`."""


class Pupil(nn.Module):
    """The network with what hears it out; only the network is kept.

    Codes are normalised over a batch to mean 0 and unit variance, so that the invariance term cannot be met by
    shrinking them. The second lesson, landmarks and pose in the picture, is told from the features before the code:
    every face teaches it, so it finds the eyes and lips that few expressions alone do not show to a network. Last,
    codes must not go with the head's pose: the squared correlations of the two count, estimated over many batches.
    """

    pose_in_codes: Tensor

    def __init__(self, network: FaceNetwork, targets: int, places: int) -> None:
        super().__init__()
        self.network = network
        features, code_size = network.code.in_features, network.code.out_features
        self.normal = nn.BatchNorm1d(code_size, affine=False)
        self.targets = nn.Linear(code_size, targets)
        self.places = nn.Linear(features, places)
        self.register_buffer("pose_in_codes", torch.zeros(code_size, 5))
        for layer in (self.targets, self.places):
            nn.init.normal_(layer.weight, std=1e-3)
            nn.init.zeros_(layer.bias)

    def forward(self, batch: Batch, settings: ExpressionSettings) -> Loss:
        features = self.network.features(batch.faces)
        codes = self.normal(self.network.code(features))
        views = codes.view(settings.views, settings.moments, -1)
        told = self.targets(codes).view(settings.views, settings.moments, -1)
        unexplained = (told - batch.targets).square().sum(dim=-1).mean()
        places = (self.places(features) - batch.places).square().mean()
        total = unexplained + settings.places * places
        if settings.views > 1:
            total = total + settings.invariance * views.var(dim=0).mean()
        total = total + settings.independence * self.dependence(codes, batch.places[:, -2:])
        return Loss(total, unexplained.detach())

    def dependence(self, codes: Tensor, pose: Tensor) -> Tensor:
        """Mean over a code's numbers of their squared correlations with yaw, pitch and their products, summed.

        A batch alone would mostly show chance: the gradient is that of the square, at a running mean of the
        correlation.
        """
        yaw, pitch = pose.unbind(dim=1)
        turned = torch.stack([yaw, pitch, yaw * yaw, pitch * pitch, yaw * pitch], dim=1)
        turned = (turned - turned.mean(dim=0)) / turned.std(dim=0).clamp_min(1e-3)
        correlation = codes.T @ turned / len(codes)
        with torch.no_grad():
            self.pose_in_codes.lerp_(correlation, 1 - _MEMORY)
        return 2 * (self.pose_in_codes * correlation).sum() / len(correlation)
