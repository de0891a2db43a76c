"""A checkpoint becomes a folder that is whole, or a line that says what is wrong; the old folder stays until then."""

from __future__ import annotations

import copy
import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint
from safetensors.torch import load_file, save_file

from manifests.errors import UserError
from tests.training.conftest import Parts, noise_batch, write_codec
from training.portrait import export_portrait, load_portrait


@pytest.fixture(scope="module")
def stored(parts: Parts) -> dict[str, Any]:
    """What a checkpoint holds of a model; its average is not what is trained."""
    module = parts.module()
    module.configure_model()
    with torch.no_grad():
        module.average.proj_out.weight.copy_(
            torch.linspace(-1, 1, module.average.proj_out.weight.numel()).view_as(module.average.proj_out.weight)
        )
    checkpoint: dict[str, Any] = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(checkpoint)
    return checkpoint


@pytest.fixture
def model(stored: dict[str, Any], tmp_path: Path) -> Path:
    torch.save(stored, tmp_path / "a.ckpt")
    return export_portrait(tmp_path / "a.ckpt", tmp_path / "model")


def test_a_model_is_the_average_of_its_checkpoint(stored: dict[str, Any], model: Path) -> None:
    weights = load_portrait(model).transformer.state_dict()
    averaged = {name[8:]: value for name, value in stored["state_dict"].items() if name.startswith("average.")}
    assert weights.keys() == averaged.keys()
    assert all(torch.equal(weights[name], value) for name, value in averaged.items())


def without(*path: str) -> Callable[[dict[str, Any]], None]:
    def damage(stored: dict[str, Any]) -> None:
        for name in path[:-1]:
            stored = stored[name]
        del stored[path[-1]]

    return damage


def change(value: Any, *path: str) -> Callable[[dict[str, Any]], None]:
    def damage(stored: dict[str, Any]) -> None:
        for name in path[:-1]:
            stored = stored[name]
        stored[path[-1]] = value

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        without("state_dict"),
        without("state_dict", "average.proj_out.bias"),
        without("factorportrait", "architecture"),
        without("factorportrait", "codec folder"),
        without("factorportrait", "expression encoder"),
        without("factorportrait", "flow"),
        change("tiny", "factorportrait", "architecture"),
        change(2, "factorportrait", "architecture", "num_layers"),
        change("two", "factorportrait", "architecture", "num_layers"),
        change(2**40, "factorportrait", "architecture", "ffn_dim"),
        change(0, "factorportrait", "architecture", "num_attention_heads"),
        change(torch.zeros(1), "state_dict", "average.more"),
        change(torch.zeros(3), "state_dict", "average.proj_out.bias"),
        change(None, "state_dict", "average.proj_out.bias"),
        change({"tea": 1}, "factorportrait", "sampler"),
        change({"steps": 0}, "factorportrait", "sampler"),
        change(3, "factorportrait", "codec folder"),
    ],
)
def test_a_damaged_checkpoint_is_said_and_the_old_model_stays(
    damage: Callable[[dict[str, Any]], None], stored: dict[str, Any], model: Path, tmp_path: Path
) -> None:
    damaged = {**copy.deepcopy({**stored, "state_dict": None}), "state_dict": dict(stored["state_dict"])}
    damage(damaged)
    torch.save(damaged, tmp_path / "damaged.ckpt")
    with pytest.raises(UserError, match=r"damaged\.ckpt: is damaged \(.+\); export another checkpoint"):
        export_portrait(tmp_path / "damaged.ckpt", model)
    load_portrait(model)


def test_a_changed_codec_is_said_and_the_old_model_stays(stored: dict[str, Any], model: Path, tmp_path: Path) -> None:
    about = {**stored["factorportrait"], "codec folder": str(write_codec(tmp_path / "other", 5))}
    torch.save({**stored, "factorportrait": about}, tmp_path / "other.ckpt")
    with pytest.raises(UserError, match="other: changed since the training; restore the codec"):
        export_portrait(tmp_path / "other.ckpt", model)
    load_portrait(model)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ckpt", "model", "other", "other.ckpt"]


def test_another_transformer_is_refused(model: Path) -> None:
    file = model / "transformer" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    tensors["proj_out.bias"] = tensors["proj_out.bias"] + 1
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(UserError, match="model/transformer: is not what the model was trained with"):
        load_portrait(model)


@pytest.mark.parametrize(
    ("field", "value"), [("frames", "5"), ("fps", -1), ("focal", "x"), ("fps", float("nan")), ("distance_m", 1e9)]
)
def test_damaged_footage_is_said(model: Path, field: str, value: Any) -> None:
    record = json.loads((model / "model_index.json").read_text())
    record["footage"][field] = value
    (model / "model_index.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match=r"model_index\.json: is damaged \(footage: "):
        load_portrait(model)


def test_parts_of_ranks_are_gathered_as_the_error_says(
    stored: dict[str, Any], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "parts.ckpt"
    torch.distributed.checkpoint.save({"state_dict": stored["state_dict"]}, checkpoint_id=folder, no_dist=True)
    torch.save({"factorportrait": stored["factorportrait"]}, folder / "meta.pt")  # as Lightning lays it out
    with pytest.raises(UserError, match=r"each rank's part.* one_file") as error:
        export_portrait(folder, model)
    command = str(error.value).split("`")[1].split()
    assert command[:2] == ["python", "-m"]
    monkeypatch.setattr(sys, "argv", command[2:])
    runpy.run_module(command[2], run_name="__main__")
    again = load_portrait(export_portrait(f"{folder}.consolidated", tmp_path / "again"))
    assert torch.equal(again.predict(noise_batch()), load_portrait(model).predict(noise_batch()))
