"""`factorportrait train fit`: Lightning's command line over the module and the data."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import TensorBoardLogger

from manifests.errors import UserError
from training.callbacks.progress import Progress
from training.callbacks.speed import Speed
from training.datamodule import PortraitData
from training.module import PortraitModule
from training.portrait import export_portrait


def fit(arguments: Sequence[str] | None = None) -> Path | None:
    """Train as ``--config FILE`` and what overrides it say; the folder of the trained model, on the first rank.

    Raises UserError for a wrong configuration, before anything is trained.
    """
    with warnings.catch_warnings():
        _quiet()
        command = parse(arguments)
        trainer, resume = command.trainer, command.config["resume"]
        if trainer.max_steps < 1:
            raise UserError("trainer.max_steps: not set; a fit has no last epoch, so give the number of steps")
        if trainer.precision not in ("bf16-mixed", "32-true", "64-true"):
            raise UserError(
                f"trainer.precision: {trainer.precision} rounds the weights, or needs losses scaled, which hides "
                "gradients that are not finite; choose bf16-mixed or 32-true"
            )
        last = Path(command.config["out"]) / "checkpoints" / "last.ckpt"
        if resume is None and last.exists():
            raise UserError(f"--out {command.config['out']}: holds a run; go on with --resume {last}, or name another")
        if resume is not None and not Path(resume).exists():
            raise UserError(f"--resume {resume}: no such checkpoint; name one that this run's folder holds")
        try:
            trainer.fit(command.model, command.datamodule, ckpt_path=resume, weights_only=True)
        except SystemExit as stop:  # so Lightning ends at Ctrl-C
            raise KeyboardInterrupt("stopped; go on with --resume and the last checkpoint") from stop
    if trainer.interrupted:
        raise KeyboardInterrupt("stopped; go on with --resume and the last checkpoint")
    return finish(trainer, Path(command.config["out"]))


def finish(trainer: Trainer, out: Path) -> Path | None:
    """Write the last checkpoint and, on the first rank, the model that it makes."""
    last = out / "checkpoints" / "final.ckpt"
    trainer.save_checkpoint(last)
    if not trainer.is_global_zero:
        return None
    return export_portrait(last, out / "model") if last.is_file() else last  # a folder of each rank's part


def parse(arguments: Sequence[str] | None = None) -> LightningCLI:
    """The command line, with trainer, module and data built. Raises UserError for what is wrong in it."""
    try:
        return _Command(
            PortraitModule,
            PortraitData,
            args=list(arguments) if arguments is not None else None,
            run=False,
            seed_everything_default=False,
            save_config_callback=SaveConfigCallback,
            save_config_kwargs={"overwrite": True},
            trainer_defaults={"use_distributed_sampler": False, "num_sanity_val_steps": 0},
            parser_kwargs={"prog": "factorportrait train fit", "exit_on_error": False, "default_env": False},
        )
    except argparse.ArgumentError as error:
        raise UserError(f"train fit: {' '.join(str(error).split())}; see factorportrait train fit --help") from None


class _Command(LightningCLI):
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--out", type=str, default="out/train", help="folder of checkpoints, logs and videos")
        parser.add_argument("--resume", type=str, default=None, help="checkpoint to go on from")
        parser.link_arguments("model.seed", "data.seed")
        parser.set_defaults(
            {
                "trainer.check_val_every_n_epoch": None,
                "trainer.log_every_n_steps": 20,
                "trainer.gradient_clip_val": 1.0,
                "trainer.enable_model_summary": False,
            }
        )

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        """Lightning's, with a log and checkpoints in the run's folder, and callbacks of ours where none were given."""
        out, settings = Path(self.config["out"]), self.config_init["trainer"]
        callbacks = list(settings["callbacks"] or [])
        if not any(isinstance(callback, Speed) for callback in callbacks):
            callbacks.append(Speed())
        callbacks.sort(key=lambda callback: not isinstance(callback, Speed))  # first: it times what the others do not
        if settings["enable_progress_bar"] is not False:
            callbacks.append(Progress())
        if settings["enable_checkpointing"] is not False and not any(isinstance(c, ModelCheckpoint) for c in callbacks):
            callbacks.append(checkpoints(out))
        if settings["logger"] in (None, True):
            kwargs["logger"] = TensorBoardLogger(out, name="log", version="")
        return super().instantiate_trainer(callbacks=callbacks, default_root_dir=str(out), **kwargs)


def checkpoints(out: Path, every_n_steps: int = 500) -> ModelCheckpoint:
    """The last few, and ``last.ckpt``, a link to the newest."""
    return ModelCheckpoint(
        dirpath=out / "checkpoints",
        filename="step-{step:08d}",
        auto_insert_metric_name=False,
        every_n_train_steps=every_n_steps,
        monitor="step",
        mode="max",
        save_top_k=_KEPT,
        save_last="link",
    )


def _quiet() -> None:
    """Advice that does not apply: there are no epochs, the average is meant to stand still, and so on."""
    for text in _KNOWN:
        warnings.filterwarnings("ignore", f".*{text}")


_KEPT = 3

_KNOWN = (
    "LightningCLI's args parameter",
    "does not have many workers",
    "max_epochs",
    "IterableDataset",
    "isinstance.treespec",
    "overridden `transfer_batch_to_device`",
    "module.s. in eval mode",
    "Mismatch dtype between input and weight",
    "no `val_dataloader`",
)
