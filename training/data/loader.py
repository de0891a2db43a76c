"""Batches of a corpus, in an order that depends on nothing but a seed and how many samples were seen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from manifests.errors import UserError
from training.data.choice import ReferenceWeights
from training.data.clips import Clips
from training.data.faults import Fault, FaultLimit, Faults
from training.data.order import SHARDS_TOGETHER, Order, batches
from training.data.source import Item, Pictures, Source

_EVENLY: Final = ReferenceWeights()
_ONE_PERCENT: Final = FaultLimit()
_STATE: Final = "samples_seen"

_Read = tuple[Item | None, tuple[Fault, ...]]
"""What came of one position: a sample, after clips that could not be read; None if too many could not."""


class PortraitLoader:
    """An iterable over the batches of one rank, for Lightning or a plain loop.

    Its whole state is ``samples_seen``, over all ranks: with equal seed and clips the samples from there on are the
    same for any number of ranks and workers and any batch size. It counts what was handed out, not what workers have
    read ahead. One iteration runs to the end of a pass of ``len(self)`` batches, from wherever it stands, and the
    next goes on from there; leaving one early loses nothing.

    A clip that cannot be read is counted in ``faults``, logged, and replaced by the next in the order.
    """

    def __init__(
        self,
        clips: Clips,
        *,
        batch_size: int,
        frames: int = 1,
        step: int = 1,
        references: ReferenceWeights = _EVENLY,
        source: Source | None = None,
        seed: int = 0,
        workers: int = 0,
        rank: int | None = None,
        ranks: int | None = None,
        shards_together: int = SHARDS_TOGETHER,
        faults: FaultLimit = _ONE_PERCENT,
        endless: bool = False,
        ahead: int = 2,
    ) -> None:
        """``source`` says what is read of a clip; without one `Pictures` of ``frames``, ``step`` and ``references``.
        ``batch_size`` is a rank's; ``workers`` are processes (0: read in this one), each of which reads ``ahead``
        batches; with ``endless`` a pass has no last batch; ``rank`` of ``ranks`` are those of torch.distributed unless
        given.

        Raises UserError if the clips do not make one batch on every rank, or one gives no window or reference.
        """
        initialised = torch.distributed.is_available() and torch.distributed.is_initialized()
        self.ranks = ranks if ranks is not None else torch.distributed.get_world_size() if initialised else 1
        self.rank = rank if rank is not None else torch.distributed.get_rank() if initialised else 0
        for name, value, least in (("batch_size", batch_size, 1), ("workers", workers, 0), ("ahead", ahead, 1)):
            if value < least:
                raise UserError(f"{name}: {value} given; give at least {least}")
        if not 0 <= self.rank < self.ranks:
            raise UserError(f"rank: {self.rank} of {self.ranks} given; give one from 0 to {self.ranks - 1}")
        if len(clips) < batch_size * self.ranks:
            raise UserError(
                f"batch_size: {batch_size} on {self.ranks} ranks needs as many clips, there are {len(clips)}; "
                "give a smaller one, or generate more clips"
            )
        source = source or Pictures(clips, frames, step, references, seed)
        self._walk = _Walk(batch_size, self.rank, self.ranks, len(clips) // (batch_size * self.ranks), endless)
        self.faults = Faults(faults)
        self._source = source
        order = Order(clips.shard_starts, seed, shards_together)
        self._loader: DataLoader[_Read] = DataLoader(
            _Reading(clips, source, order, min(faults.in_a_row, 2 * len(clips) - 1)),
            batch_sampler=self._walk,
            num_workers=workers,
            collate_fn=_pack,
            persistent_workers=workers > 0,
            prefetch_factor=ahead if workers else None,
            generator=torch.Generator(),  # it draws a seed at each start; not from the state that training draws from
        )

    def __len__(self) -> int:
        """Batches in a pass: as many as the clips fill on every rank. What is left over opens the next pass."""
        return self._walk.length

    @property
    def samples_seen(self) -> int:
        """Samples that were handed out, on all ranks together and over all epochs."""
        return self._walk.seen

    def __iter__(self) -> Iterator[Any]:
        """Batches as the source makes them, `Sample`s unless told otherwise.

        Raises UserError when more samples cannot be read than `FaultLimit` allows."""
        try:
            for packed, read in self._loader:
                for whole, found in read:
                    self.faults.add(found, whole)
                # Before the batch is given away: whoever saves while working on it has it behind them.
                self._walk.seen += self._walk.step
                yield self._source.batch(packed.key, packed.unpack())
        except UserError:
            self._loader._iterator = None  # workers stop now, and not when the error is forgotten
            raise

    def start_at(self, samples_seen: int) -> None:
        """Go on as if ``samples_seen`` samples of all ranks were behind; counts from the next iteration on.

        Raises UserError if that is below 0.
        """
        if type(samples_seen) is not int or samples_seen < 0:
            raise UserError(f"samples_seen: {samples_seen!r} given; give a whole number from 0 on")
        self._walk.seen = samples_seen

    def state_dict(self) -> dict[str, Any]:
        return {_STATE: self.samples_seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises UserError if it is no loader's state."""
        self.start_at(state.get(_STATE))  # type: ignore[arg-type]

    def remaining(self) -> int:
        """Batches to the end of the pass."""
        return self._walk.remaining


