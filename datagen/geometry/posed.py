"""One clip's surface in every frame: what the renderer draws and the labels are read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datagen.geometry.regions import Regions, make_regions
from datagen.geometry.surface import Surface, make_surface
from manifests.clip import Clip

if TYPE_CHECKING:
    from datagen.heads.model import HeadModel

Array = NDArray[Any]


@dataclass(frozen=True)
class PosedClip:
    """Vertices and landmarks in world metres over T frames."""

    surface: Surface
    rest: Array
    """float32 [Vs, 3]: the identity, neutral and unposed."""
    vertices: Array
    """float32 [T, Vs, 3]: pose and expression."""
    pose_vertices: Array
    """float32 [T, Vs, 3]: the same pose with a neutral face; what the pose normals show."""
    landmarks: Array
    """float32 [T, 70, 3], on ``vertices``."""
    rest_landmarks: Array
    """float32 [70, 3]."""
    head_to_world: Array
    """float64 [T, 4, 4], rigid: carries the rest cranium to the posed, expressionless one."""
    regions: Regions


def pose_clip(clip: Clip, head: HeadModel, surface: Surface | int) -> PosedClip:
    """Pose the clip's head in all its frames, on its ``surface`` or at that many levels of subdivision."""
    look = clip.spec.appearance
    surface = make_surface(head, surface) if isinstance(surface, int) else surface
    coarse_rest = head.rest(clip.motion.shape)
    coarse_pose = head.pose(clip.motion.without_expression())
    rest = surface.refine(coarse_rest)
    vertices = surface.refine(head.pose(clip.motion))
    rest_landmarks = surface.landmarks(rest)
    return PosedClip(
        surface=surface,
        rest=rest,
        vertices=vertices,
        pose_vertices=surface.refine(coarse_pose),
        landmarks=surface.landmarks(vertices),
        rest_landmarks=rest_landmarks,
        head_to_world=rigid_fit(coarse_rest[head.cranium], coarse_pose[:, head.cranium]),
        regions=make_regions(surface, rest, rest_landmarks, look.neckline_m, look.clothing),
    )


def rigid_fit(source: Array, target: Array) -> Array:
    """Rotation and translation [..., 4, 4] that carry points [N, 3] nearest to ``target`` [..., N, 3].

    Least squares; source: Kabsch, "A solution for the best rotation to relate two sets of vectors", 1976.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=-2)
    covariance = np.swapaxes(target - target_mean[..., None, :], -1, -2) @ (source - source_mean)
    left, _, right = np.linalg.svd(covariance)
    left[..., :, 2] *= np.sign(np.linalg.det(left @ right))[..., None]
    out = np.zeros((*target.shape[:-2], 4, 4))
    out[..., :3, :3] = left @ right
    out[..., :3, 3] = target_mean - out[..., :3, :3] @ source_mean
    out[..., 3, 3] = 1
    return out
