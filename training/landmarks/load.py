"""A landmark detector from its folder, whichever kind it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from training.folder import plugged_in, read_config
from training.landmarks import face_mesh
from training.landmarks.cnn import KIND, load_cnn
from training.landmarks.detector import LandmarkDetector

Loader = Callable[[Path, dict[str, Any]], LandmarkDetector]
"""Takes the folder and what its config.json holds."""

ENTRY_POINTS: Final = "factorportrait.landmark_detectors"
"""Installed packages name their loaders in this group, each by the kind that its folders' config.json says. A folder
holds that file and tensors in .safetensors files; nothing else of it is copied beside a trained transformer."""

_OWN: Final[dict[str, Loader]] = {KIND: load_cnn, face_mesh.KIND: face_mesh.load_face_mesh}


def load_detector(path: str | Path) -> LandmarkDetector:
    """The detector in a model folder, on the CPU and ready to be used.

    Raises UserError for a folder that holds none, one of an unknown kind, or a damaged one.
    """
    folder = Path(path)
    config = read_config(folder)
    loader: Loader = plugged_in(folder, config, _OWN, ENTRY_POINTS, "landmark detector")
    return loader(folder, config).eval().requires_grad_(False)
