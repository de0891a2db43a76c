"""Ground truth of each frame and view, read off the posed mesh.

Labels describe the head's mesh: hair and glasses hide nothing in them but landmarks and segmentation.
Backgrounds are zero in every label; a depth of 0 means that the pixel sees no surface.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from datagen.geometry.cameras import project
from datagen.geometry.posed import PosedClip
from datagen.geometry.raster import Hits, View, shading_normals, vertex_normals
from datagen.geometry.surface import Surface
from manifests.clip import Clip
from manifests.conventions import PARTS, SEGMENTATION_CLASSES
from manifests.errors import UserError

Array = NDArray[Any]

LANDMARK_TOLERANCE_M = 0.002
"""A landmark is seen when the nearest surface before it is no further in front of it than this."""


@dataclass(frozen=True)
class ViewLabels:
    """Labels of one picture; those that the clip does not ask for are None."""

    pose_normals: Array
    """float32 [H, W, 3]: unit, world space, of the posed head with a neutral face."""
    landmarks: Array
    """float32 [70, 2], pixels."""
    visible: Array
    """bool [70]: within the picture, and hidden neither by the mesh nor by hair."""
    depth: Array | None = None
    """float32 [H, W], metres along the optical axis."""
    normals: Array | None = None
    """float32 [H, W, 3]: unit, world space, with expression."""
    segmentation: Array | None = None
    """uint8 [H, W], indices into ``manifests.conventions.SEGMENTATION_CLASSES``."""
    uv: Array | None = None
    """float32 [H, W, 2], the head's texture coordinates."""
    flow: Array | None = None
    """float32 [H, W, 2], pixels from frame t to t+1 (right, down); zero in the last frame."""


class Labeller:
    """Labels of one clip. Ask in the order that frames are rendered: frames outside, views inside.

    Raises UserError when ``uv`` is asked of a head that has no texture coordinates.
    """

    def __init__(self, clip: Clip, posed: PosedClip) -> None:
        if "uv" in clip.spec.labels and posed.surface.uv is None:
            raise UserError(
                f"labels: uv cannot be made, head {clip.spec.head.name!r} has no texture coordinates; "
                "leave uv out of labels or use another head"
            )
        self._clip = clip
        self._posed = posed
        self._wanted = frozenset(clip.spec.labels)
        self._classes = _SurfaceClasses.of(posed)
        self._frame = -1
        self._pose_normals = self._normals = np.zeros((0, 3), np.float32)

    def label(self, frame: int, view: int, alpha: Array, hair: Array) -> ViewLabels:
        """Labels of one picture, given its coverage ``alpha`` uint8 [H, W] and its ``hair`` share [H, W]."""
        self._advance(frame)
        posed, cameras = self._posed, self._clip.cameras
        camera = cameras.intrinsics[view, frame], cameras.world_to_camera[view, frame]
        size = cameras.height, cameras.width
        faces = posed.surface.faces

        pose_hits = View(posed.pose_vertices[frame], faces, *camera).hits(*size)
        scene = View(posed.vertices[frame], faces, *camera)
        landmarks, visible = _landmarks(scene, posed.landmarks[frame], camera, hair)
        made: dict[str, Array] = {}
        if self._wanted:
            hits = scene.hits(*size)
            if "depth" in self._wanted:
                made["depth"] = hits.picture(hits.depth)
            if "normals" in self._wanted:
                made["normals"] = hits.picture(shading_normals(hits, faces, self._normals))
            if "segmentation" in self._wanted:
                made["segmentation"] = self._classes.segment(hits, alpha, hair)
            if "uv" in self._wanted:
                made["uv"] = _uv(hits, posed.surface)
            if "flow" in self._wanted:
                made["flow"] = self._flow(hits, frame, view)
        return ViewLabels(
            pose_normals=pose_hits.picture(shading_normals(pose_hits, faces, self._pose_normals)),
            landmarks=landmarks.astype(np.float32),
            visible=visible,
            **made,
        )

    def _advance(self, frame: int) -> None:
        if frame == self._frame:
            return
        faces = self._posed.surface.faces
        self._pose_normals = vertex_normals(self._posed.pose_vertices[frame], faces)
        if "normals" in self._wanted:
            self._normals = vertex_normals(self._posed.vertices[frame], faces)
        self._frame = frame

    def _flow(self, hits: Hits, frame: int, view: int) -> Array:
        cameras, posed = self._clip.cameras, self._posed
        if frame + 1 == len(posed.vertices):
            return hits.picture(np.zeros((len(hits.face), 2), np.float32))
        later = hits.interpolate(posed.surface.faces, posed.vertices[frame + 1])
        target, _ = project(later, cameras.intrinsics[view, frame + 1], cameras.world_to_camera[view, frame + 1])
        rows, columns = np.nonzero(hits.mask)
        return hits.picture((target - np.stack([columns + 0.5, rows + 0.5], axis=-1)).astype(np.float32))


def _landmarks(scene: View, points: Array, camera: tuple[Array, Array], hair: Array) -> tuple[Array, Array]:
    pixels, depth = project(points, *camera)
    height, width = hair.shape
    inside = (depth > 0) & (pixels >= 0).all(axis=-1) & (pixels < [width, height]).all(axis=-1)
    column, row = np.where(inside[:, None], pixels, 0).astype(int).T
    unhidden = scene.depth_at(pixels) > depth - LANDMARK_TOLERANCE_M
    return pixels, inside & unhidden & (hair[row, column] <= 0.5)


def _uv(hits: Hits, surface: Surface) -> Array:
    assert surface.uv is not None
    assert surface.uv_faces is not None
    return hits.picture(hits.interpolate(surface.uv_faces, surface.uv))


@dataclass(frozen=True)
class _SurfaceClasses:
    """What class a point of the surface is: its part, refined by the regions."""

    faces: Array
    part: Array
    fields: Array
    """float32 [Vs, 6], in the order of ``_LAYERS``."""

    @classmethod
    def of(cls, posed: PosedClip) -> _SurfaceClasses:
        fields = np.stack([getattr(posed.regions, name) for name in _LAYERS], axis=-1)
        return cls(posed.surface.faces, posed.surface.part, fields)

    def segment(self, hits: Hits, alpha: Array, hair: Array) -> Array:
        """uint8 [H, W]: hair where it covers more than half, background where alpha is below half.

        A pixel that the person covers but whose centre misses the mesh takes its nearest neighbour's class.
        """
        part = self.part[hits.face]
        classes = _PART_CLASS[part]
        layers = hits.interpolate(self.faces, self.fields) > 0.5
        for name, layer in zip(_LAYERS, layers.T, strict=True):
            on_eye = name == "iris"
            applies = layer & ((part != PARTS.index("skin")) if on_eye else (part == PARTS.index("skin")))
            classes[applies] = SEGMENTATION_CLASSES.index(name)
        out = hits.picture(classes)
        out[hair > 0.5] = SEGMENTATION_CLASSES.index("hair")
        covered = alpha >= 128
        if out.any() and (covered & (out == 0)).any():
            nearest = distance_transform_edt(out == 0, return_distances=False, return_indices=True)
            out = out[tuple(nearest)]
        return np.where(covered, out, 0).astype(np.uint8)


_LAYERS = ("neck", "ears", "lips", "brows", "clothing", "iris")
"""Later ones lie over earlier ones."""

_PART_CLASS = np.array(
    [SEGMENTATION_CLASSES.index(name) for name in ("skin", "eye_white", "eye_white", "teeth", "tongue")], np.uint8
)
"""By index into PARTS."""
