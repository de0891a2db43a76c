"""The progress of a fit in words a person reads: steps, loss, speed, time left."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from typing import Any

import lightning
from lightning.pytorch.callbacks import ProgressBar

from training.progress import Show, display


class Progress(ProgressBar):
    """A live bar on a terminal, else a line every ten seconds, on the standard error of the first rank."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = contextlib.ExitStack()
        self._show: Show | None = None
        self._times: deque[tuple[float, int]] = deque(maxlen=50)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.is_global_zero:
            self._show = self._stack.enter_context(display())

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._show is None:
            return
        self._times.append((time.monotonic(), trainer.global_step))
        self._show(trainer.global_step, trainer.max_steps, self._words(trainer))

    def teardown(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        self._show = None
        self._stack.close()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        self.teardown(trainer, pl_module, "fit")

    def disable(self) -> None:
        self._show = None

    def enable(self) -> None:
        """It shows itself once training starts."""

    def _words(self, trainer: lightning.Trainer) -> str:
        values = trainer.progress_bar_metrics
        shown = [
            f"{name.rpartition('/')[2] if name == 'train/loss' else name} {value:.4g}" for name, value in values.items()
        ]
        (first, before), (last, after) = self._times[0], self._times[-1]
        if after > before and last > first:
            shown.append(f"{(after - before) / (last - first):.3g} steps/s")
        total = f" of {trainer.max_steps}" if trainer.max_steps > 0 else ""
        return ", ".join([f"step {trainer.global_step}{total}", *shown])
