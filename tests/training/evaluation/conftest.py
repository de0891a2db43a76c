"""Networks of the shapes that metrics need, with weights that were drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers

from training.evaluation.lpips import Lpips


@pytest.fixture(scope="session")
def alexnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As torchvision lays it out: what is not of the features lies beside them."""
    path = tmp_path_factory.mktemp("alexnet") / "alexnet.pth"
    draw = torch.Generator().manual_seed(0)
    shapes = {name: value.shape for name, value in Lpips().state_dict().items() if name.startswith("features.")}
    state = {name: torch.randn(shape, generator=draw) * (1.5 / max(shape[1:].numel(), 1)) ** 0.5
             for name, shape in shapes.items()}  # fmt: skip
    torch.save({**state, "classifier.6.bias": torch.zeros(1000)}, path)
    return path


@pytest.fixture(scope="session")
def dino(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dino") / "model"
    config = transformers.Dinov2Config(
        image_size=28, patch_size=14, hidden_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    _drawn(transformers.Dinov2Model, config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def video_mae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videomae") / "model"
    config = transformers.VideoMAEConfig(
        image_size=32, num_frames=4, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    _drawn(transformers.VideoMAEModel, config).save_pretrained(folder)
    return folder


def _drawn(kind: type, config: object) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: torch.nn.Module = kind(config)
    return model
