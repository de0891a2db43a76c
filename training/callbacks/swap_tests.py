"""The swap tests of `training.swaps` while a model learns: an ignored condition shows long before the loss tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import lightning
import numpy as np
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from torch import Tensor

from manifests.errors import UserError, require
from training.callbacks.animation import add_animation
from training.callbacks.speed import log_now
from training.cases import CaseSettings, make_cases
from training.data.batch import Sample
from training.data.clips import Clips
from training.datamodule import PortraitData
from training.module import PortraitModule
from training.sampler import SamplerSettings
from training.sheets import case_sheet, case_videos, condition_videos, video_grid
from training.swap_report import UNSWAPPED
from training.swaps import Trial, make_trials, measure_swaps, predictions
from training.video_file import PROVENANCE, save_video


class SwapTests(lightning.Callback):
    """Every so many steps: logs ``swaps/psnr/foreground``, ``swaps/drop/expression/mouth``, ``swaps/lowered/...`` over
    a few clips of a split, and writes a sheet and a video of some, with all conditions beside the truth, into
    ``pictures/`` of the run's folder."""

    def __init__(
        self,
        every_n_steps: int = 1000,
        clips: int = 12,
        shown: int = 4,
        split: str = "validation",
        batch_size: int = 4,
        sampler: SamplerSettings | None = None,
    ) -> None:
        """``clips`` are measured, ``shown`` of them drawn. Raises UserError for numbers out of range."""
        for name, value in (("every_n_steps", every_n_steps), ("clips", clips), ("batch_size", batch_size)):
            require(value >= 1, f"swap_tests.{name}", value, "at least 1")
        require(shown >= 0, "swap_tests.shown", shown, "0 or more")
        self._every, self._clips, self._shown = every_n_steps, clips, shown
        self._split, self._batch_size, self._sampler = split, batch_size, sampler
        self._trials: list[Trial] = []
        self._fps = 1.0
        self._measured_at = -1

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Raises UserError where the split has too few clips."""
        data = cast(PortraitData, getattr(trainer, "datamodule"))  # noqa: B009
        try:
            clips = Clips(data.corpus, split=self._split, subset=data.subset, frames=data.frames)
        except UserError as error:
            raise UserError(
                f"{error}; or give swap_tests another split, or leave it out of trainer.callbacks"
            ) from None
        settings = CaseSettings(clips=self._clips, frames=data.frames, step=data.step, seed=data.seed)
        self._trials = make_trials(make_cases(clips, settings), data.seed)
        self._fps = clips.fps / data.step

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        due = step % self._every == 0 or step == trainer.max_steps
        if not due or step == self._measured_at:  # accumulated batches share a step
            return
        self._measured_at = step
        module = cast(PortraitModule, pl_module)

        def predict(sample: Sample, driver: Sample) -> Tensor:
            with trainer.precision_plugin.forward_context():
                return module.predict(sample, driver, self._sampler)

        report = measure_swaps(predict, self._trials, self._batch_size, module.device)
        log_now(trainer, {f"swaps/{name}": value for name, value in report.scalars().items()})
        self._draw(trainer, module, predict, step)

    def _draw(self, trainer: lightning.Trainer, module: PortraitModule, predict: Any, step: int) -> None:
        """Every rank predicts, for a sharded model needs them all; the first writes."""
        shown = self._trials[: self._shown]
        if not shown:
            return
        sheet, rows = [], []
        for trials, _, videos in predictions(predict, shown, self._batch_size, module.device):
            for k, trial in enumerate(trials):
                predicted = {name: video[k] for name, video in videos.items()}
                sheet.append(case_videos(trial, predicted))
                rows.append(condition_videos(trial.truth, trial.truth, predicted[UNSWAPPED]))
        if not trainer.is_global_zero:
            return
        folder = Path(trainer.default_root_dir) / "pictures"
        folder.mkdir(parents=True, exist_ok=True)
        picture = case_sheet(sheet)
        picture.save(folder / f"step-{step:08d}.png")
        video, frames = folder / f"step-{step:08d}.mp4", video_grid(rows)
        save_video(video, frames, self._fps, PROVENANCE)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("swaps/sheet", np.asarray(picture), step, dataformats="HWC")
                add_animation(logger, "swaps/conditions", frames, step, self._fps)
            elif isinstance(logger, WandbLogger):
                logger.log_image("swaps/sheet", [picture], step=step)
                logger.log_video("swaps/conditions", [str(video)], step=step, fps=[self._fps])
