"""Ground truth of each frame and view, read off the posed mesh.

Labels describe the head's mesh: hair and glasses hide nothing in them but landmarks and segmentation.
Backgrounds are zero in every label; a depth of 0 means that the pixel sees no surface.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.geometry.cameras import project
from datagen.geometry.normals import shading_normals, vertex_normals
from datagen.geometry.posed import PosedClip
from datagen.geometry.raster import Hits, View
from datagen.geometry.regions import Regions
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
        self._classes = _SurfaceClasses(posed.surface, posed.regions)
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
        posed, last = self._posed, self._frame
        if last < 0 or not np.array_equal(posed.pose_vertices[frame], posed.pose_vertices[last]):
            self._pose_normals = vertex_normals(posed.pose_vertices[frame], posed.surface.faces)
        still = last >= 0 and np.array_equal(posed.vertices[frame], posed.vertices[last])
        if "normals" in self._wanted and not still:
            self._normals = vertex_normals(posed.vertices[frame], posed.surface.faces)
        self._frame = frame

    def _flow(self, hits: Hits, frame: int, view: int) -> Array:
        cameras, posed = self._clip.cameras, self._posed
        if frame + 1 == len(posed.vertices):
            return hits.picture(np.zeros((len(hits.face), 2), np.float32))
        later = hits.interpolate(posed.surface.faces, posed.vertices[frame + 1])
        target, _ = project(later, cameras.intrinsics[view, frame + 1], cameras.world_to_camera[view, frame + 1])
        rows, columns = np.nonzero(hits.mask)
        return hits.picture((target - np.stack([columns + 0.5, rows + 0.5], axis=-1)).astype(np.float32))


def face_classes(surface: Surface, regions: Regions) -> tuple[Array, Array]:
    """Of each face: its class uint8 [F], and whether a border runs through it, bool [F]: the class is then that of
    its first corner."""
    at_corners = (_fields(regions) > 0.5)[surface.faces]
    mixed = (at_corners != at_corners[:, :1]).any(axis=(1, 2))
    return _refine(surface.part, at_corners[:, 0]), mixed


def _fields(regions: Regions) -> Array:
    """float32 [Vs, 6], by `_LAYERS`."""
    return np.stack([getattr(regions, name) for name in _LAYERS], axis=-1)


def _landmarks(scene: View, points: Array, camera: tuple[Array, Array], hair: Array) -> tuple[Array, Array]:
    pixels, depth = project(points, *camera)
    height, width = hair.shape
    inside = (depth > 0) & (pixels >= 0).all(axis=-1) & (pixels < [width, height]).all(axis=-1)
    visible = np.flatnonzero(inside)
    column, row = pixels[visible].astype(int).T
    unhidden = scene.depth_at(pixels[visible]) > depth[visible] - LANDMARK_TOLERANCE_M
    inside[visible] = unhidden & (hair[row, column] <= 0.5)
    return pixels, inside


def _uv(hits: Hits, surface: Surface) -> Array:
    assert surface.uv is not None
    assert surface.uv_faces is not None
    return hits.picture(hits.interpolate(surface.uv_faces, surface.uv))


class _SurfaceClasses:
    """What class each point of the surface is: its part, refined by the regions."""

    def __init__(self, surface: Surface, regions: Regions) -> None:
        self._faces, self._part = surface.faces, surface.part
        self._fields = _fields(regions)
        self._class, self._mixed = face_classes(surface, regions)

    def segment(self, hits: Hits, alpha: Array, hair: Array) -> Array:
        """uint8 [H, W]: hair where it covers more than half, background where alpha is below half.

        A pixel that the person covers but whose centre misses the mesh takes a neighbour's class; where no
        neighbour leads to the mesh it is hair, which alone reaches so far.
        """
        classes = self._class[hits.face]
        mixed = np.flatnonzero(self._mixed[hits.face])
        face = hits.face[mixed]
        corners = self._fields[self._faces[face]]
        layers = np.einsum("nkc,nk->nc", corners, hits.barycentric[mixed]) > 0.5
        classes[mixed] = _refine(self._part[face], layers)
        out = hits.picture(classes)
        out[hair > 0.5] = SEGMENTATION_CLASSES.index("hair")
        covered = alpha >= 128
        out[~covered] = 0
        _spread(out, covered & (out == 0))
        out[covered & (out == 0)] = SEGMENTATION_CLASSES.index("hair")
        return out


def _refine(part: Array, layers: Array) -> Array:
    """Parts uint8 [N] and whether each layer bool [N, 6] is there -> classes uint8 [N]."""
    classes = _PART_CLASS[part]
    for name, there in zip(_LAYERS, layers.T, strict=True):
        on_skin = part == PARTS.index("skin")
        classes[there & (~on_skin if name == "iris" else on_skin)] = SEGMENTATION_CLASSES.index(name)
    return classes


def _spread(classes: Array, missing: Array) -> None:
    """Give ``missing`` pixels the class of a neighbour, in place, outward from those that have one."""
    row, column = np.nonzero(missing)
    bordered = np.pad(classes, 1)
    while len(row):
        around = np.stack([bordered[row + 1 + y, column + 1 + x] for y, x in _NEIGHBOURS])
        found = around[around.astype(bool).argmax(axis=0), np.arange(len(row))]
        known = found > 0
        if not known.any():
            break
        bordered[row[known] + 1, column[known] + 1] = found[known]
        row, column = row[~known], column[~known]
    classes[:] = bordered[1:-1, 1:-1]


_NEIGHBOURS = ((0, -1), (0, 1), (-1, 0), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))


_LAYERS = ("neck", "ears", "lips", "brows", "clothing", "iris")
"""Later ones lie over earlier ones."""

_PART_CLASS = np.array(
    [SEGMENTATION_CLASSES.index(name) for name in ("skin", "eye_white", "eye_white", "teeth", "tongue")], np.uint8
)
"""By index into PARTS."""
