"""Landmarks in place of a learnt code: where the points of a face are in its upright crop, as principal components.

What many methods tell a model of an expression; here to compare the learnt encoder with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from manifests.conventions import LANDMARK_COUNT
from manifests.errors import UserError
from training.expression.crop import in_crop
from training.expression.encoder import ExpressionEncoder
from training.expression.faces import read_faces
from training.folder import CONFIG, check_config, check_place, digest, read_tensors, write_folder
from training.progress import Show, silent

KIND: Final = "landmarks-as-expression"
FORMAT: Final = 1
_LEAST_DEVIATION: Final = 1e-4
_CROP_PX: Final = 16
"""Faces are read from a corpus with their pictures; the smaller, the faster, for no pixel is looked at."""


class PointsEncoder(ExpressionEncoder):
    """Codes of unit variance on the faces they were fitted to, the most visible first."""

    components: Tensor
    mean: Tensor

    def __init__(self, components: Tensor, mean: Tensor) -> None:
        """components [code, 140], mean [140]."""
        super().__init__()
        self.code_size, self.picture_size = len(components), _CROP_PX
        self.register_buffer("components", components)
        self.register_buffer("mean", mean)
        self.digest = digest({"kind": KIND, "format": FORMAT}, self.state_dict())

    @torch.no_grad()
    def read(self, video: Tensor, landmarks: Tensor) -> Tensor:
        return self.codes(in_crop(landmarks.float(), landmarks.float()))

    def codes(self, points: Tensor) -> Tensor:
        """Of points [..., 70, 2] in the crop, -1 to 1 from edge to edge: [..., code]."""
        return (points.flatten(-2) - self.mean) @ self.components.T

    def _encode(self, faces: Tensor) -> Tensor:
        raise UserError("expression encoder: landmarks tell expressions, and a crop has none; call `read`")


def fit_points(
    corpus: str, out: str | Path, code_size: int = 32, most_faces: int = 20_000, seed: int = 0, progress: Show = silent
) -> PointsEncoder:
    """Fit to split ``train`` and write the folder ``out``. Raises UserError for a corpus without such people, more
    numbers than landmarks have, and a place that is taken."""
    if not 1 <= code_size <= 2 * LANDMARK_COUNT:
        raise UserError(f"expression.code_size: {code_size} given; landmarks have 1 to {2 * LANDMARK_COUNT} numbers")
    check_place(out)
    faces = read_faces(
        corpus, "train", _CROP_PX, most=most_faces, seed=seed,
        progress=lambda done, total: progress(done, total, f"reading faces, {done} of {total} clips"),
    )  # fmt: skip
    points = torch.from_numpy(faces.landmarks).double().flatten(1)
    mean = points.mean(dim=0)
    _, strength, directions = torch.linalg.svd(points - mean, full_matrices=False)
    deviation = (strength / len(points) ** 0.5).clamp_min(_LEAST_DEVIATION)[:code_size]
    encoder = PointsEncoder((directions[:code_size] / deviation[:, None]).float(), mean.float())
    write_folder(out, {"kind": KIND, "format": FORMAT}, encoder.state_dict())
    return encoder


def load_points(folder: Path, config: dict[str, Any]) -> PointsEncoder:
    """Raises UserError for a folder of another version, or a damaged one."""
    check_config(folder, config, FORMAT)
    tensors = read_tensors(folder)
    components, mean = tensors.get("components"), tensors.get("mean")
    size = 2 * LANDMARK_COUNT
    if components is None or mean is None or components.ndim != 2 or components.shape[1] != size or len(mean) != size:
        raise UserError(f"{folder}: its tensors and its {CONFIG} do not fit; take another copy of the model")
    return PointsEncoder(components, mean)
