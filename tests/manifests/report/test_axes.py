"""Bins, and how clips are counted into them."""

from __future__ import annotations

from collections import Counter

import numpy as np

from manifests.report.axes import AXES, Axis, Histogram, Map
from manifests.table import SCHEMA

TEN = Axis("ten", "m", 0, 1, 0.1, ("low", "high"))


def test_axes_name_columns_of_the_manifest() -> None:
    assert {column for axis in AXES.values() for column in axis.columns} <= set(SCHEMA.names)


def test_a_clip_counts_in_every_bin_that_it_passes() -> None:
    histogram = Histogram(TEN)
    low, high = np.array([0.15, 0.3, -5.0, 0.95]), np.array([0.35, 0.3, 0.05, 9.0])
    histogram.add(*TEN.bins_of(low, high))
    assert histogram.counts().tolist() == [1, 1, 1, 2, 0, 0, 0, 0, 0, 1]
    assert (histogram.clips, histogram.beyond) == (4, 0)


def test_both_ends_of_an_axis_belong_to_it_and_edges_stand_rounding() -> None:
    tenths = np.arange(11) / 10
    first, last, meets = TEN.bins_of(tenths, tenths)
    assert meets.all()
    assert first.tolist() == last.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9]
    first, last, _ = TEN.bins_of(np.array([0.2]), np.array([0.7]))
    assert (first[0], last[0]) == (2, 6)


def test_clips_that_never_meet_the_axis_are_counted_apart() -> None:
    histogram = Histogram(TEN)
    values = np.array([np.nan, np.inf, -np.inf, 1.2, -0.1, 1e300])
    histogram.add(*TEN.bins_of(values, values))
    histogram.add(*TEN.bins_of(np.array([0.6]), np.array([0.4])))
    assert (histogram.clips, histogram.beyond, histogram.counts().sum()) == (0, 7, 0)


def test_a_map_counts_the_rectangles_of_the_clips() -> None:
    random = np.random.default_rng(3)
    across, up = TEN, Axis("up", "", 0, 5, 1, ("low", "high"))
    spans = np.sort(random.uniform(-0.3, 1.3, (200, 2))), np.sort(random.uniform(-1, 6, (200, 2)))
    bins = across.bins_of(*spans[0].T), up.bins_of(*spans[1].T)
    counted = Map(across, up)
    counted.add(*bins)
    expected: Counter[tuple[int, int]] = Counter()
    for left, right, meets, bottom, top, meets_up in zip(*bins[0], *bins[1], strict=True):
        cells = [(y, x) for y in range(bottom, top + 1) for x in range(left, right + 1)]
        expected.update(cells if meets and meets_up else [])
    assert {(y, x): n for (y, x), n in np.ndenumerate(counted.counts()) if n} == expected
