"""Features by the folder's kind; the Fréchet distance of sets whose distance is known."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from manifests.errors import UserError
from training.evaluation.features import frechet_distance, load_features

VIDEO = torch.rand(3, 6, 40, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_frames_and_videos(dino: Path, video_mae: Path) -> None:
    frames = load_features(dino)
    seen = frames(VIDEO)
    assert seen.shape == (6, 16)
    torch.testing.assert_close(frames(VIDEO[:, 2:3])[0], seen[2])
    videos = load_features(video_mae)
    assert videos(VIDEO).shape == (1, 16)
    assert videos(VIDEO[:, :3]).shape == (1, 16)  # fewer frames than it looks at
    assert not torch.allclose(videos(VIDEO), videos(VIDEO.flip(1)))  # it sees order


def test_colours_are_what_the_folder_says(dino: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(dino, folder)
    before = load_features(folder)(VIDEO)
    told = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    assert not torch.allclose(load_features(folder)(VIDEO), before)
    for wrong in ('{"image_mean": "grey"}', '{"image_std": [0, 1, 1]}', '{"image_mean": [1, 2]}'):
        (folder / "preprocessor_config.json").write_text(wrong)
        with pytest.raises(UserError, match="image_mean and image_std are no three numbers"):
            load_features(folder)


def test_the_distance_of_gaussians() -> None:
    """Equal spread, means (1, 2) apart: 1 + 4. Equal means, twice the deviation in D = 3: 3 (2 - 1)²."""
    draw = torch.randn(20_000, 3, generator=torch.Generator().manual_seed(1))
    assert frechet_distance(draw, draw) == pytest.approx(0, abs=1e-4)
    assert frechet_distance(draw, draw + torch.tensor([1.0, 2.0, 0.0])) == pytest.approx(5, rel=1e-3)
    assert frechet_distance(draw, 2 * draw) == pytest.approx(3, rel=0.03)


def test_folders_that_hold_none(dino: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no config\.json"):
        load_features(tmp_path)
    folder = tmp_path / "model"
    shutil.copytree(dino, folder)
    config = json.loads((folder / "config.json").read_text())
    for change in ({"model_type": "bert"}, {"model_type": ["dinov2"]}):
        (folder / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(UserError, match="give one of dinov2"):
            load_features(folder)
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "evil.Evil"}}))
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    load_features(folder)  # and what it names is not run
    save_file({"another": torch.zeros(2)}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="weights are missing"):
        load_features(folder)
    (folder / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"features .*model: cannot be read"):
        load_features(folder)
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"features .*model: cannot be read"):
        load_features(folder)
