import numpy as np
import pytest

from datagen.sampling.streams import choose, draw, rng, spread_out, unit


def test_a_stream_never_changes() -> None:
    """Known values: a change here would change every corpus that exists."""
    assert rng(0, "camera.yaw", 3).random(3).tolist() == [
        0.9786452670276489,
        0.7000646240619398,
        0.7827960534697165,
    ]


def test_streams_differ_by_each_word() -> None:
    values = {
        unit(0, "a"),
        unit(1, "a"),
        unit(0, "b"),
        unit(0, "a", 0),
        unit(0, "a", 0, 0),
        unit(0, "a", 1),
        unit(0, "a", 10),
    }
    assert len(values) == 7


def test_streams_are_uniform() -> None:
    values = np.array([unit(7, "x", index) for index in range(4000)])
    counts = np.histogram(values, bins=8, range=(0, 1))[0]
    assert counts.min() > 420
    assert counts.max() < 580
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.05


def test_draw_maps_the_same_variate_to_any_range() -> None:
    u = unit(3, "x", 1)
    assert draw((10, 20), 3, "x", 1) == pytest.approx(10 + 10 * u)
    assert draw((5, 5), 3, "x", 1) == 5


def test_choose_follows_the_weights_and_never_takes_a_zero() -> None:
    weights = [("a", 1.0), ("b", 0.0), ("c", 3.0), ("d", 0.0)]
    picks = [choose(weights, u) for u in np.linspace(0, 1, 1000, endpoint=False)]
    assert picks.count("a") == 250
    assert picks.count("c") == 750
    assert choose(weights, 1.0) == "c"


def test_spread_out_is_even_and_holds_for_large_indices() -> None:
    values = np.sort([spread_out(5, "x", (10_000_000 + n, 0.6180339887498949)) for n in range(100)])
    assert np.diff(values).max() < 0.03
    assert values[0] >= 0
    assert values[-1] < 1
