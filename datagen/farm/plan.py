"""Which piece of work comes next. It looks ahead no further than the shard it is in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from manifests.layout import Layout
from manifests.spool import Spool


@dataclass(frozen=True)
class Render:
    clip: int


@dataclass(frozen=True)
class Assemble:
    shard: int


Work = Render | Assemble


class Plan:
    """Hands out clips in order, and each shard's assembly once its last clip is done.

    Memory is one byte a shard and the clips of the shards that are open: as many as there are workers at
    most, however large the corpus.
    """

    def __init__(self, layout: Layout, committed: bytearray, read_spool: Callable[[int], Spool]) -> None:
        """`read_spool` is asked once for each uncommitted shard, when its turn comes."""
        self._layout = layout
        self._committed = committed
        self._read_spool = read_spool
        self._next_shard = 0
        self._missing: dict[int, int] = {}
        self._pending: deque[Work] = deque()
        self._uncommitted = layout.shards - sum(committed)
        self.done = sum(committed) * layout.clips_per_shard
        """Clips rendered or given up, so far as is known."""
        if committed and committed[-1]:
            self.done += len(layout.clips_of(layout.shards - 1)) - layout.clips_per_shard

    @property
    def finished(self) -> bool:
        """Whether every shard is committed."""
        return self._uncommitted == 0

    @property
    def left(self) -> int:
        """Pieces of work that are not done, at most."""
        return self._layout.clips - self.done + len(self._missing)

    def next(self) -> Work | None:
        """The next piece; None while everything left is in somebody's hands."""
        while not self._pending and self._next_shard < self._layout.shards:
            if not self._committed[self._next_shard]:
                self._open(self._next_shard)
            self._next_shard += 1
        return self._pending.popleft() if self._pending else None

    def put_back(self, work: Work) -> None:
        """Somebody failed to do it."""
        self._pending.append(work)

    def clip_done(self, clip: int) -> None:
        """The clip, rendered or given up, is in the spool."""
        shard = self._layout.shard_of(clip)
        self.done += 1
        self._missing[shard] -= 1
        if self._missing[shard] == 0:
            self._pending.appendleft(Assemble(shard))

    def clip_lost(self, clip: int) -> None:
        """The clip was in the spool and is no longer: its shard waits for it again."""
        self.done -= 1
        self._missing[self._layout.shard_of(clip)] += 1
        self.put_back(Render(clip))

    def shard_done(self, shard: int) -> None:
        """The shard is committed."""
        del self._missing[shard]
        self._committed[shard] = 1
        self._uncommitted -= 1

    def all_committed(self, shards: range) -> bool:
        """Whether every one of some shards is committed."""
        return all(self._committed[shards.start : shards.stop])

    def _open(self, shard: int) -> None:
        there = self._read_spool(shard).clips
        missing = [clip for clip in self._layout.clips_of(shard) if clip not in there]
        self.done += len(there)
        self._missing[shard] = len(missing)
        self._pending.extend(Render(clip) for clip in missing)
        if not missing:
            self._pending.appendleft(Assemble(shard))
