"""Which parameters of clips are plotted, on which fixed bins, and how clips are counted into them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_ROUNDING: Final = 1e-6
"""Of a bin."""


@dataclass(frozen=True)
class Axis:
    """A parameter and its bins: from `low` to `high`, each `step` wide."""

    title: str
    unit: str
    low: float
    high: float
    step: float
    columns: tuple[str, ...]
    """One column, or those of the least and the greatest value within the clip."""

    @property
    def bins(self) -> int:
        return round((self.high - self.low) / self.step)

    @property
    def is_range(self) -> bool:
        return len(self.columns) == 2

    def edge(self, number: int) -> float:
        return self.low + number * self.step

    def bins_of(self, low: Array, high: Array) -> tuple[Array, Array, Array]:
        """First and last bin [N] that each clip passes through, and which clips meet the axis at all."""
        begin, end = (np.nan_to_num((value - self.low) / self.step, nan=-1.0) for value in (low, high))
        meets = (end >= 0) & (begin <= self.bins) & (begin <= end)
        # Rounding must not move a value that lies on an edge, and a range that ends on one does not pass it.
        first = np.floor(np.clip(begin + _ROUNDING, 0, self.bins - 1)).astype(np.int64)
        last = np.ceil(np.clip(end - _ROUNDING, 1, self.bins)).astype(np.int64) - 1
        return first, np.maximum(first, last), meets


AXES: Final = {
    "camera_yaw_deg": Axis("Camera yaw", "°", -180, 180, 5, ("camera_yaw_deg_min", "camera_yaw_deg_max")),
    "camera_pitch_deg": Axis("Camera pitch", "°", -90, 90, 2.5, ("camera_pitch_deg_min", "camera_pitch_deg_max")),
    "camera_distance_m": Axis("Camera distance", "m", 0, 10, 0.1, ("camera_distance_m_min", "camera_distance_m_max")),
    "focal_length_mm": Axis("Focal length", "mm", 0, 400, 1, ("focal_length_mm",)),
    "head_yaw_deg": Axis("Head yaw", "°", -90, 90, 2.5, ("head_yaw_deg_min", "head_yaw_deg_max")),
    "head_pitch_deg": Axis("Head pitch", "°", -90, 90, 2.5, ("head_pitch_deg_min", "head_pitch_deg_max")),
    "expression_activity": Axis("Expression activity", "mean length", 0, 10, 0.02, ("expression_activity",)),
    "age_years": Axis("Age", "years", 0, 100, 1, ("age_years",)),
    "gender": Axis("Gender expression", "0 feminine, 1 masculine", 0, 1, 0.02, ("gender",)),
    "melanin": Axis("Skin tone", "melanin, 0 lightest", 0, 1, 0.01, ("melanin",)),
    "light_power_w": Axis("Light power", "W, all lights", 0, 2000, 2, ("light_power_w",)),
}
"""Angles and distances are those of `manifests.clip.ClipSummary`."""

MAPS: Final = (
    ("camera_yaw_deg", "camera_pitch_deg"),
    ("melanin", "light_power_w"),
    ("melanin", "age_years"),
    ("head_yaw_deg", "expression_activity"),
)
"""Pairs of axes, across and up, that are shown as a map."""


class Histogram:
    """How many clips pass through each bin of an axis."""

    def __init__(self, axis: Axis) -> None:
        self._steps = np.zeros(axis.bins + 1, np.int64)
        self.clips = 0
        self.beyond = 0
        """Clips that never meet the axis."""

    def add(self, first: Array, last: Array, meets: Array) -> None:
        size = len(self._steps)
        self._steps += np.bincount(first[meets], minlength=size) - np.bincount(last[meets] + 1, minlength=size)
        inside = int(np.count_nonzero(meets))
        self.clips += inside
        self.beyond += len(meets) - inside

    def counts(self) -> Array:
        """int64 [bins]."""
        return np.cumsum(self._steps)[:-1]


class Map:
    """How many clips pass through each cell of two axes: a clip covers the rectangle of its two ranges."""

    def __init__(self, across: Axis, up: Axis) -> None:
        self._steps = np.zeros((up.bins + 1, across.bins + 1), np.int64)

    def add(self, across: tuple[Array, Array, Array], up: tuple[Array, Array, Array]) -> None:
        meets = across[2] & up[2]
        left, right, bottom, top = across[0][meets], across[1][meets] + 1, up[0][meets], up[1][meets] + 1
        for x, y, sign in ((left, bottom, 1), (right, bottom, -1), (left, top, -1), (right, top, 1)):
            np.add.at(self._steps, (y, x), sign)

    def counts(self) -> Array:
        """int64 [bins up, bins across]."""
        return self._steps.cumsum(axis=0).cumsum(axis=1)[:-1, :-1]
