"""Encoders in folders: what is saved comes back, and nothing else is taken for one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from manifests.errors import UserError
from training.expression.cnn import CnnEncoder, CnnSizes, load_cnn, save_cnn
from training.expression.encoder import ExpressionEncoder
from training.expression.load import ENTRY_POINTS, load_encoder

SIZES = CnnSizes(code_size=6, picture_size=16, width=8)


@pytest.fixture
def encoder() -> CnnEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CnnEncoder(SIZES, SIZES.network().eval(), ("jawOpen",))


def test_a_saved_encoder_comes_back_bit_for_bit(encoder: CnnEncoder, tmp_path: Path) -> None:
    save_cnn(encoder, tmp_path / "encoder")
    again = load_encoder(tmp_path / "encoder")
    faces = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    codes = encoder.encode(faces)
    assert codes.shape == (3, 6)
    assert torch.equal(codes, again.encode(faces))
    assert (again.code_size, again.picture_size, again.digest) == (6, 16, encoder.digest)
    assert not again.training


def test_a_code_does_not_depend_on_its_batch(encoder: CnnEncoder) -> None:
    faces = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert torch.allclose(encoder.encode(faces)[1:2], encoder.encode(faces[1:2]), atol=1e-6)


def test_the_digest_follows_the_weights(encoder: CnnEncoder) -> None:
    with torch.no_grad():
        encoder.network.code.bias[0] += 1e-3
    assert CnnEncoder(SIZES, encoder.network, ("jawOpen",)).digest != encoder.digest


class Mean(ExpressionEncoder):
    code_size, picture_size, digest = 3, 8, "mean"

    def _encode(self, faces: Tensor) -> Tensor:
        return faces.mean(dim=(2, 3))


def load_mean(_folder: Path, _config: dict[str, Any]) -> ExpressionEncoder:
    return Mean()


def test_an_installed_package_plugs_in_another_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text('{"kind": "mean-of-tests"}')
    with pytest.raises(UserError, match="kind 'mean-of-tests', no expression encoder"):
        load_encoder(tmp_path)
    package = tmp_path / "site" / "mean_of_tests-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: mean-of-tests\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\nmean-of-tests = {__name__}:load_mean\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert load_encoder(tmp_path).encode(torch.ones(2, 3, 8, 8)).shape == (2, 3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kind": "patches"}, "is of kind 'patches', no expression encoder"),
        ({"kind": ["expression"]}, "no expression encoder"),
        ({"format": 99}, "is of format 99, this version reads 1"),
        ({"picture_size": 1_000_000}, "expression.picture_size: 1000000 given"),
        ({"width": "8"}, "expression.width: '8' given"),
        ({"code_size": None}, "expression.code_size: None given"),
        ({"code_size": 7}, "tensor 'code.bias'"),
        ({"target_names": "jawOpen"}, "target_names is no list of names"),
    ],
)
def test_damaged_folders_are_refused(
    encoder: CnnEncoder, tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    save_cnn(encoder, tmp_path / "encoder")
    file = tmp_path / "encoder" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))
    with pytest.raises(UserError, match=message):
        load_encoder(tmp_path / "encoder")


def test_a_folder_without_tensors_is_refused(encoder: CnnEncoder, tmp_path: Path) -> None:
    save_cnn(encoder, tmp_path / "encoder")
    (tmp_path / "encoder" / "model.safetensors").unlink()
    with pytest.raises(UserError, match="is missing"):
        load_cnn(tmp_path / "encoder", encoder.config())
