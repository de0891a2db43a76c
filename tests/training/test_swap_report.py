"""A report says what was measured, in a table, in JSON and for a log."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np

from training.measures import REGIONS
from training.swap_report import PICTURES, SwapReport


def report_of(psnr: Callable[[str, str, int], float]) -> SwapReport:
    values = [[[psnr(picture, region, n) for n in range(4)] for region in REGIONS] for picture in PICTURES]
    keys = tuple(f"faces-{n:09d}" for n in range(4))
    return SwapReport(keys, (*keys[1:], keys[0]), np.array(values, float), seed=0)


def test_a_report_says_what_was_measured() -> None:
    drops = {"rays": (1, 2, 3, -2), "copied_reference": (6, 6, 6, 6)}

    def measured(picture: str, region: str, n: int) -> float:
        if region == "mouth" and n == 3:
            return math.nan
        return 24 + n - drops.get(picture, (0, 0, 0, 0))[n]

    report = report_of(measured)
    found = report.finding("rays")
    assert (found.drop.mean, found.lowered, found.psnr.mean) == (1, 0.75, 24.5)
    assert report.finding("unswapped", "mouth").psnr.count == 3

    scalars = report.scalars()
    assert scalars["psnr/foreground"] == 25.5
    assert scalars["copied_reference/foreground"] == 19.5
    assert scalars["drop/rays/foreground"] == 1
    assert scalars["lowered/rays/foreground"] == 0.75
    assert scalars["drop/expression/mouth"] == 0

    table = report.to_markdown().splitlines()
    assert table[0].startswith("4 clips")
    rays = next(line for line in table if line.startswith("| rays "))
    assert rays.startswith("| rays | foreground | 24.50 [")
    assert rays.endswith("| 75% |")
    assert len({line.count("|") for line in table[2:]}) == 1

    data = json.loads(report.to_json())
    assert [clip["partner"] for clip in data["clips"]] == list(report.partners)
    assert data["clips"][1]["psnr"]["rays"]["foreground"] == 23
    assert data["clips"][3]["psnr"]["rays"]["mouth"] is None
    assert {"picture", "region", "psnr", "drop", "lowered"} == set(data["summary"][0])


def test_a_region_that_no_clip_shows_is_left_out_of_a_log() -> None:
    report = report_of(lambda picture, region, n: math.nan if region == "eyes" else 20.0)
    assert math.isnan(report.finding("expression", "eyes").lowered)
    assert "drop/expression/eyes" not in report.scalars()
    assert all(math.isfinite(value) for value in report.scalars().values())
    assert "nan" in report.to_markdown()
    assert "NaN" not in report.to_json()
