"""What goes on beside the steps: speed is that of the steps alone, and a bar is closed however a fit ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import lightning
import pytest
import torch

from manifests.errors import UserError
from tests.training.conftest import Parts
from tests.training.test_module import Stream, quiet_trainer
from training.callbacks import progress, speed
from training.callbacks.progress import Progress
from training.callbacks.speed import Speed
from training.callbacks.swap_tests import SwapTests
from training.progress import Show


class Clock:
    """Tells the time it was set to."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


def test_what_goes_on_between_steps_is_not_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, logged = Clock(), {}
    monkeypatch.setattr(speed, "time", clock)
    monkeypatch.setattr(speed, "device_flops", lambda *_: 10.0)
    monkeypatch.setattr(speed, "step_flops", lambda *_: 4.0)
    logger = SimpleNamespace(log_metrics=lambda values, step: logged.update(values))
    loader = SimpleNamespace(waited_s=7.0)
    trainer: Any = SimpleNamespace(
        train_dataloader=loader, world_size=2, is_global_zero=True, loggers=[logger], global_step=2,
        precision="32-true",
        precision_plugin=SimpleNamespace(forward_context=contextlib.nullcontext),
    )  # fmt: skip
    module: Any = SimpleNamespace(device=torch.device("cpu"))
    batch = SimpleNamespace(key=("a", "b", "c"))

    callback = Speed(every_n_steps=2)
    callback.on_train_start(trainer, module)
    for k in range(2):
        loader.waited_s += 0.5
        clock.now += 0.5
        callback.on_train_batch_start(trainer, module, batch, k)
        clock.now += 2.0
        callback.on_train_batch_end(trainer, module, None, batch, k)
        clock.now += 100.0  # swap tests, validation, a checkpoint
    # The first wait was before anything was counted: the operations of a step are counted on its batch.
    assert logged["speed/samples_per_s"] == pytest.approx(2 * 3 * 2 / 4.5)
    assert logged["speed/data_wait_share"] == pytest.approx(0.5 / 4.5)
    assert logged["speed/mfu"] == pytest.approx(2 * 4 / 4.5 / 10)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_bar_is_closed_when_a_fit_fails(
    error: type[BaseException], parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    @contextlib.contextmanager
    def display() -> Iterator[Show]:
        yield lambda done, total, words: said.append(words)
        said.append("closed")

    class Fail(lightning.Callback):
        def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
            if trainer.global_step == 2:
                raise error

    monkeypatch.setattr(progress, "display", display)
    module = parts.module()
    trainer = quiet_trainer(4, [Progress(), Fail()], bar=True)
    with contextlib.suppress(error, SystemExit):
        trainer.fit(module, Stream(module))
    assert said[0].startswith("step 1 of 4, loss ")
    assert said[-1] == "closed"


@pytest.mark.parametrize("wrong", [{"every_n_steps": 0}, {"clips": 0}, {"shown": -1}, {"batch_size": 0}])
def test_swap_tests_out_of_range(wrong: dict[str, int]) -> None:
    with pytest.raises(UserError, match=f"swap_tests.{next(iter(wrong))}: "):
        SwapTests(**wrong)
