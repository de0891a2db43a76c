"""MediaPipe's Face Mesh as a landmark detector: faces of real people, found by weights that others trained.

A folder whose config.json is ``{"kind": "mediapipe"}`` stands for it; the weights come with the package, which
``pip install 'factorportrait[mediapipe]'`` installs. Source: Kartynnik et al., "Real-time Facial Surface Geometry from
Monocular Video on Mobile GPUs", 2019, and Grishchenko et al., "Attention Mesh", 2020.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manifests.errors import UserError
from training.landmarks.detector import Detection, LandmarkDetector

KIND: Final = "mediapipe"
LICENCE: Final = "Apache-2.0; see MediaPipe's model card of Face Mesh for what it was made for"

JAW: Final = (127, 234, 93, 58, 172, 136, 149, 176, 152, 400, 378, 365, 397, 288, 323, 454, 356)
BROWS: Final = (46, 53, 52, 65, 55, 285, 295, 282, 283, 276)
NOSE: Final = (6, 197, 5, 4, 98, 97, 2, 326, 327)
EYES: Final = (33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380)
LIPS: Final = (61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91, 78, 81, 13, 311, 308, 402, 14, 178)
PUPILS: Final = (468, 473)
POINTS: Final = (*JAW, *BROWS, *NOSE, *EYES, *LIPS, *PUPILS)
"""Of the mesh's 478 vertices, those for the iBUG 68 points and the two pupils: the usual ones, and about brows, lips
and the ends of the jaw those beside them that lie nearer to the points of rendered heads."""

_MOST_FACES: Final = 4


class FaceMesh(LandmarkDetector):
    """Each picture by itself: ``near`` is not needed. All points count as seen, for it does not tell which are."""

    licence = LICENCE

    def __init__(self) -> None:
        super().__init__()
        self._graph = _solutions().face_mesh.FaceMesh(
            static_image_mode=True, max_num_faces=_MOST_FACES, refine_landmarks=True
        )

    def _detect(self, pictures: Tensor, near: Tensor | None) -> Detection:
        found = [self._mesh(picture) for picture in pictures.cpu()]
        points = torch.stack([torch.zeros(len(POINTS), 2) if each is None else each for each in found])
        sure = torch.tensor([each is not None for each in found], dtype=torch.float32)
        visible = sure[:, None].expand(-1, len(POINTS))
        return Detection(points.to(pictures), visible.to(pictures), sure.to(pictures))

    def _mesh(self, picture: Tensor) -> Tensor | None:
        """[70, 2] pixels of the largest face in a picture [3, H, W]; None where there is none."""
        pixels = ((picture.permute(1, 2, 0).clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy()
        faces = self._graph.process(np.ascontiguousarray(pixels)).multi_face_landmarks or []
        height, width = pixels.shape[:2]
        meshes = [np.array([(at.x * width, at.y * height) for at in face.landmark], np.float32) for face in faces]
        return torch.from_numpy(max(meshes, key=_area)[list(POINTS)]) if meshes else None


def load_face_mesh(_folder: Path, _config: dict[str, Any]) -> LandmarkDetector:
    """Raises UserError where MediaPipe is not installed, or is a later version without these weights."""
    return FaceMesh()


def _solutions() -> Any:
    os.environ.setdefault("GLOG_minloglevel", "2")  # it tells of every graph that it builds
    try:
        from mediapipe import solutions
    except ImportError:
        raise UserError("landmarks: kind mediapipe needs it; pip install 'factorportrait[mediapipe]'") from None
    return solutions


def _area(mesh: NDArray[np.float32]) -> float:
    width, height = mesh.max(axis=0) - mesh.min(axis=0)
    return float(width * height)
