"""One training step, and what a checkpoint must hold for the next to be the same as if nothing had stopped."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from manifests.errors import UserError, require
from training.codec.codec import latent_size, slots
from training.codec.load import load_codec
from training.conditioning import CONDITIONS, Conditions, expression_channels, input_channels
from training.data.batch import Sample
from training.dit import ConditionedTransformer, TransformerSettings, build_transformer, load_transformer
from training.ema import start_average, update_average
from training.encode import Encode, Encoded
from training.expression.load import load_encoder
from training.flow import FlowSettings, draw_times, flow_loss, noisy, target
from training.footage import Footage
from training.optimiser import OptimiserSettings, make_optimiser, schedule
from training.portrait import Portrait, settings_record
from training.regions import LossWeights
from training.sampler import SamplerSettings, denoise
from training.sharded import Sharded, shard
from training.streams import stream, torch_generator
from training.trained_on import TrainedOn


@dataclass(frozen=True)
class DropoutSettings:
    """How often each condition is left out of a sample, on its own, so that guidance can weigh it later; at 1 a model
    is never told of it, in training or after."""

    reference: float = 0.1
    pose: float = 0.1
    camera: float = 0.1
    expression: float = 0.1

    def __post_init__(self) -> None:
        for name in CONDITIONS:
            require(0 <= getattr(self, name) <= 1, f"dropout.{name}", getattr(self, name), "a share from 0 to 1")

    @property
    def untold(self) -> tuple[str, ...]:
        """What a model is never told of."""
        return tuple(name for name in CONDITIONS if getattr(self, name) == 1)


class PortraitModule(lightning.LightningModule):
    """The conditioned transformer, its running average, and how they are trained.

    All that is random in a step follows from the seed and its samples' positions in the loader's order; so do the
    samples themselves. ``samples_seen`` is therefore the whole random and loader state.
    """

    def __init__(
        self,
        codec: str,
        expression: str,
        transformer: TransformerSettings = TransformerSettings(),
        base: str | None = None,
        flow: FlowSettings = FlowSettings(),
        dropout: DropoutSettings = DropoutSettings(),
        weights: LossWeights = LossWeights(),
        optimiser: OptimiserSettings = OptimiserSettings(),
        sampler: SamplerSettings = SamplerSettings(),
        average_decay: float = 0.999,
        checkpoint_activations: bool = False,
        compile: bool = False,
        seed: int = 0,
    ) -> None:
        """``codec`` and ``expression`` are folders of trained models. ``base`` is a folder in diffusers' format that
        the transformer starts from; it settles the size then, and ``transformer`` says nothing. Raises UserError when
        one of them cannot be read."""
        super().__init__()
        require(0 <= average_decay < 1, "average_decay", average_decay, "a share from 0 to below 1")
        self.encode = Encode(load_codec(codec), load_encoder(expression), weights)
        self.flow, self.dropout, self.optimiser_settings, self.sampler = flow, dropout, optimiser, sampler
        self.average_decay, self.seed = average_decay, seed
        self.samples_seen = 0
        self.footage = Footage()
        self.trained_on = TrainedOn()
        """The data set both."""
        self._keys: list[str] = []
        self._settings, self._base = transformer, base
        self._folders = str(Path(codec).absolute()), str(Path(expression).absolute())
        self._checkpoint_activations, self._compile = checkpoint_activations, compile
        self.transformer: ConditionedTransformer
        self.average: ConditionedTransformer

    def configure_model(self) -> None:
        """Build the transformer; Lightning calls this where sharded models are made."""
        if hasattr(self, "transformer"):
            return
        channels = {
            "in_channels": input_channels(self.encode.codec),
            "expression_channels": expression_channels(self.encode.codec, self.encode.expression.code_size),
        }
        if self._base:
            model = load_transformer(self._base, latent_channels=self.encode.codec.channels, **channels)
        else:
            with torch.random.fork_rng():
                torch.manual_seed(stream(self.seed, "weights"))
                model = build_transformer(self._settings, latent_channels=self.encode.codec.channels, **channels)
        model.freeze_text()
        self.average = start_average(model)
        self.transformer = model.train()
        if (mesh := getattr(self, "_device_mesh", None)) is not None:
            shard(self.transformer, mesh)
            shard(self.average, mesh)
        if self._checkpoint_activations:
            self.transformer.enable_gradient_checkpointing()
        if self._compile:
            self.transformer.compile()

    def setup(self, stage: str) -> None:
        self.encode.to(self.trainer.strategy.root_device)  # `self.device` is still the CPU here

    def check(self, frames: int, size: tuple[int, int]) -> None:
        """Raises UserError for videos of so many frames of (height, width) that codec or transformer cannot take."""
        slots(self.encode.codec, frames)
        rows, columns = latent_size(self.encode.codec, *size)
        patch = self.transformer.config.patch_size[1] if hasattr(self, "transformer") else self._settings.patch
        if rows % patch or columns % patch:
            raise UserError(
                f"transformer.patch: {patch} does not divide the {rows} x {columns} latents of {size[0]} x {size[1]} "
                "pixels; choose another patch or resolution"
            )

    def training_step(self, batch: Sample | Encoded, batch_idx: int) -> Tensor:
        """Raises UserError that names the batch when its loss is not finite."""
        losses = self.losses(self.encoded(batch), self.generators(len(batch.key)))
        self._keys.extend(batch.key)
        if not bool(losses.isfinite().all()):
            raise self._not_finite("loss", [key for key, x in zip(batch.key, losses, strict=True) if not x.isfinite()])
        loss = losses.mean()
        self.log("train/loss", loss.detach(), prog_bar=True, batch_size=len(losses))
        self.samples_seen += len(losses) * self.trainer.world_size  # here, for checkpoints come before the batch's end
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Raises UserError that names what was summed up when the gradient is not finite: no weight has been touched
        then."""
        norm = gradient_norm(self.transformer)
        if not bool(norm.isfinite()):
            raise self._not_finite("gradient", of_all_ranks(self._keys))
        self.log("train/gradient_norm", norm, batch_size=len(self._keys))
        self._keys.clear()

    def optimizer_step(self, *arguments: Any, **named: Any) -> None:
        super().optimizer_step(*arguments, **named)
        self.follow(self.global_step + 1)

    def follow(self, step: int) -> None:
        """Move the average on after so many optimiser steps."""
        update_average(self.average, self.transformer, step, self.average_decay)

    def validation_step(self, batch: Sample | Encoded, batch_idx: int) -> None:
        """The averaged model's loss, at the same times and noise in every validation."""
        generators = [torch_generator(self.seed, "validation", key) for key in batch.key]
        never = DropoutSettings(**{name: float(name in self.dropout.untold) for name in CONDITIONS})
        losses = self.losses(self.encoded(batch), generators, self.average, never)
        self.log("validation/loss", losses.mean(), batch_size=len(losses), sync_dist=True, prog_bar=True)

    def losses(
        self,
        encoded: Encoded,
        generators: Sequence[torch.Generator],
        model: torch.nn.Module | None = None,
        dropout: DropoutSettings | None = None,
    ) -> Tensor:
        """The loss of each sample [B], at times, with noise and conditions that each one's generator draws."""
        clean = encoded.latents
        times = torch.cat([draw_times(self.flow, 1, generator) for generator in generators]).to(clean)
        noise = torch.stack([torch.randn(clean.shape[1:], generator=g) for g in generators]).to(clean)
        told = self._dropped(encoded.conditions, dropout or self.dropout, generators)
        prediction = denoise(model or self.transformer, noisy(clean, noise, times), times, told)
        return flow_loss(prediction, target(self.flow, clean, noise), encoded.weight)

    @torch.no_grad()
    def predict(
        self,
        sample: Sample,
        driver: Sample | None = None,
        sampler: SamplerSettings | None = None,
        seed: int = 0,
    ) -> Tensor:
        """`Portrait.predict` by the averaged weights."""
        untold = self.dropout.untold
        model = Portrait(self.encode, self.average, self.flow, self.sampler, self.footage, untold)
        there = None if driver is None else driver.to(self.device)
        return model.predict(sample.to(self.device), there, sampler, seed)

    def configure_optimizers(self) -> Any:
        """Raises UserError for Muon over sharded weights, whose matrices no rank has whole."""
        if self.optimiser_settings.name == "muon" and isinstance(self.trainer.strategy, Sharded):
            raise UserError("optimiser.name: muon needs whole matrices, sharded ranks hold parts; choose adamw")
        optimiser = make_optimiser(self.transformer, self.optimiser_settings)
        factor = schedule(self.optimiser_settings, self.trainer.max_steps)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["factorportrait"] = {
            "samples_seen": self.samples_seen,
            "codec folder": self._folders[0],
            "expression folder": self._folders[1],
            "untold": list(self.dropout.untold),
            "trained on": dataclasses.asdict(self.trained_on),
            "base": Path(self._base).name if self._base else "",
            **settings_record(self.flow, self.sampler, self.footage),
            **self._identity(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raises UserError for a checkpoint of other software, another codec, encoder, optimiser, seed or
        architecture."""
        saved = checkpoint.get("factorportrait")
        if not isinstance(saved, dict):
            raise UserError("checkpoint: was not written by this project; give one from its own runs")
        self.configure_model()
        for name, value in self._identity().items():
            if saved.get(name) != value:
                raise UserError(
                    f"checkpoint: its {name} is {_short(saved.get(name))}, this run's is {_short(value)}; go on with "
                    f"the {name} it was trained with, or start anew without the checkpoint"
                )
        self.samples_seen = int(saved["samples_seen"])

    def _identity(self) -> dict[str, Any]:
        """What a checkpoint only makes sense with."""
        config = {name: value for name, value in self.transformer.config.items() if not name.startswith("_")}
        return {
            "architecture": {name: list(v) if isinstance(v, tuple) else v for name, v in config.items()},
            "codec": self.encode.codec.digest,
            "expression encoder": self.encode.expression.digest,
            "prediction": self.flow.prediction,
            "optimiser": self.optimiser_settings.name,
            "seed": self.seed,
        }

    def _not_finite(self, what: str, keys: list[str]) -> UserError:
        return UserError(
            f"the {what} is not finite at sample {self.samples_seen}: {', '.join(keys[:_NAMED])}"
            f"{f' and {len(keys) - _NAMED} more' if len(keys) > _NAMED else ''}; look at these clips, "
            "lower optimiser.learning_rate, or train in 32 bits; go on from the last checkpoint, which is from before"
        )

    def encoded(self, batch: Sample | Encoded) -> Encoded:
        return self.encode(batch) if isinstance(batch, Sample) else batch

    def generators(self, count: int) -> list[torch.Generator]:
        """Of the next ``count`` samples of this rank, by their position among those of all ranks: as the loader has it
        (`training.data.order.batches`), so that any number of ranks draws the same for a sample."""
        first = self.samples_seen + self.global_rank
        ranks = self._trainer.world_size if self._trainer else 1
        return [torch_generator(self.seed, "step", first + k * ranks) for k in range(count)]

    def _dropped(self, told: Conditions, dropout: DropoutSettings, generators: Sequence[torch.Generator]) -> Conditions:
        drawn = torch.stack([torch.rand(len(CONDITIONS), generator=generator) for generator in generators])
        for name, at in zip(CONDITIONS, drawn.T, strict=True):
            if share := getattr(dropout, name):
                told = told.without([name], (at < share).to(told.pose.device))
        return told

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        return batch.to(device)


def gradient_norm(model: torch.nn.Module) -> Tensor:
    """Of all weights together, over all ranks where they are sharded."""
    norm = torch.nn.utils.get_total_norm([w.grad for w in model.parameters() if w.grad is not None])
    return norm.full_tensor() if isinstance(norm, DTensor) else norm


def of_all_ranks(keys: Sequence[str]) -> list[str]:
    """All ranks must ask at once."""
    if not torch.distributed.is_initialized():
        return list(keys)
    gathered: list[list[str]] = [[] for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather_object(gathered, list(keys))
    return [key for each in gathered for key in each]


_NAMED = 8


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {item}" for name, item in sorted(value.items())) + "}"
    return value[:12] if isinstance(value, str) else str(value)
