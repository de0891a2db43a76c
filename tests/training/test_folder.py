"""A model folder is replaced whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLWan

from manifests.errors import UserError
from training.codec.load import load_codec
from training.codec.wan import save_wan, small_wan
from training.folder import check_place, read_tensors, replacing_folder, write_folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder that holds a model."""
    write_folder(tmp_path / "model", {"kind": "old"}, {"x": torch.ones(1)})
    return tmp_path / "model"


def listed(folder: Path) -> list[str]:
    """With what is hidden."""
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_takes_its_place_whole(place: Path) -> None:
    with replacing_folder(place) as beside:
        (beside / "parts").mkdir()
        (beside / "parts" / "new.txt").write_text("new")
        assert read_tensors(place)["x"] == 1  # until then the old one is there
    assert (place / "parts" / "new.txt").read_text() == "new"
    assert listed(place) == ["parts"]
    assert listed(place.parent) == ["model"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in (place, place / "parts", place / "parts" / "new.txt")] == [
        0o755, 0o755, 0o644,
    ]  # fmt: skip


def test_a_failure_in_the_middle_leaves_the_old_model(place: Path) -> None:
    def write_half() -> None:
        with replacing_folder(place) as beside:
            (beside / "half.txt").write_text("half")
            raise RuntimeError("half of it")

    with pytest.raises(RuntimeError, match="half of it"):
        write_half()
    assert read_tensors(place)["x"] == 1
    assert listed(place.parent) == ["model"]


def test_a_failure_between_the_renames_leaves_the_old_model(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if target == place and "-old" not in path.name:
            raise OSError("disk is gone")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="disk is gone"):
        write_folder(place, {"kind": "new"}, {"x": torch.zeros(1)})
    assert read_tensors(place)["x"] == 1
    assert listed(place.parent) == ["model"]


def test_a_link_to_a_model_stays_a_link(place: Path) -> None:
    link = place.with_name("link")
    link.symlink_to(place)
    write_folder(link, {"kind": "new"}, {"x": torch.zeros(1)})
    assert link.is_symlink()
    assert read_tensors(place)["x"] == 0


def test_a_model_that_cannot_be_written_leaves_the_old_one(place: Path, tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_folder(place, {"kind": object()}, {"x": torch.zeros(1)})
    assert read_tensors(place)["x"] == 1

    class Failing(AutoencoderKLWan):
        def save_pretrained(self, save_directory: Any, **options: Any) -> None:
            super().save_pretrained(save_directory, **options)
            raise OSError("disk is full")

    old = small_wan(z_dim=2, base_dim=2)
    save_wan(old, tmp_path / "wan")
    digest = load_codec(tmp_path / "wan").digest
    with pytest.raises(OSError, match="disk is full"):
        save_wan(Failing.from_config(old.config), tmp_path / "wan")
    assert load_codec(tmp_path / "wan").digest == digest
    assert listed(tmp_path) == ["model", "wan"]


def test_a_place_is_taken_by_what_is_no_model(place: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for free in (place, tmp_path / "none", tmp_path / "empty"):
        check_place(free)
    for taken in (tmp_path, place / "config.json"):
        with pytest.raises(UserError, match="is there already and no model folder"):
            check_place(taken)
