"""Every shipped configuration is read by the command itself, and makes the model it says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import training.configs
from tests.conftest import Generated
from tests.training.conftest import Parts
from training.dit import TransformerSettings, build_transformer
from training.fit import parse
from training.size import transformer_size

CONFIGS = {path.stem: path for path in Path(training.configs.__file__).parent.glob("*.yaml")}

SIZES = {  # latent channels, temporal and spatial stride of the codec; pictures; millions of weights
    "tiny": (64, 1, 8, 64, 6.3),
    "wan-1.3b": (16, 4, 8, 512, 1422),
    "wan-5b": (48, 4, 16, 512, 5011),
    "wan-14b": (16, 4, 8, 512, 14317),
}
CODE = 64


def channels(name: str) -> dict[str, int]:
    z, stride, *_ = SIZES[name]
    return {"latent_channels": z, "in_channels": 3 * z + 6 * stride, "expression_channels": stride * CODE + 1}


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(CONFIGS[name].read_text())
    return content


def test_there_is_a_size_for_each() -> None:
    assert CONFIGS.keys() >= SIZES.keys()


@pytest.mark.parametrize("name", sorted(SIZES))
def test_it_is_instantiated_on_the_meta_device(name: str) -> None:
    config = read(name)
    settings = TransformerSettings(**config["model"]["transformer"])
    with torch.device("meta"):
        model = build_transformer(settings, **channels(name))
    assert all(weight.is_meta for weight in model.parameters())
    millions = sum(weight.numel() for weight in model.parameters()) / 1e6
    assert millions == pytest.approx(SIZES[name][4], rel=0.02)


@pytest.mark.parametrize("name", sorted(SIZES))
def test_the_command_reads_it(name: str, corpus: Generated, parts: Parts, tmp_path: Path) -> None:
    """All but the machine and the data, of which the tests have others, is as the file says."""
    command = parse([
        "--config", str(CONFIGS[name]), "--out", str(tmp_path), "--data.corpus", str(corpus.out), "--data.frames", "5",
        "--data.batch_size", "2", "--model.codec", parts.codec, "--model.expression", parts.expression,
        "--model.base", "null", "--trainer.accelerator", "cpu", "--trainer.devices", "1", "--trainer.strategy", "auto",
        "--trainer.num_nodes", "1",
    ])  # fmt: skip
    config = read(name)
    assert command.trainer.max_steps == config["trainer"]["max_steps"]
    assert command.trainer.gradient_clip_val == config["trainer"]["gradient_clip_val"]
    assert command.trainer.precision == config["trainer"]["precision"]
    assert command.model._settings == TransformerSettings(**config["model"]["transformer"])
    assert vars(command.model.flow).items() >= config["model"]["flow"].items()
    assert command.model.optimiser_settings.learning_rate == float(config["model"]["optimiser"]["learning_rate"])
    wanted = {entry["class_path"] for entry in config["trainer"].get("callbacks", ())}
    names = {f"{type(each).__module__}.{type(each).__name__}" for each in command.trainer.callbacks}
    assert wanted <= names


@pytest.mark.parametrize("name", sorted(SIZES))
def test_its_activation_memory(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    config = read(name)
    settings = TransformerSettings(**config["model"]["transformer"])
    _, stride, spatial, edge, _ = SIZES[name]
    slots = (config["data"]["frames"] - 1) // stride + 2
    latents = (slots, edge // spatial, edge // spatial)
    plain, checkpointed = (
        transformer_size(settings, **channels(name), latents=latents, checkpointed=choice) for choice in (False, True)
    )
    with capsys.disabled():
        gib = [size.activation_bytes / 2**30 for size in (plain, checkpointed)]
        sys.stdout.write(
            f"\n{name}: {plain.parameters / 1e6:,.1f} M weights, {plain.tokens} tokens, activations of a sample "
            f"{gib[0]:.3g} GiB, checkpointed {gib[1]:.3g} GiB\n"
        )
    assert plain.tokens == slots * (edge // spatial // settings.patch) ** 2
    tokens_gib = plain.tokens * settings.heads * settings.head_dim * 4 * settings.layers / 2**30
    assert 3 * tokens_gib < gib[0] < 60 * tokens_gib  # of each layer so many vectors a token are kept
    assert gib[1] < gib[0] / 5


def test_a_checkpointed_model_keeps_what_is_counted() -> None:
    """The count is that of a real forward and not of a formula: one more layer adds the same again."""
    counted = [
        transformer_size(
            TransformerSettings(layers=layers, heads=2, head_dim=12, ffn_dim=32, patch=1, text_dim=8, freq_dim=16),
            latent_channels=4, in_channels=18, expression_channels=5, latents=(3, 4, 4),
        ).activation_bytes
        for layers in (1, 2, 3)
    ]  # fmt: skip
    assert counted[2] - counted[1] == counted[1] - counted[0] > 0
