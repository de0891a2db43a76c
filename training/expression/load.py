"""An expression encoder from its folder, whichever kind it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from manifests.errors import UserError
from training.expression.cnn import KIND, load_cnn
from training.expression.encoder import ExpressionEncoder
from training.folder import CONFIG, read_config

Loader = Callable[[Path, dict[str, Any]], ExpressionEncoder]
"""Takes the folder and what its config.json holds."""

_LOADERS: Final[dict[str, Loader]] = {KIND: load_cnn}


def register(kind: str, loader: Loader) -> None:
    """Let `load_encoder` read folders whose config.json says ``"kind": kind``."""
    _LOADERS[kind] = loader


def load_encoder(path: str | Path) -> ExpressionEncoder:
    """The encoder in a model folder, on the CPU and ready to be used.

    Raises UserError for a folder that holds none, one of an unknown kind, or a damaged one.
    """
    folder = Path(path)
    config = read_config(folder)
    kind = config.get("kind")
    loader = _LOADERS.get(kind) if isinstance(kind, str) else None
    if loader is None:
        raise UserError(
            f"{folder}: its {CONFIG} is of kind {str(kind)[:60]!r}, no expression encoder (known: "
            f"{', '.join(sorted(_LOADERS))}); give one made by `factorportrait train expression`"
        )
    return loader(folder, config).eval().requires_grad_(False)
