"""One clip looked at before a corpus is paid for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from datagen.config import load_config
from datagen.pipeline import Pipeline
from manifests.contact_sheet import clip_sheet
from manifests.errors import UserError


def preview(corpus: str, clip: int, file: str, *, overrides: Mapping[str, str] | None = None) -> str:
    """Render clip `clip` of a configuration and draw its views, frames and labels into a PNG file.

    Returns the file's path. Raises UserError for what the user can mend.
    """
    path = Path(file)
    if path.suffix.lower() != ".png":
        raise UserError(f"--out {file}: the sheet is a PNG; give a name that ends in .png")
    if not path.parent.is_dir():
        raise UserError(f"--out {file}: there is no folder {path.parent}; make it first")
    config = load_config(corpus, overrides)
    if not 0 <= clip < config.clips:
        raise UserError(f"--clip {clip}: the corpus has clips 0 to {config.clips - 1}")
    sheet = clip_sheet(Pipeline(config.to_json()).members(clip))
    try:
        sheet.save(path)
    except OSError as error:
        raise UserError(f"--out {file}: cannot be written ({error.strerror}); choose another place") from error
    return str(path)
