"""Lightning saves the loader's state in the middle of an epoch, and goes on with the very next batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from torch import Tensor

from training.data.batch import Sample
from training.data.clips import Clips
from training.data.loader import PortraitLoader


class Listening(lightning.LightningModule):
    """Writes down what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.seen: list[str] = []

    def training_step(self, batch: Sample, _: int) -> Tensor:
        self.seen.extend(batch.key)
        return self.scale * batch.video.mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer(folder: Path, steps: int) -> lightning.Trainer:
    quiet: dict[str, Any] = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
    return lightning.Trainer(
        default_root_dir=folder, accelerator="cpu", max_steps=steps, max_epochs=-1, enable_checkpointing=False, **quiet
    )


@pytest.mark.parametrize("stop", [3, 5, 8])
def test_a_resumed_fit_sees_what_an_unbroken_one_does(clips: Clips, tmp_path: Path, stop: int) -> None:
    def loader(**options: int) -> PortraitLoader:
        return PortraitLoader(clips, batch_size=4, frames=1, seed=2, **options)

    unbroken = Listening()
    trainer(tmp_path, 12).fit(unbroken, loader())
    assert len(unbroken.seen) == 48
    first, second = Listening(), Listening()
    stopped = trainer(tmp_path, stop)
    stopped.fit(first, loader(workers=1))
    stopped.save_checkpoint(tmp_path / "last.ckpt")
    trainer(tmp_path, 12).fit(second, loader(), ckpt_path=str(tmp_path / "last.ckpt"))
    assert first.seen + second.seen == unbroken.seen
