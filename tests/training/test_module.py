"""The training step: what it is told, what it saves, and that stopping changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch

from manifests.errors import UserError
from tests.training.conftest import SMALL, Parts, noise_batch, write_codec, write_encoder
from training.callbacks.speed import step_flops
from training.data.batch import Sample
from training.dit import TransformerSettings
from training.flow import FlowSettings
from training.module import DropoutSettings, PortraitModule
from training.optimiser import OptimiserSettings
from training.portrait import export_portrait, load_portrait


class Stream:
    """Endless batches from wherever the module stands, as the loader gives them."""

    def __init__(self, module: PortraitModule, batch: int = 2) -> None:
        self._module, self._batch = module, batch

    def __iter__(self) -> Iterator[Sample]:
        at = self._module.samples_seen
        while True:
            yield noise_batch(seed=at, batch=self._batch)
            at += self._batch


class Losses(lightning.Callback):
    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.seen.append(float(outputs["loss"]))


def train(module: PortraitModule, steps: int, resume: Path | None = None, save: Path | None = None, **more: Any) -> Any:
    losses = Losses()
    trainer = quiet_trainer(steps, [losses], **more)
    trainer.fit(module, Stream(module), ckpt_path=resume, weights_only=True)
    if save:
        trainer.save_checkpoint(save)
    return losses.seen


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_a_run_that_stops_and_goes_on_is_the_same_to_the_last_bit(parts: Parts, tmp_path: Path, optimiser: str) -> None:
    settings = {"optimiser": OptimiserSettings(optimiser, warmup_steps=4, schedule="cosine"), "seed": 3}  # type: ignore[arg-type]
    whole = parts.module(**settings)
    losses = train(whole, 6, save=tmp_path / "whole.ckpt")

    first = parts.module(**settings)
    before = train_with_end(first, 3, 6, tmp_path / "half.ckpt")
    second = parts.module(**settings)
    after = train(second, 6, resume=tmp_path / "half.ckpt")
    assert [*before, *after] == losses
    assert second.samples_seen == whole.samples_seen == 12
    for name, value in whole.state_dict().items():
        assert torch.equal(second.state_dict()[name], value), name


class KilledError(Exception):
    """Stands for whatever ends a process."""


def train_with_end(module: PortraitModule, stop: int, steps: int, save: Path) -> list[float]:
    """Train towards ``steps``, killed after ``stop`` of them, when a checkpoint has been written."""

    class Kill(lightning.Callback):
        def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
            if trainer.global_step == stop:
                trainer.save_checkpoint(save)
                raise KilledError

    losses = Losses()
    trainer = quiet_trainer(steps, [losses, Kill()])
    with pytest.raises(KilledError):
        trainer.fit(module, Stream(module))
    return losses.seen


def quiet_trainer(steps: int, callbacks: list[lightning.Callback], bar: bool = False, **more: Any) -> lightning.Trainer:
    return lightning.Trainer(
        accelerator="cpu", devices=1, max_steps=steps, logger=False, enable_progress_bar=bar,
        enable_checkpointing=False, enable_model_summary=False, gradient_clip_val=1.0, callbacks=callbacks, **more,
    )  # fmt: skip


def test_it_learns_a_batch_by_heart(parts: Parts) -> None:
    module = parts.module(
        optimiser=OptimiserSettings(learning_rate=1e-2, warmup_steps=0),
        flow=FlowSettings("sample", shift=1.0),
        dropout=DropoutSettings(0, 0, 0, 0),
        transformer=TransformerSettings(layers=2, heads=2, head_dim=24, ffn_dim=64, patch=2, text_dim=8, freq_dim=16),
    )
    batches: Any = torch.utils.data.DataLoader([noise_batch()] * 60, batch_size=None)
    losses = Losses()
    trainer = quiet_trainer(60, [losses])
    trainer.fit(module, batches)
    assert sum(losses.seen[-5:]) < 0.6 * sum(losses.seen[:5])


def test_the_average_follows_the_weights_and_is_what_predicts(parts: Parts) -> None:
    module = parts.module(average_decay=0.9, optimiser=OptimiserSettings(learning_rate=1e-2, warmup_steps=0))
    train(module, 3)
    moved = module.transformer.proj_out.weight
    average = module.average.proj_out.weight
    assert not average.requires_grad
    assert 0 < average.norm() < moved.norm()
    before = module.predict(noise_batch())
    with torch.no_grad():
        moved.zero_()
    assert torch.equal(module.predict(noise_batch()), before)
    with torch.no_grad():
        average.zero_()
    assert not torch.equal(module.predict(noise_batch()), before)


def test_each_condition_reaches_the_prediction(parts: Parts) -> None:
    module = parts.module(optimiser=OptimiserSettings(learning_rate=1e-2, warmup_steps=0))
    train(module, 4)
    own, other = noise_batch(0), noise_batch(1)
    before = module.predict(own, own)
    assert before.shape == own.video.shape
    assert torch.equal(module.predict(own), before)  # its own driver, and the same noise
    assert not torch.equal(module.predict(own, other), before)
    for names in (["reference"], ["pose_normals"], ["intrinsics", "world_to_camera"]):
        swapped = Sample(**{**vars(own), **{name: getattr(other, name) for name in names}})
        assert not torch.equal(module.predict(swapped, own), before), names
    # nothing of the truth reaches it
    blind = Sample(**{**vars(own), "video": torch.zeros_like(own.video), "alpha": torch.zeros_like(own.alpha)})
    assert torch.equal(module.predict(blind, own), before)


def test_a_sample_is_predicted_the_same_in_any_batch(parts: Parts) -> None:
    module = parts.module()
    module.configure_model()
    with torch.no_grad():
        torch.nn.init.normal_(module.average.proj_out.weight, generator=torch.Generator().manual_seed(0))
    both = noise_batch(batch=2)
    one = Sample(key=both.key[1:], **{n: v[1:] for n, v in vars(both).items() if n != "key"})
    torch.testing.assert_close(module.predict(one)[0], module.predict(both)[1], rtol=1e-4, atol=1e-4)


def test_a_loss_that_is_not_finite_stops_with_the_batchs_keys(parts: Parts) -> None:
    class Poisoned(Stream):
        def __iter__(self) -> Iterator[Sample]:
            for k, batch in enumerate(super().__iter__()):
                if k == 1:
                    batch.video[1] = torch.nan
                yield batch

    module = parts.module()
    trainer = quiet_trainer(4, [])
    with pytest.raises(UserError, match=r"not finite at sample 2: noise-2-1;"):
        trainer.fit(module, Poisoned(module))


def test_a_gradient_that_is_not_finite_touches_no_weight(parts: Parts) -> None:
    module = parts.module()
    module.configure_model()
    module.transformer.patch_embedding.bias.register_hook(lambda gradient: gradient * torch.inf)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(UserError, match=r"the gradient is not finite at sample 2: noise-0-0, noise-0-1;"):
        train(module, 2)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_all_that_was_summed_up_is_named_when_the_sum_is_not_finite(parts: Parts) -> None:
    module = parts.module()
    module.configure_model()
    module.transformer.patch_embedding.bias.register_hook(lambda gradient: gradient * torch.inf)
    with pytest.raises(UserError, match=r"sample 4: noise-0-0, noise-0-1, noise-2-0, noise-2-1;"):
        train(module, 2, accumulate_grad_batches=2)


def test_another_optimiser_does_not_go_on(parts: Parts, tmp_path: Path) -> None:
    train(parts.module(), 1, save=tmp_path / "adamw.ckpt")
    other = parts.module(optimiser=OptimiserSettings("muon"))
    with pytest.raises(UserError, match="its optimiser is adamw, this run's is muon"):
        train(other, 2, resume=tmp_path / "adamw.ckpt")


def test_a_compiled_step_is_the_step(parts: Parts) -> None:
    """Falls back to nothing: without a compiler it fails."""
    plain, compiled = parts.module(), parts.module(compile=True)
    losses = []
    for module in (plain, compiled):
        module.configure_model()
        losses.append(module.losses(module.encode(noise_batch()), module.generators(2)))
        losses[-1].mean().backward()
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-4, atol=1e-5)
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    theirs, ours = (dict(module.transformer.named_parameters()) for module in (plain, compiled))
    for name, weight in theirs.items():
        if weight.grad is not None:
            torch.testing.assert_close(ours[name].grad, weight.grad, rtol=1e-3, atol=1e-5)


def test_counting_operations_leaves_a_model_to_be_compiled(parts: Parts) -> None:
    module = parts.module()
    module.configure_model()
    graphs: list[int] = []

    def backend(graph: torch.fx.GraphModule, inputs: object) -> Callable[..., object]:
        graphs.append(len(graph.graph.nodes))
        return graph.forward

    torch._dynamo.reset()
    module.transformer.compile(backend=backend)
    counted = step_flops(module, noise_batch())
    assert counted > 0
    assert not graphs
    module.losses(module.encode(noise_batch()), module.generators(2))
    assert sum(graphs) > 0
    torch._dynamo.reset()


def test_a_checkpoint_of_another_make_is_refused(parts: Parts, tmp_path: Path) -> None:
    train(parts.module(), 1, save=tmp_path / "a.ckpt")
    wider = TransformerSettings(**{**vars(SMALL), "heads": 3})
    with pytest.raises(UserError, match=r"its architecture is .*attention_heads: 2.*this run's is .*heads: 3"):
        train(parts.module(transformer=wider), 2, resume=tmp_path / "a.ckpt")
    other = Parts(str(write_codec(tmp_path / "codec", 1)), parts.expression)
    with pytest.raises(UserError, match="its codec is"):
        train(other.module(), 2, resume=tmp_path / "a.ckpt")
    other = Parts(parts.codec, str(write_encoder(tmp_path / "expression", 1)))
    with pytest.raises(UserError, match="its expression encoder is"):
        train(other.module(), 2, resume=tmp_path / "a.ckpt")
    with pytest.raises(UserError, match="its seed is 0, this run's is 5"):
        train(parts.module(seed=5), 2, resume=tmp_path / "a.ckpt")


def test_a_checkpoint_becomes_a_model_that_predicts_the_same(parts: Parts, tmp_path: Path) -> None:
    module = parts.module(optimiser=OptimiserSettings(learning_rate=1e-2, warmup_steps=0))
    train(module, 3, save=tmp_path / "a.ckpt")
    folder = export_portrait(tmp_path / "a.ckpt", tmp_path / "model")
    again = load_portrait(folder)
    assert torch.equal(again.predict(noise_batch()), module.predict(noise_batch()))
    assert json.loads((folder / "model_index.json").read_text())["training_steps"] == 3
    export_portrait(tmp_path / "a.ckpt", tmp_path / "model")  # replaces it
    (folder / "codec" / "model.safetensors").write_bytes(
        (write_codec(tmp_path / "other", 2) / "model.safetensors").read_bytes()
    )
    with pytest.raises(UserError, match="not what the model was trained with"):
        load_portrait(folder)


def test_what_is_no_checkpoint_or_model_is_said(parts: Parts, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such checkpoint"):
        export_portrait(tmp_path / "none.ckpt", tmp_path / "model")
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    with pytest.raises(UserError, match="no checkpoint of this project"):
        export_portrait(tmp_path / "foreign.ckpt", tmp_path / "model")
    torch.save(Losses(), tmp_path / "pickle.ckpt")  # would run code if it were unpickled
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        export_portrait(tmp_path / "pickle.ckpt", tmp_path / "model")
    with pytest.raises(UserError, match="no model"):
        load_portrait(tmp_path)
    train(parts.module(), 1, save=tmp_path / "a.ckpt")
    (tmp_path / "taken").mkdir()
    with pytest.raises(UserError, match="name another place"):
        export_portrait(tmp_path / "a.ckpt", tmp_path / "taken")


@pytest.mark.parametrize("name", ["reference", "pose", "camera", "expression"])
def test_dropout_shares_are_checked(name: str) -> None:
    with pytest.raises(UserError, match=f"dropout.{name}: 1.5"):
        DropoutSettings(**{name: 1.5})


def test_conditions_are_dropped_on_their_own_as_often_as_said(parts: Parts) -> None:
    module = parts.module(dropout=DropoutSettings(0.1, 0.3, 0.0, 0.5))
    module.configure_model()
    told = module.encode(noise_batch(batch=400, frames=1, height=8, width=8)).conditions
    dropped = module._dropped(told, module.dropout, module.generators(400))
    shares = {
        name: float((getattr(dropped, name).flatten(1) == 0).all(1).float().mean())
        for name in ("reference", "pose", "camera", "expression")
    }
    assert shares == pytest.approx({"reference": 0.1, "pose": 0.3, "camera": 0.0, "expression": 0.5}, abs=0.06)
    both = ((dropped.pose.flatten(1) == 0).all(1) & (dropped.expression.flatten(1) == 0).all(1)).float().mean()
    assert float(both) == pytest.approx(0.15, abs=0.05)


def test_what_a_model_is_never_told_of_makes_no_difference_to_it(parts: Parts, tmp_path: Path) -> None:
    module = parts.module(
        dropout=DropoutSettings(0, 1, 0, 0), optimiser=OptimiserSettings(learning_rate=1e-2, warmup_steps=0)
    )
    train(module, 3, save=tmp_path / "a.ckpt")
    own, other = noise_batch(0), noise_batch(1)
    turned = Sample(**{**vars(own), "pose_normals": other.pose_normals})
    seen = Sample(**{**vars(own), "world_to_camera": other.world_to_camera})
    model = load_portrait(export_portrait(tmp_path / "a.ckpt", tmp_path / "model"))
    assert model.untold == ("pose",)
    for predict in (module.predict, model.predict):
        assert torch.equal(predict(own), predict(turned))
        assert not torch.equal(predict(own), predict(seen))


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_an_average_that_never_follows_is_refused(decay: float, parts: Parts) -> None:
    with pytest.raises(UserError, match=f"average_decay: {decay}"):
        parts.module(average_decay=decay)
