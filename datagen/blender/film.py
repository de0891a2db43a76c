"""Cycles' picture as numpy: a multilayer EXR, written to memory and read back."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
from numpy.typing import NDArray

Array = NDArray[Any]


class Film:
    """One nameless file that Blender overwrites at each render.

    On Linux it lies in memory and vanishes with the process, even one that is killed. Elsewhere it is a
    temporary file. Use ``path`` as Blender's output path.
    """

    def __init__(self) -> None:
        if hasattr(os, "memfd_create"):
            self._descriptor = os.memfd_create("film")
            self.path = f"/proc/self/fd/{self._descriptor}"
        else:
            self._descriptor, self.path = tempfile.mkstemp(suffix=".exr")

    def close(self) -> None:
        os.close(self._descriptor)
        if not self.path.startswith("/proc/"):
            Path(self.path).unlink(missing_ok=True)

    def read(self, layer: str) -> Exposure:
        """What the last render wrote for the view layer ``layer``."""
        with OpenEXR.File(self.path, separate_channels=True) as file:
            channels = {
                name.removeprefix(f"{layer}."): channel.pixels
                for name, channel in file.channels().items()
                if name.startswith(f"{layer}.")
            }
            seconds = _seconds(file.header().get(f"cycles.{layer}.render_time", "0"))
        return Exposure(channels, seconds)


class Exposure:
    """The passes of one render as float32 arrays, top row first."""

    def __init__(self, channels: dict[str, Array], path_tracing_s: float) -> None:
        self._channels = channels
        self.path_tracing_s = path_tracing_s
        """Cycles' own count of path tracing and denoising, without scene update; 10 ms steps."""

    def stack(self, name: str, channels: str) -> Array:
        """``stack("Combined", "RGBA")`` -> [H, W, 4]. Raises KeyError for a pass that was not rendered."""
        return np.stack([np.asarray(self._channels[f"{name}.{c}"], np.float32) for c in channels], axis=-1)

    def value(self, name: str) -> Array:
        """A pass of one channel, [H, W], whatever its channel is called."""
        (key,) = (key for key in self._channels if re.fullmatch(rf"{re.escape(name)}\.[A-Z]", key))
        return np.asarray(self._channels[key], np.float32)


def _seconds(text: str) -> float:
    """Seconds of Blender's ``[hours:]minutes:seconds``."""
    total = 0.0
    for field in text.split(":"):
        total = 60 * total + float(field)
    return total
