"""A model of the tests' corpus that has learnt nothing, in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.conftest import Generated
from tests.training.conftest import Parts
from training.data.clips import Clips
from training.footage import describe
from training.portrait import export_portrait


@pytest.fixture(scope="session")
def model(corpus: Generated, parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    module = parts.module()
    module.configure_model()
    with torch.no_grad():
        for weight in (module.average.proj_out.weight, module.average.expression_embedder.out.weight):
            torch.nn.init.normal_(weight, std=0.2, generator=torch.Generator().manual_seed(1))
    module.footage = describe(str(corpus.out), Clips(str(corpus.out)), 3, 1)
    stored = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(stored)
    folder = tmp_path_factory.mktemp("animation")
    torch.save(stored, folder / "a.ckpt")
    return export_portrait(folder / "a.ckpt", folder / "model")
