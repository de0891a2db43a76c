"""What a judge reads from a video: expression, head pose and place of the face, with no look at what made it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datagen.geometry.cameras import focal_from_intrinsics
from datagen.heads.landmark_model import LandmarkModel
from datagen.heads.model import HeadModel, rotation_matrices
from manifests.clip import Motion
from training.animation.material import codes_of
from training.encode import Encode
from training.landmarks.detector import LandmarkDetector
from training.sheets import as_pictures
from training.tracking.fit import FitSettings, fit_head
from training.tracking.track import find_faces

Array = NDArray[Any]

_EXPRESSION = 0.01
"""Weight of the prior: less than where the person is unknown, and the prior has to tell them apart."""


@dataclass(frozen=True)
class Reading:
    """Of a video of T frames."""

    points: Tensor
    """[T, 70, 2] pixels: found, or carried over where no face was."""
    codes: Tensor
    """[T, D]: what the expression encoder says."""
    head_in_camera: Array
    """[T, 3, 3]: the head's rotation as the camera sees it."""
    displacements: Array
    """float32 [T, 70, 3] metres: landmarks' from neutral, of the mean head."""
    found: Array
    """bool [T]."""


@dataclass(frozen=True)
class Judge:
    """The models that read."""

    encode: Encode
    detector: LandmarkDetector
    head: HeadModel

    def read(self, video: Tensor, intrinsics: Array, fps: float, shape: Array) -> Reading | None:
        """Of a video [3, T, H, W] in [-1, 1] whose cameras' intrinsics [T, 3, 3] are known, and whose person's
        ``shape`` [S]: without it a face's form and its expression are hard to tell apart. None where no frame shows a
        face."""
        pictures = as_pictures(video)
        seen = find_faces(pictures, fps, self.detector)
        if not bool(seen.found.any()):
            return None
        size = pictures.shape[1], pictures.shape[2]
        focal_mm = focal_from_intrinsics(intrinsics.mean(axis=0), size[1])
        settings = FitSettings(focal_mm, focal_spread=0, expression=_EXPRESSION)
        fit = fit_head(self.head, seen.points, seen.visible, seen.found, size, settings, shape=shape)
        points = torch.where(seen.found[:, None, None], seen.points, torch.from_numpy(fit.points))
        return Reading(
            points=points,
            codes=codes_of(self.encode, pictures, points),
            head_in_camera=fit.world_to_camera[:3, :3] @ rotation_matrices(fit.motion.root),
            displacements=displacements(self.head, fit.motion),
            found=seen.found.numpy(),
        )


def displacements(head: HeadModel, motion: Motion) -> Array:
    """float32 [T, 70, 3] metres by which the landmarks of the mean head are moved by a motion's expression, jaw and
    eyes."""
    still = torch.zeros(motion.frames, 3)
    moved = {name: torch.from_numpy(getattr(motion, name)).float() for name in ("jaw", "left_eye", "right_eye")}
    model, nobody = LandmarkModel(head), torch.zeros(1)
    with torch.no_grad():
        shown = model(
            nobody, torch.from_numpy(motion.expression).float(), root=still, neck=still, translation=still, **moved
        )
    return np.asarray((shown - model.mean()).numpy(), np.float32)
