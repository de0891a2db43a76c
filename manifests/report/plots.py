"""From what was tallied to charts: which stretch of an axis is shown, and in how wide bins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from manifests.corpus import Corpus
from manifests.report import charts, promises
from manifests.report.axes import AXES, MAPS, Axis
from manifests.report.html import Html, tag
from manifests.report.numbers import number, whole
from manifests.report.parts import figure
from manifests.report.tally import Tally

Array = NDArray[Any]

_MOST_COLUMNS: Final = 40
_MOST_CELLS: Final = 28
_FEWEST: Final = 8
_MERGED: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_TAIL: Final = 5e-4
"""Share of clips at either end of a parameter that may be left outside the chart, so that one stray clip does not
squeeze all others; the caption counts them."""


@dataclass(frozen=True)
class Window:
    """The bins of an axis that a chart shows: from `first` on, each of `merged` of the axis' own."""

    axis: Axis
    first: int
    bins: int
    merged: int

    @property
    def edges(self) -> Array:
        return np.array([self.axis.edge(self.first + i * self.merged) for i in range(self.bins + 1)])

    def merge(self, counts: Array) -> Array:
        """Counts [..., axis.bins] as shown [..., bins]."""
        stop = self.first + self.bins * self.merged
        padding = [(0, 0)] * (counts.ndim - 1) + [(0, max(0, stop - self.axis.bins))]
        padded = np.pad(counts, padding)[..., self.first : stop]
        return padded.reshape(*counts.shape[:-1], self.bins, self.merged).sum(axis=-1)


def histograms(tally: Tally, corpora: Sequence[Corpus]) -> Html:
    """A histogram of each axis."""
    figures = []
    for name, axis in AXES.items():
        histogram = tally.histograms[name]
        counts, promised = histogram.counts(), promises.span(corpora, name)
        window = _window(axis, counts, promised, _fitting(histogram.clips, _MOST_COLUMNS))
        shown = window.merge(counts)
        chart = charts.columns(window.edges, shown, f"{axis.title} ({axis.unit})", "clips", promised)
        beyond = histogram.beyond + (0 if axis.is_range else int(counts.sum() - shown.sum()))
        notes = [f"promised {number(promised[0])} to {number(promised[1])}" if promised else "no range promised"]
        notes += ["clips that pass through"] if axis.is_range else []
        notes += [f"{whole(beyond)} clips beyond the chart"] if beyond else []
        figures.append(figure(axis.title, "; ".join(notes), chart))
    return tag("div", *figures, class_="figures")


def maps(tally: Tally, corpora: Sequence[Corpus]) -> Html:
    """A map of each pair of axes."""
    figures = []
    for pair in MAPS:
        counts = tally.maps[pair].counts()
        promised = promises.span(corpora, pair[0]), promises.span(corpora, pair[1])
        across, up = (AXES[name] for name in pair)
        most = _fitting(tally.clips, _MOST_CELLS)
        columns = _window(across, tally.histograms[pair[0]].counts(), promised[0], most)
        rows = _window(up, tally.histograms[pair[1]].counts(), promised[1], most)
        shown = rows.merge(columns.merge(counts).T).T
        names = f"{across.title} ({across.unit})", f"{up.title} ({up.unit})"
        chart = charts.cells(columns.edges, rows.edges, shown, names, promised)
        figures.append(figure(f"{across.title} and {up.title.lower()}", _holes(shown, columns, rows, promised), chart))
    return tag("div", *figures, class_="figures")


def _holes(shown: Array, columns: Window, rows: Window, promised: tuple[charts.Span | None, ...]) -> str:
    """How much of the promised rectangle has clips."""
    if promised[0] is None or promised[1] is None:
        return "no range promised for both"
    inside = np.ix_(_within(rows, promised[1]), _within(columns, promised[0]))
    return f"{whole(int(np.count_nonzero(shown[inside])))} of {whole(shown[inside].size)} promised cells have clips"


def _fitting(clips: int, most: int) -> int:
    """Fewer bins for few clips, so that columns do not fall apart into single ones."""
    return max(2 * _FEWEST - 2, min(most, int(2 * clips**0.5)))


def _within(window: Window, promised: charts.Span) -> Array:
    """Bins that lie within a range by more than a sliver."""
    overlap = np.minimum(window.edges[1:], promised[1]) - np.maximum(window.edges[:-1], promised[0])
    return np.flatnonzero(overlap > 1e-6 * np.diff(window.edges))


def _window(axis: Axis, counts: Array, promised: charts.Span | None, most: int) -> Window:
    """Bins with clips, those that are promised, and no fewer than look like a chart."""
    tail = 0 if axis.is_range else int(_TAIL * counts.sum())
    summed = np.cumsum(counts)
    occupied = np.flatnonzero((summed > tail) & (summed[-1] - summed + counts > tail))
    ends = [*occupied[[0, -1]].tolist()] if len(occupied) else []
    if promised is not None:
        low, high = ((end - axis.low) / axis.step for end in promised)
        ends += [
            int(np.clip(np.floor(low + 1e-9), 0, axis.bins - 1)),
            int(np.clip(np.ceil(high - 1e-9), 1, axis.bins)) - 1,
        ]
    first, last = (min(ends), max(ends)) if ends else (0, axis.bins - 1)
    missing = max(0, _FEWEST - (last - first + 1))
    first = max(0, first - missing // 2)
    last = min(axis.bins - 1, max(last, first + _FEWEST - 1))
    if axis.is_range:
        return Window(axis, first, last - first + 1, 1)
    merged = next(size for size in _MERGED if -(-(last + 1) // size) - first // size <= most)
    return Window(axis, first // merged * merged, -(-(last + 1) // merged) - first // merged, merged)
