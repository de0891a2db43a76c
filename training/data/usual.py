"""Where a corpus's cameras usually stand: what a camera is by default for who does not say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc

from datagen.geometry.cameras import SENSOR_WIDTH_MM
from manifests.reader import CorpusReader
from manifests.table import OK

_MOST: Final = 95
"""Percentile: what a clip in twenty has is no rule."""


@dataclass(frozen=True)
class UsualCameras:
    """Of the clips of a split. Angles are about the head's centre; 0, 0 is in front of it."""

    focal: float
    """Focal length in widths of the picture; the median."""
    distance_m: float
    """From the head's centre; the median."""
    yaw_deg: float
    """To either side."""
    pitch_low_deg: float
    pitch_high_deg: float


def usual_cameras(corpus: str, split: str | None = None) -> UsualCameras:
    """Read from the manifest. Raises UserError as `CorpusReader`."""
    names = (
        "focal_length_mm", "camera_distance_m_min", "camera_distance_m_max", "camera_yaw_deg_min", "camera_yaw_deg_max",
        "camera_pitch_deg_min", "camera_pitch_deg_max",
    )  # fmt: skip
    found: list[Any] = []
    for batch in CorpusReader(corpus).batches(["status", "split", *names]):
        kept = pc.equal(batch["status"], OK)
        if split is not None:
            kept = pc.and_(kept, pc.equal(batch["split"], split))
        sound = batch.filter(pc.fill_null(kept, False))
        found.append(np.stack([np.asarray(sound[name], np.float64) for name in names], axis=1))
    focal, nearest, farthest, left, right, low, high = np.concatenate(found).T
    return UsualCameras(
        focal=float(np.median(focal)) / SENSOR_WIDTH_MM,
        distance_m=float(np.median((nearest + farthest) / 2)),
        yaw_deg=float(np.percentile(np.maximum(abs(left), abs(right)), _MOST)),
        pitch_low_deg=float(np.percentile(low, 100 - _MOST)),
        pitch_high_deg=float(np.percentile(high, _MOST)),
    )
