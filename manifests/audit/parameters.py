"""Whether clips lie within the ranges that their configuration promises, and fill them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from manifests.audit.promise import Promise, Span
from manifests.audit.report import Findings
from manifests.rows import Rows

Array = NDArray[Any]

RANGED: Final = ("camera_yaw_deg", "camera_pitch_deg", "camera_distance_m", "head_yaw_deg", "head_pitch_deg")
"""Parameters of two columns, the least and the greatest within the clip."""
SINGLE: Final = ("focal_length_mm", "melanin", "age_years", "gender")

COVERED: Final = {
    "camera_yaw_deg": 0.9,
    "camera_pitch_deg": 0.9,
    "head_yaw_deg": 0.6,
    "head_pitch_deg": 0.6,
    "melanin": 1.0,
}
"""Parameters whose range must be filled, and the middle share of it that is looked at: few moving cameras and fewer
heads come near the ends of theirs. Of ages, each group that has a weight is a range to fill."""
AGE: Final = "age_years"

STILL: Final = "view_sweep"
"""The recipe whose head pose and expression are the identity's, so that its clips add none to the identities'."""
STEPS: Final = 360
BINS: Final = (36, 24, 18, 12, 9, 6)
"""A range is looked at in so many bins, fewer the fewer clips there are."""
CLIPS_A_BIN: Final = 24
"""Evenly drawn, a bin that 24 are expected in is empty once in 26 billion (exp(-24)); half as dense, once in
160,000."""

FEWEST: Final = 20
"""Clips without a promised range are compared with each other only when there are as many."""
_EXTREMES: Final = 64
_SAMPLE: Final = 65_536
_BULK: Final = (0.02, 0.98)
_SLACK: Final = 1e-3
"""Of a range: what floats and rounding may add to it."""


@dataclass(frozen=True)
class Stretch:
    """A part of a parameter's range that clips must fill."""

    parameter: str
    span: Span
    share: float
    """Of the independent values, how many belong there."""
    steps: Array
    """int64 [STEPS + 1]: where the clips' ranges begin (+1) and end (-1)."""


class Parameters:
    """The parameters of one corpus' clips, batch by batch; memory does not grow with their number."""

    def __init__(self, promise: Promise, found: Findings, place: Callable[[str], str]) -> None:
        self._promise, self._found, self._place = promise, found, place
        self._stretches = _stretches(promise)
        self._clips, self._moving = 0, 0
        self._activity = _Extremes()
        self._sample = _Thinned()

    def add(self, rows: Rows) -> None:
        at = np.flatnonzero(rows.ok)
        self._clips += len(at)
        moving = rows.ok & ~rows.is_text("recipe", [STILL])
        self._moving += int(moving.sum())
        codes, recipes = rows.codes("recipe")
        for name in (*RANGED, *SINGLE):
            columns = [f"{name}_min", f"{name}_max"] if name in RANGED else [name]
            values = [rows.number(column) for column in columns]
            for code, recipe in enumerate(recipes):
                if recipe is not None and (span := self._promise.span(name, recipe)) is not None:
                    for column, value in zip(columns, values, strict=True):
                        self._outside(rows, at[codes[at] == code], column, value, span)
            for stretch in self._stretches:
                if stretch.parameter == name:
                    _cover(stretch, values[0][at], values[-1][at])
        codes, templates = rows.codes("template")
        power = rows.number("light_power_w")
        for code, template in enumerate(templates):
            if template in self._promise.light_power:
                own = at[codes[at] == code]
                self._outside(rows, own, "light_power_w", power, self._promise.light_power[str(template)])
        activity = rows.number("expression_activity")[at]
        finite = np.isfinite(activity)
        self._activity.add(activity[finite], rows.number("index")[at][finite])
        self._sample.add(activity[finite & moving[at]])

    def finish(self) -> list[str]:
        """What could not be checked."""
        skipped = self._holes()
        sample = np.sort(self._sample.values())
        if len(sample) < FEWEST:
            return [*skipped, f"expression activity: {len(sample)} moving clips are too few to tell what is usual"]
        low, high = np.quantile(sample, _BULK)
        for index, value in self._activity.far(float(low), float(high)):
            key = self._promise.corpus.layout.key(index)
            self._found.add(
                "parameter-outlier", key, self._place("expression_activity"), f"about {low:.3g} to {high:.3g}",
                f"{value:.4g}",
            )  # fmt: skip
        bins = next((bins for bins in BINS[3:] if len(sample) >= bins * CLIPS_A_BIN), None)
        if bins is None or high <= low:
            return skipped
        counts = np.histogram(sample, bins, (low, high))[0]
        self._report_holes("expression_activity", (float(low), float(high)), counts == 0)
        return skipped

    def _holes(self) -> list[str]:
        skipped = []
        people = min(self._clips, int(self._promise.number("identities") or self._clips))
        held = min(self._clips - self._moving, people)
        draws = {
            "melanin": people,
            AGE: people,
            "head_yaw_deg": self._moving + held,
            "head_pitch_deg": self._moving + held,
        }
        for stretch in self._stretches:
            name, (low, high) = stretch.parameter, stretch.span
            values = round(draws.get(name, self._clips) * stretch.share)
            bins = next((bins for bins in BINS if values >= bins * CLIPS_A_BIN), None)
            if bins is None:
                where = f"{name} from {low:.4g} to {high:.4g}"
                skipped.append(f"coverage of {where}: {values} independent values are too few to fill a range")
            elif low < high:
                passing = np.cumsum(stretch.steps)[:STEPS].reshape(bins, -1)
                self._report_holes(name, stretch.span, passing.sum(axis=1) == 0)
        return skipped

    def _report_holes(self, name: str, span: Span, empty: Array) -> None:
        edges = np.linspace(*span, len(empty) + 1)
        at = np.flatnonzero(np.diff(np.r_[False, empty, False].astype(int)))
        for first, stop in at.reshape(-1, 2):
            stretch = f"{edges[first]:.4g} to {edges[stop]:.4g}"
            self._found.add("coverage-hole", "", self._place(name), f"clips from {stretch}", "none")

    def _outside(self, rows: Rows, at: Array, column: str, values: Array, span: Span) -> None:
        slack = _SLACK * max(span[1] - span[0], 1e-3, *map(abs, span))
        far = at[(values[at] < span[0] - slack) | (values[at] > span[1] + slack)]
        kept = far[: self._found.room("parameter-outlier")]
        for row in kept:
            expected = f"{span[0]:.4g} to {span[1]:.4g}"
            key = rows.text("key", int(row))
            self._found.add("parameter-outlier", key, self._place(column), expected, f"{values[row]:.4g}")
        self._found.more("parameter-outlier", len(far) - len(kept))


