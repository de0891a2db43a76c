"""What swap tests found: PSNR of each clip, and what it says of a model."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.measures import REGIONS, Interval, mean_interval

Array = NDArray[Any]

UNSWAPPED: Final = "unswapped"
COPIED_REFERENCE: Final = "copied_reference"
SWAPS: Final = ("rays", "camera", "head_pose", "expression")
PICTURES: Final = (UNSWAPPED, COPIED_REFERENCE, *SWAPS)

_SHOWN: Final = {
    UNSWAPPED: ("picture", "foreground", "mouth", "eyes", "mouth_eyes"),
    COPIED_REFERENCE: ("foreground", "mouth_eyes"),
    "rays": ("foreground",),
    "camera": ("foreground",),
    "head_pose": ("foreground",),
    "expression": ("foreground", "mouth", "eyes", "mouth_eyes"),
}


@dataclass(frozen=True)
class Finding:
    """One kind of picture in one region, over all clips."""

    picture: str
    """One of `PICTURES`."""
    region: str
    """One of `measures.REGIONS`."""
    psnr: Interval
    """dB."""
    drop: Interval
    """dB below the unswapped prediction, clip by clip."""
    lowered: float
    """Share of clips whose PSNR is below the unswapped prediction's; NaN where no clip shows the region."""


@dataclass(frozen=True)
class SwapReport:
    """PSNR against the truth, clip by clip."""

    keys: tuple[str, ...]
    """N clips."""
    partners: tuple[str, ...]
    """Of each, the clip that its swapped conditions come from."""
    psnr: Array
    """float64 [pictures, regions, N] in dB, by `PICTURES` and `measures.REGIONS`; NaN where a clip does not show the
    region."""
    seed: int
    """Of the intervals' bootstrap."""

    def of(self, picture: str, region: str = "foreground") -> Array:
        """dB [N]."""
        found: Array = self.psnr[PICTURES.index(picture), REGIONS.index(region)]
        return found

    def drop(self, picture: str, region: str = "foreground") -> Array:
        """dB [N] that this picture lies below the unswapped prediction."""
        return self.of(UNSWAPPED, region) - self.of(picture, region)

    def finding(self, picture: str, region: str = "foreground") -> Finding:
        drop = self.drop(picture, region)
        seen = drop[~np.isnan(drop)]
        return Finding(
            picture=picture,
            region=region,
            psnr=mean_interval(self.of(picture, region), self.seed),
            drop=mean_interval(drop, self.seed),
            lowered=float((seen > 0).mean()) if len(seen) else math.nan,
        )

    def summary(self) -> list[Finding]:
        """What is worth a line each: the prediction, the copied reference, and every swap where it should cost."""
        return [self.finding(picture, region) for picture, regions in _SHOWN.items() for region in regions]

    def to_markdown(self) -> str:
        """A table, with 95 % bootstrap intervals."""
        lines = [
            f"{len(self.keys)} clips. Mean and 95 % bootstrap interval; the drop is below the unswapped prediction.",
            "",
            "| picture | region | PSNR (dB) | drop (dB) | clips lowered |",
            "| --- | --- | --- | --- | --- |",
        ]
        for found in self.summary():
            drop, lowered = "", ""
            if found.picture != UNSWAPPED:
                drop, lowered = str(found.drop), f"{found.lowered:.0%}"
            lines.append(f"| {_words(found.picture)} | {_words(found.region)} | {found.psnr} | {drop} | {lowered} |")
        return "\n".join(lines) + "\n"

    def to_json(self) -> str:
        """Every clip's numbers and the summary, as one JSON object; null where a clip does not show the region."""
        per_clip = [
            {
                "key": key,
                "partner": partner,
                "psnr": {
                    picture: {region: _number(self.psnr[p, r, n]) for r, region in enumerate(REGIONS)}
                    for p, picture in enumerate(PICTURES)
                },
            }
            for n, (key, partner) in enumerate(zip(self.keys, self.partners, strict=True))
        ]
        summary = [
            {
                "picture": found.picture,
                "region": found.region,
                "psnr": _interval(found.psnr),
                "drop": _interval(found.drop),
                "lowered": _number(found.lowered),
            }
            for found in self.summary()
        ]
        return json.dumps({"summary": summary, "clips": per_clip}, indent=2, allow_nan=False) + "\n"

    def scalars(self) -> dict[str, float]:
        """Means for a log: ``psnr/foreground``, ``copied_reference/foreground``, ``drop/expression/mouth``,
        ``lowered/rays/foreground`` ... What no clip shows is left out."""
        out: dict[str, float] = {}
        for found in self.summary():
            if found.picture == UNSWAPPED:
                out[f"psnr/{found.region}"] = found.psnr.mean
            elif found.picture == COPIED_REFERENCE:
                out[f"{COPIED_REFERENCE}/{found.region}"] = found.psnr.mean
            else:
                out[f"drop/{found.picture}/{found.region}"] = found.drop.mean
                out[f"lowered/{found.picture}/{found.region}"] = found.lowered
        return {name: value for name, value in out.items() if not math.isnan(value)}


def _words(name: str) -> str:
    return {"mouth_eyes": "mouth and eyes"}.get(name, name.replace("_", " "))


def _interval(interval: Interval) -> dict[str, float | int | None]:
    return {
        "mean": _number(interval.mean),
        "low": _number(interval.low),
        "high": _number(interval.high),
        "count": interval.count,
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
