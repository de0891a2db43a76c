"""How far off a detector is on people it has not seen, by how far they are turned; with a sheet."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from manifests.errors import UserError
from manifests.pictures import PAPER
from training.data.clips import Clips
from training.expression.faces import seen_pose
from training.landmarks.detector import Detection, LandmarkDetector
from training.landmarks.portraits import square
from training.progress import Show, silent
from training.sheets import enlargement

Array = NDArray[Any]

_BINS_DEG: Final = ((0, 30), (30, 60), (60, 90), (90, 181))
_SURE: Final = 0.5
_SHOWN: Final = 24
_COLUMNS: Final = 8
_SEEN, _HIDDEN = (90, 220, 120), (240, 140, 60)


@dataclass(frozen=True)
class Errors:
    """Of the points of some faces. Shares are of the edge of the square about a face's true points, in percent."""

    faces: int
    seen_percent: float | None
    """Mean error of the points that are seen."""
    hidden_percent: float | None
    p95_percent: float | None
    """95 % of the seen points are nearer than this."""
    pixels: float | None
    """Mean error of the seen ones."""
    visibility: float | None
    """Share of points of which it is told rightly whether they are seen."""


@dataclass(frozen=True)
class LandmarkReport:
    """On one split of a corpus."""

    corpus: str
    split: str
    people: int
    found: float
    """Share of the faces that were found."""
    false_alarms: float
    """Share of pictures without a face in which one was found."""
    overall: Errors
    by_yaw: dict[str, Errors]

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n"

    def to_markdown(self) -> str:
        lines = [
            f"{self.overall.faces} faces of {self.people} people; {self.found:.1%} found, and a face in "
            f"{self.false_alarms:.1%} of as many pictures that show none. Errors in percent of the face's box.",
            "",
            "| turned from the camera | faces | seen | 95 % within | seen, pixels | hidden | visibility right |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        for name, errors in {"all": self.overall, **self.by_yaw}.items():
            numbers = (errors.seen_percent, errors.p95_percent, errors.pixels, errors.hidden_percent)
            right = "" if errors.visibility is None else f"{errors.visibility:.1%}"
            shown = " | ".join("" if number is None else f"{number:.2f}" for number in numbers)
            lines.append(f"| {name} | {errors.faces} | {shown} | {right} |")
        return "\n".join(lines) + "\n"


def report_landmarks(
    detector: LandmarkDetector, corpus: str, split: str = "test", *, clips: int = 200, progress: Show = silent
) -> tuple[LandmarkReport, Image.Image]:
    """Every view's middle frame of up to ``clips`` clips, evenly spread, and a sheet of the points found in some.

    Pictures without a face are the same with the person taken out. Raises UserError for a split without clips.
    """
    if clips < 1:
        raise UserError(f"clips: {clips} given; give at least 1")
    source = Clips(corpus, split=split)
    chosen = np.unique(np.linspace(0, len(source) - 1, clips).astype(int))
    found: list[Detection] = []
    alarms: list[Tensor] = []
    rows: list[dict[str, Array]] = []
    sheet: list[Array] = []
    device = next((weight.device for weight in detector.parameters()), torch.device("cpu"))
    for done, i in enumerate(chosen):
        info, motion = source.info(i), source.motion(i)
        middle = info.frames // 2
        windows = source.windows(
            i, [(view, range(middle, middle + 1)) for view in range(info.views)], members=("rgb", "alpha")
        )
        for window in windows:
            assert window.rgb is not None
            assert window.alpha is not None
            empty = window.rgb * (1 - window.alpha[..., None] / 255)
            pair = torch.from_numpy(np.concatenate([window.rgb, empty]).transpose(0, 3, 1, 2)).float() / 127.5 - 1
            seen = detector.detect(pair.to(device))
            told = Detection(seen.points[:1].cpu(), seen.visible[:1].cpu(), seen.found[:1].cpu())
            found.append(told)
            alarms.append(seen.found[1:].cpu())
            pose = seen_pose(motion.at([middle]), window.world_to_camera)
            rows.append({"points": window.landmarks, "visible": window.visible, "yaw": pose[:, 0]})
            if len(sheet) < _SHOWN:
                sheet.append(draw_points(window.rgb[0], told.points[0].numpy(), told.visible[0].numpy()))
        progress(done + 1, len(chosen), f"{done + 1} of {len(chosen)} clips")
    truth, visible, yaw = (np.concatenate([row[name] for row in rows]) for name in ("points", "visible", "yaw"))
    points = torch.cat([each.points for each in found]).numpy()
    sure = torch.cat([each.visible for each in found]).numpy() > _SURE
    box = square(torch.from_numpy(truth).float())[1].numpy()
    distance = np.linalg.norm(points - truth, axis=-1)

    def errors(faces: Array) -> Errors:
        pixels, share = distance[faces], 100 * distance[faces] / box[faces, None]
        looked = visible[faces]
        return Errors(
            faces=int(faces.sum()),
            seen_percent=_mean(share[looked]),
            hidden_percent=_mean(share[~looked]),
            p95_percent=float(np.percentile(share[looked], 95)) if looked.any() else None,
            pixels=_mean(pixels[looked]),
            visibility=_mean((sure[faces] == looked).astype(float)),
        )

    turned = np.abs(yaw)
    report = LandmarkReport(
        corpus=corpus,
        split=split,
        people=len({source.info(i).identity for i in chosen}),
        found=float((torch.cat([each.found for each in found]) > _SURE).float().mean()),
        false_alarms=float((torch.cat(alarms) > _SURE).float().mean()),
        overall=errors(np.ones(len(truth), bool)),
        by_yaw={
            f"{low} to {min(high, 180)} degrees": errors((turned >= low) & (turned < high)) for low, high in _BINS_DEG
        },
    )
    return report, _sheet(sheet)


def draw_points(picture: Array, points: Array, visible: Array) -> Array:
    """uint8 [H', W', 3]: a picture [H, W, 3], enlarged if it is small, with points [70, 2] on it: green where they are
    seen, orange where not."""
    scale = enlargement(*picture.shape[:2])
    out = picture.repeat(scale, axis=0).repeat(scale, axis=1).copy()
    height, width = out.shape[:2]
    half = max(2, min(height, width) // 100)
    for (x, y), sure in zip(points * scale, visible, strict=True):
        if np.isfinite([x, y]).all() and 0 <= x < width and 0 <= y < height:
            rows, columns = (slice(max(int(at) - half + 1, 0), int(at) + half) for at in (y, x))
            out[rows, columns] = _SEEN if sure > _SURE else _HIDDEN
    return out


def _sheet(pictures: list[Array]) -> Image.Image:
    height, width = pictures[0].shape[:2]
    columns = min(_COLUMNS, len(pictures))
    page = Image.new("RGB", (columns * width, -(-len(pictures) // columns) * height), PAPER)
    for k, picture in enumerate(pictures):
        page.paste(Image.fromarray(picture), (k % columns * width, k // columns * height))
    return page


def _mean(values: Array) -> float | None:
    return float(values.mean()) if values.size else None
