"""The corpus for Lightning: endless batches to train on, a few fixed ones to validate on."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Iterator
from typing import Any

import lightning
from torch.utils.data import DataLoader

from manifests.errors import UserError
from manifests.reader import CorpusReader
from training.data.batch import Sample, collate
from training.data.choice import ReferenceWeights, check_choices, choose
from training.data.clips import Clips
from training.data.faults import FaultLimit, Faults
from training.data.loader import PortraitLoader
from training.data.samples import read_sample
from training.footage import describe
from training.latents.encoded import CachedLatents
from training.latents.read import LatentClips
from training.module import PortraitModule
from training.trained_on import trained_on


class PortraitData(lightning.LightningDataModule):
    """Batches of a corpus. Where the training stands is the module's ``samples_seen``; a checkpoint holds of the data
    only what they were, to say when a run goes on with others."""

    def __init__(
        self,
        corpus: str,
        frames: int = 5,
        batch_size: int = 8,
        step: int = 1,
        workers: int = 2,
        subset: str | None = None,
        references: ReferenceWeights = ReferenceWeights(),
        faults: FaultLimit = FaultLimit(),
        latents: str | None = None,
        validation_clips: int = 16,
        without_recipes: list[str] | None = None,
        seed: int = 0,
    ) -> None:
        """``corpus`` is a folder, a URL or a view over several; ``subset`` a list that ``factorportrait select`` wrote,
        of which each split uses its own; clips of ``without_recipes`` are not trained on. ``frames`` must suit the
        codec, ``step`` takes every so many-th of the clip's; ``batch_size`` is each rank's. ``latents`` is what
        `cache-latents` made of the corpus, trained on instead of pictures, in its own windows.
        Raises UserError if the corpus cannot be read or its clips have too few frames or views."""
        super().__init__()
        self.corpus, self.frames, self.batch_size, self.step = corpus, frames, batch_size, step
        self.workers, self.subset, self.references, self.faults = workers, subset, references, faults
        self.latents, self.validation_clips, self.seed = latents, validation_clips, seed
        self.clips = Clips(corpus, split="train", subset=subset, without_recipes=without_recipes or ())
        check_choices(self.clips, frames, step, references)

    def train_dataloader(self) -> Endless:
        """Raises UserError for what the module cannot take, before anything is read."""
        module = self.trainer.lightning_module if self.trainer else None
        if isinstance(module, PortraitModule):
            module.check(self.frames, self.clips.resolution)
            module.footage = describe(self.corpus, self.clips, self.frames, self.step)
            module.trained_on = trained_on(self.corpus, self.clips)
        loader = PortraitLoader(
            self.clips,
            source=self._cached(module) if self.latents else None,
            batch_size=self.batch_size,
            frames=self.frames,
            step=self.step,
            references=self.references,
            seed=self.seed,
            workers=self.workers,
            faults=self.faults,
            endless=True,
        )
        loader.start_at(getattr(module, "samples_seen", 0))
        return Endless(loader)

    def _cached(self, module: Any) -> CachedLatents:
        """Raises UserError for a cache of another corpus, codec, encoder or length of window."""
        assert self.latents is not None
        latents, encode = LatentClips(self.latents), module.encode
        latents.check(encode.codec, encode.expression)
        record, sources = latents.record, CorpusReader(self.corpus).sources
        if [source.corpus.config_hash for source in sources] != [record.config_hash]:
            raise UserError(
                f"{self.latents}: holds latents of corpus {record.corpus} ({record.config_hash[:16]}), {self.corpus} "
                "is another, or a view over several; cache it anew"
            )
        if (record.frames, record.step) != (self.frames, self.step):
            raise UserError(
                f"{self.latents}: holds windows of {record.frames} frames, {record.step} apart, {self.frames}, "
                f"{self.step} apart are asked for; set data.frames and data.step so, or cache again"
            )
        source = CachedLatents(self.clips, latents, encode.codec, self.references, encode.weights, self.seed)
        source.check()
        return source

    def state_dict(self) -> dict[str, Any]:
        """What, next to seed and position, settles the samples."""
        return {
            "clips": self.clips.digest,
            "frames": self.frames,
            "step": self.step,
            "references": dataclasses.asdict(self.references),
            "latents": self.latents is not None,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Warns where a run goes on with other samples than it would have had: a corpus may have grown meanwhile."""
        changed = [name for name, value in self.state_dict().items() if state_dict.get(name) != value]
        if changed:
            warnings.warn(
                f"data: {', '.join(changed)} are others than the checkpoint's, so the samples from here on are not "
                "those of a run that was never stopped",
                stacklevel=2,
            )

    def val_dataloader(self) -> Any:
        """The same windows of the first clips of split validation at each time. Raises UserError if it has none."""
        batches: Any = validation_batches(self) if self.validation_clips else []
        return DataLoader(batches, batch_size=None) if batches else []


class Endless:
    """An endless loader whose batches are waited for by the clock."""

    def __init__(self, loader: PortraitLoader) -> None:
        self._loader = loader
        self.waited_s = 0.0
        """How long its batches were waited for, all together."""

    @property
    def faults(self) -> Faults:
        return self._loader.faults

    def __iter__(self) -> Iterator[Any]:
        batches = iter(self._loader)
        while True:
            start = time.perf_counter()
            batch = next(batches)
            self.waited_s += time.perf_counter() - start
            yield batch


def validation_batches(data: PortraitData) -> list[Sample]:
    """Batches of this rank's share of the first clips of split validation."""
    rank, ranks = (data.trainer.global_rank, data.trainer.world_size) if data.trainer else (0, 1)
    try:
        clips = Clips(data.corpus, split="validation", subset=data.subset)
    except UserError as error:
        raise UserError(f"{error}; or set data.validation_clips to 0, which validates nothing") from None
    whole = min(data.validation_clips, len(clips)) // ranks * ranks  # as many on every rank: they wait for one another
    if whole == 0:
        raise UserError(
            f"data.validation_clips: {data.validation_clips} of {len(clips)} clips of split validation leave none for "
            f"each of {ranks} ranks; ask for at least {ranks}, or for 0, which validates nothing"
        )
    samples = [
        read_sample(clips, choose(clips, i, data.frames, data.step, data.references, data.seed, "validation"))
        for i in range(rank, whole, ranks)
    ]
    return [collate(samples[at : at + data.batch_size]) for at in range(0, len(samples), data.batch_size)]
