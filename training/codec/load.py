"""A codec from its folder, whichever kind it is."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from manifests.errors import UserError
from training.codec.codec import Codec
from training.codec.patches import KIND as PATCHES
from training.codec.patches import load_patches
from training.folder import CONFIG, read_config

SUBFOLDER: Final = "vae"
"""Where the whole model of a diffusers pipeline keeps its autoencoder."""


def load_codec(path: str | Path) -> Codec:
    """The codec in a model folder, on the CPU, ready to be used: one that `fit_codec` wrote, or Wan's autoencoder as
    diffusers keeps it (the folder itself, or that of a pipeline with a ``vae`` in it). Nothing is downloaded.

    Raises UserError for a folder that holds neither, or a damaged one.
    """
    folder = codec_folder(path)
    config = read_config(folder)
    if config.get("kind") == PATCHES:
        return load_patches(folder, config).eval()
    if config.get("_class_name") == "AutoencoderKLWan":
        from training.codec.wan import load_wan  # diffusers takes seconds to import

        return load_wan(folder, config).eval()
    seen = config.get("kind", config.get("_class_name", "of no kind"))
    raise UserError(
        f"{folder}: its {CONFIG} is {str(seen)[:60]!r}, no codec; give one made by `factorportrait train codec`, "
        "or the AutoencoderKLWan of a Wan model"
    )


def codec_folder(path: str | Path) -> Path:
    """Where the codec's own files lie."""
    folder = Path(path)
    inside = folder / SUBFOLDER
    return inside if not (folder / CONFIG).exists() and (inside / CONFIG).exists() else folder
