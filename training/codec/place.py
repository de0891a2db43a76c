"""Whether a model may be written somewhere, asked before hours are spent on it."""

from __future__ import annotations

from pathlib import Path

from manifests.errors import UserError
from training.folder import CONFIG


def check_place(folder: Path) -> None:
    """Raises UserError when the place is taken by something that is no model folder."""
    if folder.exists() and not (folder / CONFIG).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: is there already and no model folder; name another place, or move it away")
