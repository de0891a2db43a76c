"""How fast a run is: samples a second, the share of time it waits for data, and how busy the device is."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any, cast

import lightning
import torch
from lightning.fabric.utilities.throughput import get_available_flops
from torch.utils.flop_counter import FlopCounterMode

from training.module import PortraitModule

_TRIALS = 3
_MATRIX = 1024


class Speed(lightning.Callback):
    """Logs, over the steps since the last time: ``speed/samples_per_s`` of all ranks, ``speed/data_wait_share`` of the
    time, and ``speed/mfu``, the share of the device's arithmetic that the transformer's products made up (Chowdhery et
    al., "PaLM", 2022; counted once, recomputed activations not among them). Time is that of the steps and of waiting
    for their data, and not what other callbacks and validation take. What the device could do is its data sheet's
    figure where Lightning knows it, else what a large matrix product reaches. ``data/faults`` counts the samples that
    could not be read.
    """

    def __init__(self, every_n_steps: int = 20) -> None:
        self._every = every_n_steps
        self._flops = 0.0
        self._peak = 0.0
        self._began = time.perf_counter()
        self._in_steps = self._waited = 0.0
        self._batches = self._samples = 0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._peak = device_flops(pl_module.device, _type(trainer))
        self._clear(trainer)

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self._flops == 0:
            with trainer.precision_plugin.forward_context():
                self._flops = step_flops(cast(PortraitModule, pl_module), batch)
            self._clear(trainer)
        self._began = time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._batches += 1
        self._samples += len(batch.key)
        due = self._batches >= self._every
        if due and pl_module.device.type == "cuda":
            torch.cuda.synchronize(pl_module.device)
        self._in_steps += time.perf_counter() - self._began
        if not due:
            return
        waited = _waited(trainer) - self._waited
        took = self._in_steps + waited
        values = {
            "speed/samples_per_s": self._samples * trainer.world_size / took,
            "speed/data_wait_share": waited / took,
            "speed/mfu": self._flops * self._batches / took / self._peak,
        }
        if (faults := getattr(trainer.train_dataloader, "faults", None)) is not None:
            values["data/faults"] = float(faults.total)
        log_now(trainer, values)
        self._clear(trainer)

    def _clear(self, trainer: lightning.Trainer) -> None:
        self._in_steps = 0.0
        self._waited = _waited(trainer)
        self._batches = self._samples = 0


def log_now(trainer: lightning.Trainer, values: Mapping[str, float]) -> None:
    """Log values of this step, once; `LightningModule.log` would write them again at each later step."""
    if trainer.is_global_zero:
        for logger in trainer.loggers:
            logger.log_metrics(dict(values), step=trainer.global_step)


def _waited(trainer: lightning.Trainer) -> float:
    return float(getattr(trainer.train_dataloader, "waited_s", 0.0))


def step_flops(module: PortraitModule, batch: Any) -> float:
    """Floating-point operations of the transformer in a training step on ``batch``: those of its forward, counted,
    and twice as many for the way back."""
    with _uncompiled(module.transformer), torch.no_grad(), FlopCounterMode(display=False) as counter:
        module.losses(module.encoded(batch), module.generators(len(batch.key)))
    of_transformer = counter.get_flop_counts().get(type(module.transformer).__name__, {})
    return 3.0 * sum(of_transformer.values())


@contextlib.contextmanager
def _uncompiled(model: torch.nn.Module) -> Iterator[None]:
    """A compiled module that is called first while operations are counted would stay uncompiled for good."""
    compiled, model._compiled_call_impl = model._compiled_call_impl, None
    try:
        yield
    finally:
        model._compiled_call_impl = compiled


def device_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second that a device can do in ``dtype``: by its data sheet, or as a matrix product reaches."""
    if device.type == "cuda" and (known := get_available_flops(device, dtype)):
        return float(known)
    matrix = torch.ones(_MATRIX, _MATRIX, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(_TRIALS):
        start = time.perf_counter()
        (matrix @ matrix).sum().item()
        best = min(best, time.perf_counter() - start)
    return 2.0 * _MATRIX**3 / best


def _type(trainer: lightning.Trainer) -> torch.dtype:
    precision = str(trainer.precision)
    return torch.bfloat16 if "bf16" in precision else torch.float16 if precision.startswith("16") else torch.float32
