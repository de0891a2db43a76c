"""The order in which a loader walks through a corpus: a pure function of a seed and a position.

Positions count samples over all ranks and all epochs: an epoch is N positions, which are the N clips. Shards are
shuffled, and then the clips within groups of shards, so that reading stays local. A step of all ranks together
takes the next positions; the last incomplete one of an epoch is filled up from the next epoch, not dropped. What a
position holds therefore depends on no batch size, and every rank always has as many samples as the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from manifests.errors import UserError
from training.streams import rng

Array = NDArray[Any]

SHARDS_TOGETHER: Final = 16
"""Shards whose clips are mixed."""


class Order:
    """Which clip stands at a position. Holds the shuffled shards of one epoch and the clips of one group of them."""

    def __init__(self, shard_starts: Array, seed: int, together: int = SHARDS_TOGETHER) -> None:
        """``shard_starts`` [S + 1] as of `training.data.clips.Clips`. Raises UserError if ``together`` is below 1."""
        if together < 1:
            raise UserError(f"shards_together: {together} given; mix the clips of at least one shard")
        self._starts = np.asarray(shard_starts, np.int64)
        self._seed = seed
        self._together = together
        self._epoch = self._group = -1
        self._shards = self._group_starts = self._clips = np.zeros(0, np.int64)

    def __len__(self) -> int:
        """Clips, and so positions in an epoch."""
        return int(self._starts[-1])

    def place(self, position: int) -> tuple[int, int]:
        """(epoch, clip) at a position from 0 on."""
        epoch, within = divmod(position, len(self))
        if epoch != self._epoch:
            self._start(epoch)
        group = int(np.searchsorted(self._group_starts, within, "right")) - 1
        if group != self._group:
            self._mix(group)
        return epoch, int(self._clips[within - self._group_starts[group]])

    def _start(self, epoch: int) -> None:
        self._epoch, self._group = epoch, -1
        self._shards = rng(self._seed, "order.shards", epoch).permutation(len(self._starts) - 1)
        sizes = np.diff(self._starts)[self._shards]
        self._group_starts = np.concatenate([[0], np.cumsum(sizes)])[:: self._together]
        if (len(sizes)) % self._together:
            self._group_starts = np.append(self._group_starts, sizes.sum())

    def _mix(self, group: int) -> None:
        self._group = group
        shards = self._shards[group * self._together : (group + 1) * self._together]
        clips = np.concatenate([np.arange(self._starts[shard], self._starts[shard + 1]) for shard in shards])
        self._clips = rng(self._seed, "order.clips", self._epoch, group).permutation(clips)


def batches(seen: int, batch_size: int, rank: int, ranks: int) -> Iterator[list[int]]:
    """The positions of a rank's batches, without end, when ``seen`` samples are behind all ranks together.

    Of the positions of a step, the one at p from its start goes to rank p % ranks.
    """
    step = batch_size * ranks
    while True:
        yield list(range(seen + rank, seen + step, ranks))
        seen += step
