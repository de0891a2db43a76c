"""One video of one take, put to all measurements."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datagen.geometry.surface import Surface
from datagen.heads.model import HeadModel
from training.animation.camera_paths import CameraTrack
from training.encode import Encode
from training.evaluation.instruments import Instruments
from training.evaluation.metrics import rotation_error_deg, ssim, temporal_stability, view_consistency
from training.evaluation.readings import Judge, Reading, displacements
from training.evaluation.reproject import Sight
from training.evaluation.takes import Take, Truth, told_rotation
from training.measures import psnr, region_weights

Array = NDArray[Any]


@dataclass(frozen=True)
class Scene:
    """A take and the true surface that it shows: faces [F, 3], vertices [T, V, 3]."""

    take: Take
    faces: Array
    vertices: Array

    def sights(self, camera: CameraTrack) -> list[Sight]:
        """How each frame shows it."""
        parts = zip(self.vertices, camera.intrinsics, camera.world_to_camera, strict=True)
        return [Sight(*each) for each in parts]


def scene_of(take: Take, surface: Surface, head: HeadModel) -> Scene:
    """What a take truly shows."""
    return Scene(take, surface.faces, true_vertices(take, surface, head))


def true_vertices(take: Take, surface: Surface, head: HeadModel) -> Array:
    """[T, V, 3]: the portrait's person with the driver's pose and expression."""
    motion = dataclasses.replace(take.driver, shape=take.shot.face.shape)
    vertices: Array = surface.refine(head.pose(motion))
    return vertices


@dataclass(frozen=True)
class Measure:
    """Measures the videos of one evaluation."""

    head: HeadModel
    encode: Encode
    instruments: Instruments
    fps: float
    apart: float
    """Mean distance of codes between one driver and the next."""
    moved_m: float
    """Mean by which drivers' landmarks are moved from neutral."""

    def __call__(self, scene: Scene, video: Tensor, other: Tensor | None) -> dict[str, float]:
        """Each metric that can be measured, of a video [3, T, H, W] in [-1, 1], and the same moments from the take's
        other camera."""
        take = scene.take
        values = {} if take.truth is None else self.against_truth(video, take.truth)
        sights = scene.sights(take.shot.camera)
        values["temporal"] = temporal_stability(video, sights, scene.faces)
        if other is not None and take.other_camera is not None:
            others = scene.sights(take.other_camera)
            values["view_consistency"] = view_consistency(video, other, sights, others, scene.faces)
        reading = self._reading(video, take, take.shot.camera)
        if reading is None:
            return values
        values |= self._read(take, reading)
        if self.instruments.identity is not None:
            values["identity"] = self._likeness(video, take, reading)
        if other is not None and take.other_camera is not None:
            second = self._reading(other, take, take.other_camera)
            if second is not None:
                values["camera_deg"] = _camera_error(take, reading, second)
        return values

    def against_truth(self, video: Tensor, truth: Truth) -> dict[str, float]:
        """What compares a video pixel by pixel with the rendered one."""
        weights = region_weights(truth.alpha[None], truth.landmarks[None])
        values = {
            "psnr": float(psnr(video[None], truth.video[None], weights["foreground"])),
            "psnr_mouth_eyes": float(psnr(video[None], truth.video[None], weights["mouth_eyes"])),
            "ssim": ssim(video, truth.video),
        }
        if self.instruments.lpips is not None:
            ours, theirs = (x.transpose(0, 1).to(self.instruments.device) for x in (video, truth.video))
            values["lpips"] = float(self.instruments.lpips(ours, theirs).mean())
        return values

    def _reading(self, video: Tensor, take: Take, camera: CameraTrack) -> Reading | None:
        if self.instruments.detector is None:
            return None
        judge = Judge(self.encode, self.instruments.detector, self.head)
        return judge.read(video, camera.intrinsics, self.fps, take.shot.face.shape)

    def _read(self, take: Take, reading: Reading) -> dict[str, float]:
        found = reading.found
        codes = take.shot.codes()[torch.from_numpy(found)]
        distance = float((reading.codes[torch.from_numpy(found)] - codes).norm(dim=1).mean())
        wanted = displacements(self.head, take.driver)[found]
        moved = reading.displacements[found]
        return {
            "expression": distance / self.apart if self.apart else math.nan,
            "expression_landmarks": float(np.linalg.norm(moved - wanted, axis=-1).mean() / max(self.moved_m, 1e-6)),
            "head_pose_deg": rotation_error_deg(reading.head_in_camera[found], take.head_in_camera()[found]),
        }

    def _likeness(self, video: Tensor, take: Take, reading: Reading) -> float:
        identity, device = self.instruments.identity, self.instruments.device
        assert identity is not None
        found, face = torch.from_numpy(reading.found), take.shot.face
        frames = video.transpose(0, 1)[found]
        own = identity.embed(face.picture[None].to(device), face.landmarks[None].to(device))
        return float((identity.embed(frames.to(device), reading.points[found].to(device)) @ own[0]).mean())


def _camera_error(take: Take, reading: Reading, second: Reading) -> float:
    """NaN where no frame shows a face to both cameras."""
    assert take.other_camera is not None
    both = reading.found & second.found
    between = second.head_in_camera @ reading.head_in_camera.swapaxes(1, 2)
    told = told_rotation(take.shot, take.other_camera) @ take.head_in_camera().swapaxes(1, 2)
    return rotation_error_deg(between[both], told[both]) if both.any() else math.nan
