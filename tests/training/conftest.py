"""A codec and an encoder as small as they can be, and a batch of noise to train on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from datagen.geometry import cameras
from tests.conftest import Generated, Once
from training.codec.patches import fit_patches, save_patches
from training.data.batch import Sample
from training.data.clips import Clips
from training.dit import TransformerSettings
from training.expression.cnn import CnnEncoder, CnnSizes, save_cnn
from training.footage import describe
from training.landmarks.fit import fit_landmarks
from training.landmarks.settings import LandmarkSettings
from training.module import PortraitModule
from training.portrait import export_portrait

SMALL = TransformerSettings(layers=1, heads=2, head_dim=12, ffn_dim=32, patch=2, text_dim=8, freq_dim=16)


@dataclass(frozen=True)
class Parts:
    """Folders of frozen models."""

    codec: str
    expression: str

    def module(self, **settings: Any) -> PortraitModule:
        settings.setdefault("transformer", SMALL)
        return PortraitModule(self.codec, self.expression, **settings)


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    folder = tmp_path_factory.mktemp("parts")
    return Parts(str(write_codec(folder / "codec", 0)), str(write_encoder(folder / "expression", 0)))


@pytest.fixture(scope="session")
def learnt(corpus: Generated, once: Once) -> Path:
    """A landmark detector, trained on the few people there are until it knows them."""
    settings = LandmarkSettings(width=12, picture_size=32, steps=500, batch=24)
    return once.make("detector", lambda place: str(fit_landmarks(str(corpus.out), place, settings)))[0]


@pytest.fixture(scope="session")
def animated(corpus: Generated, parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Path:
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


def write_codec(folder: Path, seed: int, channels: int = 6) -> Path:
    pictures = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    save_patches(fit_patches([(pictures, pictures)], channels), folder)
    return folder


def write_encoder(folder: Path, seed: int) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sizes = CnnSizes(code_size=4, picture_size=16, width=2)
        save_cnn(CnnEncoder(sizes, sizes.network().eval(), ("a", "b")), folder)
    return folder


def noise_batch(seed: int = 0, batch: int = 2, frames: int = 3, height: int = 32, width: int = 48) -> Sample:
    """Of the shapes and ranges that samples have."""
    draw = torch.Generator().manual_seed(seed)

    def pixels(*shape: int) -> torch.Tensor:
        return torch.rand(batch, *shape, generator=draw)

    eyes = pixels(frames, 3).double().numpy() + [0, 0, 2]
    return Sample(
        key=tuple(f"noise-{seed}-{k}" for k in range(batch)),
        reference=pixels(3, height, width) * 2 - 1,
        reference_landmarks=pixels(70, 2) * height,
        video=pixels(3, frames, height, width) * 2 - 1,
        alpha=pixels(1, frames, height, width),
        pose_normals=torch.nn.functional.normalize(pixels(3, frames, height, width) - 0.5, dim=1),
        intrinsics=torch.from_numpy(cameras.intrinsics_from_focal([[50.0] * frames] * batch, width, height)).float(),
        world_to_camera=torch.from_numpy(cameras.look_at(eyes, [0.0, 0.0, 0.0])).float(),
        landmarks=pixels(frames, 70, 2) * height,
    )