class _Extremes:
    """The least and the greatest values, with the clips that have them."""

    def __init__(self) -> None:
        self._ends: list[list[tuple[float, int]]] = [[], []]

    def add(self, values: Array, index: Array) -> None:
        for number, sign in enumerate((1.0, -1.0)):
            near = np.argsort(sign * values, kind="stable")[:_EXTREMES]
            merged = [*self._ends[number], *((float(values[i]), int(index[i])) for i in near)]
            self._ends[number] = sorted(merged, key=lambda item: (sign * item[0], item[1]))[:_EXTREMES]

    def far(self, low: float, high: float) -> list[tuple[int, float]]:
        """Clips apart from all others by a gap wider than the bulk of values, [low, high], itself."""
        wide = max(high - low, 0.05 * max(abs(low), abs(high)), 1e-6)
        found = []
        for end, sign in zip(self._ends, (-1.0, 1.0), strict=True):
            gaps = [i for i, (a, b) in enumerate(itertools.pairwise(end)) if abs(a[0] - b[0]) > wide]
            beyond = high if sign > 0 else low
            found += [
                (index, value) for value, index in end[: max(gaps, default=-1) + 1] if sign * (value - beyond) > wide
            ]
        return found


class _Thinned:
    """Every k-th value, k doubled whenever there are too many: even over the whole, and always the same."""

    def __init__(self) -> None:
        self._values = np.zeros(0)
        self._step, self._seen = 1, 0

    def add(self, values: Array) -> None:
        phase = -self._seen % self._step
        self._values = np.concatenate([self._values, values[phase :: self._step]])
        self._seen += len(values)
        while len(self._values) > _SAMPLE:
            self._values = self._values[::2]
            self._step *= 2

    def values(self) -> Array:
        return self._values


def _stretches(promise: Promise) -> list[Stretch]:
    wanted = [(name, _middle(promise.covered(name), middle), 1.0) for name, middle in COVERED.items()]
    wanted += [(AGE, span, share) for span, share in promise.ages]
    return [Stretch(name, span, share, np.zeros(STEPS + 1, np.int64)) for name, span, share in wanted if span]


def _cover(stretch: Stretch, low: Array, high: Array) -> None:
    """Count the part of a stretch that each clip passes through."""
    begin, end = stretch.span
    scale = STEPS / max(end - begin, 1e-9)
    first, last = (np.floor((np.nan_to_num(value, nan=-1e9) - begin) * scale) for value in (low, high))
    passes = (last >= 0) & (first < STEPS) & (last >= first)
    np.add.at(stretch.steps, np.clip(first[passes], 0, STEPS).astype(int), 1)
    np.add.at(stretch.steps, np.clip(last[passes] + 1, 0, STEPS).astype(int), -1)


def _middle(span: Span | None, share: float) -> Span | None:
    if span is None or span[0] > span[1]:
        return None
    centre, half = (span[0] + span[1]) / 2, share * (span[1] - span[0]) / 2
    return centre - half, centre + half
