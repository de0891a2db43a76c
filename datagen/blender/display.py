"""Linear light to the 8 bits of a screen: background, exposure, view transform."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import PyOpenColorIO
from numpy.typing import NDArray

Array = NDArray[Any]

_LINEAR = "Linear Rec.709"


class Display:
    """Blender's own colour management, run on the composite.

    Blender would apply the view transform to a picture without its background. Here the background joins in
    linear light first, as a camera sees it, and edges blend without a halo.
    """

    def __init__(self, config: Path, view_transform: str, exposure_ev: float) -> None:
        """``config`` is Blender's ``config.ocio``; ``view_transform`` one of its sRGB views."""
        self._processor = _processor(str(config), view_transform)
        self._gain = np.float32(2.0**exposure_ev)

    def __call__(self, colour: Array, alpha: Array, background: Array) -> Array:
        """Premultiplied linear ``colour`` [H, W, 3] with ``alpha`` [H, W] over ``background`` [H, W, 3] or
        [3] -> uint8 [H, W, 3], sRGB."""
        composite = (colour + (1 - alpha[..., None]) * background) * self._gain
        pixels = np.ascontiguousarray(np.maximum(composite, 0), np.float32)
        self._processor.applyRGB(pixels)
        return to_bytes(pixels)


def to_bytes(values: Array) -> Array:
    """[0, 1] -> 0..255 rounded to nearest, uint8."""
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


@lru_cache
def _processor(config: str, view_transform: str) -> Any:
    transform = PyOpenColorIO.DisplayViewTransform(src=_LINEAR, display="sRGB", view=view_transform)
    return PyOpenColorIO.Config.CreateFromFile(config).getProcessor(transform).getDefaultCPUProcessor()
