"""Folders that hold no codec."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from manifests.errors import UserError
from training.codec.load import load_codec


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ('{"kind": "expression"}', "'expression', no codec"),
        ('{"_class_name": "AutoencoderKL"}', "'AutoencoderKL', no codec"),
        ("{}", "'of no kind', no codec"),
        ('{"kind": ["patches"]}', "no codec"),
        ("[]", "holds no JSON object"),
        ("{", "cannot be read"),
        ('{"kind": "patches", "channels": 64, "patch": 8}', "model.safetensors is missing"),
    ],
)
def test_folders_that_hold_none(config: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(UserError, match=said):
        load_codec(tmp_path)


def test_damaged_tensors(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"kind": "patches", "channels": 64, "patch": 8}))
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(UserError, match="cannot be read"):
        load_codec(tmp_path)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no model folder, it holds no config\.json"):
        load_codec(tmp_path / "absent")


def test_patches_do_without_diffusers() -> None:
    code = "import sys, training.codec.load, training.codec.fit; sys.exit('diffusers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
