"""How far off tracking is on rendered clips, whose heads and cameras are known."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from datagen.geometry.cameras import focal_from_intrinsics
from datagen.heads.landmark_model import LandmarkModel
from datagen.heads.model import HeadModel, load_head, rotation_matrices
from datagen.heads.store import check_name
from manifests.clip import Motion
from manifests.errors import UserError
from training.data.clips import Clips, Window
from training.landmarks.detector import LandmarkDetector
from training.landmarks.portraits import square
from training.measures import Interval, mean_interval
from training.progress import Show, silent
from training.tracking.fit import FitSettings, fit_head
from training.tracking.track import find_faces

Array = NDArray[Any]

_LABELS: Final = {
    "rotation_deg": "head as the camera sees it, rotation (degrees)",
    "turn_deg": "the same, its change over a clip (degrees)",
    "detected_percent": "landmarks as found (% of the face's box)",
    "fitted_percent": "landmarks of the fitted head (% of the face's box)",
    "distance_percent": "camera's distance (%)",
    "focal_percent": "focal length (%)",
}


@dataclass(frozen=True)
class TrackReport:
    """Mean absolute errors over the views of clips, with their intervals."""

    corpus: str
    split: str
    views: int
    found: float
    """Share of frames in which the face was found."""
    focal_known: bool
    errors: dict[str, Interval]

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n"

    def to_markdown(self) -> str:
        told = "was told" if self.focal_known else "was fitted as well"
        lines = [
            f"{self.views} views of split {self.split}; a face found in {self.found:.1%} of the frames. The focal "
            f"length {told}. Mean and 95 % bootstrap interval over views.",
            "",
            "| error | mean |",
            "| --- | --- |",
        ]
        lines += [f"| {words} | {self.errors[name]} |" for name, words in _LABELS.items() if name in self.errors]
        return "\n".join(lines) + "\n"


def report_tracking(
    detector: LandmarkDetector,
    corpus: str,
    split: str = "test",
    *,
    clips: int = 24,
    focal_known: bool = False,
    progress: Show = silent,
) -> TrackReport:
    """Track every view of up to ``clips`` clips, evenly spread, and compare with what made them.

    A view whose camera moves is tracked like any other: what is compared is the head as the camera sees it. Views in
    which no face is found count among the frames alone. Raises UserError for a split without clips, heads that are not
    on this machine, or where no face is found at all.
    """
    if clips < 1:
        raise UserError(f"clips: {clips} given; give at least 1")
    source = Clips(corpus, split=split)
    rows: list[dict[str, float]] = []
    found: list[float] = []
    chosen = np.unique(np.linspace(0, len(source) - 1, clips).astype(int))
    for done, i in enumerate(chosen):
        info, motion = source.info(i), source.motion(i)
        head = _head(source.spec(i), info.key)
        whole = [(view, range(info.frames)) for view in range(info.views)]
        for window in source.windows(i, whole, members=("rgb",)):
            share, row = _compare(detector, head, motion, window, source.fps, focal_known)
            found.append(share)
            if row is not None:
                rows.append(row)
        progress(done + 1, len(chosen), f"{done + 1} of {len(chosen)} clips")
    if not rows:
        raise UserError(f"{corpus}: no face is found in {len(found)} views; train the detector on more, or longer")
    return TrackReport(
        corpus=corpus,
        split=split,
        views=len(found),
        found=float(np.mean(found)),
        focal_known=focal_known,
        errors={name: mean_interval([row[name] for row in rows]) for name in _LABELS if name in rows[0]},
    )


def _compare(
    detector: LandmarkDetector, head: HeadModel, motion: Motion, window: Window, fps: float, focal_known: bool
) -> tuple[float, dict[str, float] | None]:
    """Share of the frames in which the face was found, and the errors of one view; None where it was in none."""
    assert window.rgb is not None
    size = window.rgb.shape[1], window.rgb.shape[2]
    seen = find_faces(window.rgb, fps, detector)
    known = seen.found.numpy()
    if not known.any():
        return 0.0, None
    focal_mm = focal_from_intrinsics(window.intrinsics.mean(axis=0), size[1])
    settings = FitSettings(focal_length_mm=focal_mm, focal_spread=0) if focal_known else FitSettings()
    fit = fit_head(head, seen.points, seen.visible, seen.found, size, settings)
    truth, camera = rotation_matrices(motion.root) @ rotation_matrices(motion.neck), window.world_to_camera
    told = fit.world_to_camera[:3, :3] @ rotation_matrices(fit.motion.root)
    wanted = camera[:, :3, :3] @ truth
    off = told @ wanted.swapaxes(1, 2)
    depth = _depth(head, motion, camera)
    told_depth = _depth(head, fit.motion, np.repeat(fit.world_to_camera[None], len(camera), axis=0))
    box = square(torch.from_numpy(window.landmarks).float())[1].numpy()
    looked = window.visible & known[:, None]

    def missed(points: Array) -> float:
        distance = 100 * np.linalg.norm(points - window.landmarks, axis=-1) / box[:, None]
        return float(distance[looked].mean())

    row = {
        "rotation_deg": float(_angles(off)[known].mean()),
        "turn_deg": float(_angles(off @ off[np.flatnonzero(known)[0]].T)[known].mean()),
        "detected_percent": missed(seen.points.numpy()),
        "fitted_percent": missed(fit.points),
        "distance_percent": float(100 * np.abs(told_depth / depth - 1)[known].mean()),
    }
    if not focal_known:
        row["focal_percent"] = 100 * abs(fit.focal_length_mm / focal_mm - 1)
    return float(known.mean()), row


def _angles(rotations: Array) -> Array:
    """Degrees [T] by which [T, 3, 3] turn."""
    trace = np.trace(rotations, axis1=1, axis2=2)
    return np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1)))


def _depth(head: HeadModel, motion: Motion, world_to_camera: Array) -> Array:
    """Metres [T] from the camera to the middle of the face's landmarks, along the axis."""
    tracks = {name: torch.from_numpy(np.asarray(track, np.float32)) for name, track in vars(motion).items()}
    with torch.no_grad():
        middle = LandmarkModel(head)(**tracks).mean(dim=1).numpy()
    return np.einsum("tj,tj->t", world_to_camera[:, 2, :3], middle) + world_to_camera[:, 2, 3]


def _head(spec: dict[str, Any], key: str) -> HeadModel:
    try:
        name = str(spec["head"]["name"])
    except (KeyError, TypeError):
        raise UserError(f"{key}.spec.json: names no head; audit the corpus") from None
    check_name(name)
    return load_head(name)
