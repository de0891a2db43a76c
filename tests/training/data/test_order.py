"""The order of a corpus is a pure function of seed and position."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from manifests.errors import UserError
from training.data.order import Order, batches

STARTS = np.concatenate([[0], np.cumsum([3, 1, 4, 2, 5, 3, 4, 1])])
"""Eight shards of unequal sizes."""
N = int(STARTS[-1])


def clips(order: Order, epoch: int) -> list[int]:
    return [order.place(position)[1] for position in range(epoch * N, (epoch + 1) * N)]


@pytest.mark.parametrize("together", [1, 3, 4, 8, 100])
def test_an_epoch_holds_every_clip_once(together: int) -> None:
    order = Order(STARTS, 1, together)
    for epoch in range(3):
        assert sorted(clips(order, epoch)) == list(range(N))


def test_epochs_and_seeds_differ() -> None:
    order = Order(STARTS, 1, 3)
    orders = [clips(order, 0), clips(order, 1), clips(Order(STARTS, 2, 3), 0), list(range(N))]
    assert len({tuple(o) for o in orders}) == 4


def test_a_place_depends_on_nothing_that_was_asked_before() -> None:
    in_turn = [Order(STARTS, 7, 3).place(position) for position in range(3 * N)]
    order = Order(STARTS, 7, 3)
    for position in np.random.default_rng(0).permutation(3 * N):
        assert order.place(int(position)) == in_turn[position]
    assert [epoch for epoch, _ in in_turn] == [0] * N + [1] * N + [2] * N


def test_reading_stays_within_a_group_of_shards_and_mixes_them() -> None:
    starts = np.arange(0, 40 * 5 + 1, 5)
    order = Order(starts, 3, 4)
    places = [order.place(position)[1] for position in range(200)]
    groups = [[clip // 5 for clip in places[at : at + 20]] for at in range(0, 200, 20)]
    assert all(len(set(group)) == 4 for group in groups)
    assert len({shard for group in groups for shard in group}) == 40
    assert any(group != sorted(group, key=group.index) for group in groups)  # not one shard after the other


def test_ranks_share_a_step_and_have_equal_batches() -> None:
    found = [list(islice(batches(100, 3, rank, 4), 5)) for rank in range(4)]
    assert all(len(batch) == 3 for rank in found for batch in rank)
    for step in range(5):
        positions = sorted(position for rank in found for position in rank[step])
        assert positions == list(range(100 + 12 * step, 112 + 12 * step))
    assert found[1][0] == [101, 105, 109]


def test_a_group_of_no_shard_is_refused() -> None:
    with pytest.raises(UserError, match="shards_together: 0"):
        Order(STARTS, 1, 0)
