"""The detector that is trained on a corpus: `LandmarkNetwork` in a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from training.folder import check_config, digest, load_weights, read_tensors, write_folder
from training.landmarks.detector import Detection, LandmarkDetector
from training.landmarks.network import LandmarkNetwork, Told
from training.landmarks.portraits import cut_out, square, turned_back

KIND: Final = "landmarks"
FORMAT: Final = 1
_SIZES: Final = {"width": range(4, 257), "picture_size": range(32, 257, 8)}
_LOOK: Final = 1.5
"""Edge of what is looked at again, in edges of the box of the points that were found."""
_LOOKS: Final = 2
_SURE: Final = 0.5
_TILES: Final = (1, 2, 4)
"""A picture in whose whole no face is found is looked at in so many parts along its shorter edge, half overlapping."""
_MOST_TILES: Final = 64


class CnnDetector(LandmarkDetector):
    """Looks at the whole picture, or at parts of it where a face is too small in that, then again at the face alone,
    upright."""

    licence = "as the corpus it was trained on"

    def __init__(self, network: LandmarkNetwork, width: int, picture_size: int) -> None:
        super().__init__()
        self.network, self.width, self.picture_size = network, width, picture_size
        self.digest = digest(self.config(), network.state_dict())

    def config(self) -> dict[str, Any]:
        return {"kind": KIND, "format": FORMAT, "width": self.width, "picture_size": self.picture_size}

    def _detect(self, pictures: Tensor, near: Tensor | None) -> Detection:
        if near is None:
            detection = self._searched(pictures)
        else:
            detection = Detection(near, torch.ones_like(near[..., 0]), torch.ones(len(near), device=near.device))
        for _ in range(_LOOKS):
            centre, edge = square(detection.points)
            detection = self._looked(pictures, centre, edge * _LOOK, _tilt(detection.points))
        return detection

    def _searched(self, pictures: Tensor) -> Detection:
        """The surest of the parts of each picture, the largest that will do."""
        best: Detection | None = None
        for tiles in _TILES:
            if best is not None and bool((best.found > _SURE).all()):
                break
            for centre, edge in _parts(pictures.shape[-2], pictures.shape[-1], tiles):
                at = pictures.new_tensor(centre).expand(len(pictures), 2)
                seen = self._looked(
                    pictures, at, pictures.new_full((len(pictures),), edge), pictures.new_zeros(len(pictures))
                )
                best = seen if best is None else _surer(best, seen)
        assert best is not None
        return best

    def _looked(self, pictures: Tensor, centre: Tensor, edge: Tensor, turn: Tensor) -> Detection:
        cut = cut_out(pictures + 1, centre, edge, turn, self.picture_size) - 1
        told: Told = self.network(cut)
        points = turned_back(told.points, centre, edge, turn)
        return Detection(points, told.visible.sigmoid(), told.found.sigmoid())


def save_cnn(detector: CnnDetector, folder: str | Path) -> None:
    """Raises UserError when the place is taken by something that is no model folder."""
    write_folder(folder, detector.config(), detector.network.state_dict())


def load_cnn(folder: Path, config: dict[str, Any]) -> CnnDetector:
    """Raises UserError for a folder of another version, or a damaged one."""
    check_config(folder, config, FORMAT, _SIZES)
    network = LandmarkNetwork(config["width"])
    load_weights(network, read_tensors(folder), folder)
    return CnnDetector(network.eval(), config["width"], config["picture_size"])


def _tilt(points: Tensor) -> Tensor:
    """Radians [N] by which the line through the eyes is turned clockwise."""
    across = points[:, 42:48].mean(dim=1) - points[:, 36:42].mean(dim=1)
    return torch.atan2(across[:, 1], across[:, 0].abs().clamp_min(1e-6))


def _parts(height: int, width: int, tiles: int) -> list[tuple[tuple[float, float], float]]:
    """Centres and edge of squares that cover a picture; one about all of it where ``tiles`` is 1."""
    if tiles == 1:
        return [((width / 2, height / 2), float(max(height, width)))]
    edge = min(height, width) / tiles * 1.5
    places = []
    for length in (width, height):
        count = max(1, round(length / edge * 2) - 1)
        places.append([edge / 2 + (length - edge) * k / max(count - 1, 1) for k in range(count)])
    return [((x, y), edge) for y in places[1] for x in places[0]][:_MOST_TILES]


def _surer(a: Detection, b: Detection) -> Detection:
    """Of two of each picture, the one that is surer of a face."""
    better = b.found > a.found
    return Detection(
        torch.where(better[:, None, None], b.points, a.points),
        torch.where(better[:, None], b.visible, a.visible),
        torch.where(better, b.found, a.found),
    )