@dataclass
class _Walk:
    """Where a rank stands, and the positions of the batches that are left of a pass, for workers to read.

    An object of its own: with a loader that held itself in a circle, its workers would be told to stop too late.
    """

    batch_size: int
    rank: int
    ranks: int
    length: int
    """Batches in a pass."""
    endless: bool
    """Whether to walk on from pass to pass."""
    seen: int = 0

    @property
    def step(self) -> int:
        """Samples of all ranks in a step."""
        return self.batch_size * self.ranks

    @property
    def remaining(self) -> int:
        return self.length - self.seen // self.step % self.length

    def __iter__(self) -> Iterator[list[int]]:
        left = None if self.endless else self.remaining
        return islice(batches(self.seen, self.batch_size, self.rank, self.ranks), left)


@dataclass(frozen=True)
class _Reading(Dataset[_Read]):
    """From a position to its sample; what a worker holds."""

    clips: Clips
    source: Source
    order: Order
    attempts: int
    """How many clips are tried for one position; of N clips 2 N - 1 in a row are all of them at least once."""

    def __getitem__(self, position: int) -> _Read:
        found: list[Fault] = []
        for attempt in range(self.attempts):
            epoch, clip = self.order.place(position + attempt)
            try:
                # A replacement stands elsewhere on its own account: drawn anew, it is not the same sample twice.
                return self.source.read(clip, (epoch, attempt) if attempt else (epoch,)), tuple(found)
            except (TypeError, AttributeError, NameError):  # a mistake in a program, and no clip's fault
                raise
            except Exception as error:  # whatever object stores and decoders raise for what they cannot read
                found.append(Fault(self.clips.key(clip), " ".join(f"{type(error).__name__}: {error}".split())))
        return None, tuple(found)


@dataclass(frozen=True)
class _Packed:
    """A batch as one tensor: each that crosses from a worker costs a connection and a file of its own."""

    key: tuple[str, ...]
    values: Tensor
    shapes: tuple[tuple[int, ...], ...]

    def unpack(self) -> tuple[Tensor, ...]:
        parts = self.values.split([math.prod(shape) for shape in self.shapes])
        return tuple(part.view(shape) for part, shape in zip(parts, self.shapes, strict=True))


def _pack(read: list[_Read]) -> tuple[_Packed | None, list[tuple[bool, tuple[Fault, ...]]]]:
    """Nothing instead of a batch where a sample is missing; and for each sample what was to be counted."""
    counted = [(item is not None, found) for item, found in read]
    items = [item for item, _ in read if item is not None]
    if len(items) < len(read):
        return None, counted
    return _Packed(
        key=tuple(item.key for item in items),
        values=torch.cat(
            [tensor.flatten() for same in zip(*(i.tensors for i in items), strict=True) for tensor in same]
        ),
        shapes=tuple((len(items), *tensor.shape) for tensor in items[0].tensors),
    ), counted
