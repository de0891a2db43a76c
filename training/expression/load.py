"""An expression encoder from its folder, whichever kind it is."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from manifests.errors import UserError
from training.expression.cnn import KIND, load_cnn
from training.expression.encoder import ExpressionEncoder
from training.folder import CONFIG, read_config

Loader = Callable[[Path, dict[str, Any]], ExpressionEncoder]
"""Takes the folder and what its config.json holds."""

ENTRY_POINTS: Final = "factorportrait.expression_encoders"
"""Installed packages name their loaders in this group, each by the kind that its folders' config.json says. A folder
holds that file and tensors in .safetensors files; nothing else of it is copied beside a trained transformer."""

_LOADERS: Final[dict[str, Loader]] = {KIND: load_cnn}


def load_encoder(path: str | Path) -> ExpressionEncoder:
    """The encoder in a model folder, on the CPU and ready to be used.

    Raises UserError for a folder that holds none, one of an unknown kind, or a damaged one.
    """
    folder = Path(path)
    config = read_config(folder)
    kind = config.get("kind")
    installed = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if isinstance(kind, str) and kind in _LOADERS:
        loader = _LOADERS[kind]
    elif isinstance(kind, str) and kind in installed:
        loader = installed[kind].load()
    else:
        raise UserError(
            f"{folder}: its {CONFIG} is of kind {str(kind)[:60]!r}, no expression encoder (known: "
            f"{', '.join(sorted({*_LOADERS, *installed}))}); give one made by `factorportrait train expression`, or "
            "install the package that its kind is from"
        )
    return loader(folder, config).eval().requires_grad_(False)
