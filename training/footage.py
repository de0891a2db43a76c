"""What a model was trained on, as far as whoever animates with it has to know."""

from __future__ import annotations

import numbers
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from datagen.geometry.cameras import camera_centre
from training.data.clips import Clips
from training.data.usual import usual_cameras

Array = NDArray[Any]

_FEW: Final = 16
_LARGEST: Final = 1e6


@dataclass(frozen=True)
class Footage:
    """Videos of a corpus, and the heads and cameras that are usual in it. What is not known is 0 or empty."""

    frames: int = 1
    """Of a window."""
    step: int = 1
    """Frames of the clip from one of a window to the next."""
    fps: float = 0.0
    """Of a window, so of every ``step``-th frame."""
    height: int = 0
    width: int = 0
    head: str = ""
    """Name of the head model whose mesh the normal maps show."""
    head_sha256: str = ""
    subdivision: int = 0
    """Of that mesh."""
    focal: float = 0.0
    """Focal length in widths of the picture."""
    distance_m: float = 0.0
    """Of cameras from the head's centre."""
    aim_height_m: float = 0.0
    """Above the head's centre, where they look."""
    yaw_deg: float = 0.0
    """Of cameras about the head, to either side."""
    pitch_low_deg: float = 0.0
    pitch_high_deg: float = 0.0

    def __post_init__(self) -> None:
        """Raises TypeError for what is none, as a damaged model's may be."""
        for field in fields(self):
            value = getattr(self, field.name)
            kind = {"int": numbers.Integral, "str": str, "float": numbers.Real}[str(field.type)]
            if not isinstance(value, kind) or isinstance(value, bool):
                raise TypeError(f"footage: {field.name} is {str(value)[:40]!r}")
            if isinstance(value, numbers.Real) and not abs(value) < _LARGEST:
                raise TypeError(f"footage: {field.name} is {value}")
        if min(self.frames, self.step) < 1 or min(self.fps, self.height, self.width, self.focal, self.distance_m) < 0:
            raise TypeError("footage: less than nothing")


def describe(corpus: str, clips: Clips, frames: int, step: int) -> Footage:
    """Of windows of clips of split train. The first clip speaks for the head; raises UserError if it is damaged."""
    spec, (height, width), usual = clips.spec(0), clips.resolution, usual_cameras(corpus, "train")
    head, render = spec.get("head"), spec.get("render")
    centre = head.get("head_centre") if isinstance(head, dict) else None
    return Footage(
        frames=frames,
        step=step,
        fps=clips.fps / step,
        height=height,
        width=width,
        head=str(head.get("name", "")) if isinstance(head, dict) else "",
        head_sha256=str(head.get("sha256", "")) if isinstance(head, dict) else "",
        subdivision=int(render.get("subdivision", 0)) if isinstance(render, dict) else 0,
        aim_height_m=0.0 if centre is None else _aim_height(clips, np.asarray(centre, np.float64)),
        **vars(usual),
    )


def _aim_height(clips: Clips, centre: Array) -> float:
    """Mean height above ``centre`` [3] of the points nearest to it on the cameras' axes, in a few clips."""
    heights = []
    for i in range(min(len(clips), _FEW)):
        info = clips.info(i)
        for window in clips.windows(i, [(view, range(info.frames)) for view in range(info.views)], members=()):
            eye, ahead = camera_centre(window.world_to_camera), window.world_to_camera[:, 2, :3]
            nearest = eye + np.einsum("ti,ti->t", centre - eye, ahead)[:, None] * ahead
            heights.append(nearest[:, 1] - centre[1])
    return float(np.concatenate(heights).mean())
