"""What a loader reads of a clip: pictures, or whatever else can stand for a sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from training.data.batch import TENSORS, Sample
from training.data.choice import ReferenceWeights, check_choices, choose
from training.data.clips import Clips
from training.data.samples import read_sample


@dataclass(frozen=True)
class Item:
    """One sample as it crosses from a worker: its key and tensors without a batch axis."""

    key: str
    tensors: tuple[Tensor, ...]


class Source(Protocol):
    """Reads items and makes batches of them; travels to the loader's workers."""

    def read(self, clip: int, words: tuple[int, ...]) -> Item:
        """A sample of a clip; what is random in it is drawn for ``words``. Raises UserError for what is damaged."""

    def batch(self, key: tuple[str, ...], tensors: tuple[Tensor, ...]) -> Any:
        """A batch of items, of whose tensors [B, ...] each is the stack."""


@dataclass(frozen=True)
class Pictures:
    """`Sample`s: windows of ``frames``, each ``step`` behind the last, and a reference."""

    clips: Clips
    frames: int
    step: int
    references: ReferenceWeights
    seed: int

    def __post_init__(self) -> None:
        check_choices(self.clips, self.frames, self.step, self.references)

    def read(self, clip: int, words: tuple[int, ...]) -> Item:
        choice = choose(self.clips, clip, self.frames, self.step, self.references, self.seed, *words)
        sample = read_sample(self.clips, choice)
        return Item(sample.key[0], tuple(getattr(sample, name) for name in TENSORS))

    def batch(self, key: tuple[str, ...], tensors: tuple[Tensor, ...]) -> Sample:
        return Sample(key, *tensors)
