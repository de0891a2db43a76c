"""An expression encoder from its folder, whichever kind it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from training.expression.cnn import KIND, load_cnn
from training.expression.encoder import ExpressionEncoder
from training.expression.points import KIND as POINTS
from training.expression.points import load_points
from training.folder import plugged_in, read_config

Loader = Callable[[Path, dict[str, Any]], ExpressionEncoder]
"""Takes the folder and what its config.json holds."""

ENTRY_POINTS: Final = "factorportrait.expression_encoders"
"""Installed packages name their loaders in this group, each by the kind that its folders' config.json says. A folder
holds that file and tensors in .safetensors files; nothing else of it is copied beside a trained transformer."""


OWN: Final[dict[str, Loader]] = {KIND: load_cnn, POINTS: load_points}


def load_encoder(path: str | Path) -> ExpressionEncoder:
    """The encoder in a model folder, on the CPU and ready to be used.

    Raises UserError for a folder that holds none, one of an unknown kind, or a damaged one.
    """
    folder = Path(path)
    config = read_config(folder)
    loader: Loader = plugged_in(folder, config, OWN, ENTRY_POINTS, "expression encoder")
    return loader(folder, config).eval().requires_grad_(False)
