"""Numbers as a person reads them."""

from __future__ import annotations

import pytest

from manifests.report.numbers import number, percent, short, size, ticks


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (950, "950"), (9999, "9999"), (12_345, "12.3k"), (1.2e6, "1.2M"), (-2.5, "−2.5"), (0.05, "0.05")],
)
def test_short(value: float, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (6_889_472, "6.89 MB"), (1.28e14, "128 TB")])
def test_size(count: float, text: str) -> None:
    assert size(count) == text


def test_numbers_that_are_none() -> None:
    assert number(float("nan")) == number(float("inf")) == percent(1, 0) == "—"


def test_ticks_are_round_and_within() -> None:
    assert ticks(-65, 65, 7) == [-60, -40, -20, 0, 20, 40, 60]
    assert ticks(0, 2, 5) == [0, 0.5, 1, 1.5, 2]
    assert ticks(0, 2, 5, whole_steps=True) == [0, 1, 2]
    assert ticks(3, 3, 5) == [3]
