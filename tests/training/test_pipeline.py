"""A model's folder, used in a few lines, and the card that lies in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from factorportrait import main
from manifests.errors import UserError
from tests.conftest import Generated
from tests.training.conftest import Parts
from training.data.clips import Clips
from training.footage import Footage
from training.landmarks.cnn import CnnDetector, save_cnn
from training.landmarks.network import LandmarkNetwork
from training.model_card import model_card
from training.pipeline import PortraitPipeline
from training.portrait import export_portrait
from training.trained_on import TrainedOn, trained_on


def test_it_makes_what_the_command_makes(corpus: Generated, animated: Path, tmp_path: Path) -> None:
    portrait, driver = (f"{corpus.out}:{corpus.rows()[k]['key']}" for k in (0, 1))
    pipeline = PortraitPipeline.from_pretrained(animated).to("cpu")
    video = pipeline(
        portrait, driver, camera="spiral", num_frames=4, num_inference_steps=1, guidance_scale={"camera": 2}, seed=3,
        overlap=1,
    )  # fmt: skip
    assert (video.frames.dtype, len(video.frames)) == (np.uint8, 4)
    video.save(tmp_path / "mine.mp4")
    words = ["--portrait", portrait, "--driving", driver, "--camera", "spiral", "--frames", "4", "--steps", "1"]
    words += ["--guidance", "camera=2", "--seed", "3", "--overlap", "1", "--out", str(tmp_path / "v.mp4")]
    assert main(["animate", "--checkpoint", str(animated), *words]) == 0
    assert (tmp_path / "mine.mp4").read_bytes() == (tmp_path / "v.mp4").read_bytes()


def test_a_detector_goes_with_a_model(parts: Parts, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = parts.module()
    module.configure_model()
    stored = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(stored)
    torch.save(stored, tmp_path / "a.ckpt")
    detector = CnnDetector(LandmarkNetwork(4).eval(), 4, 32)
    save_cnn(detector, tmp_path / "detector")
    words = ["train", "export", str(tmp_path / "a.ckpt"), "--out", str(tmp_path / "model")]
    assert main(words) == 0
    assert PortraitPipeline.from_pretrained(tmp_path / "model").model.detector is None
    assert main([*words, "--landmarks", str(tmp_path / "detector")]) == 0
    found = PortraitPipeline.from_pretrained(tmp_path / "model").model.detector
    assert isinstance(found, CnnDetector)
    assert found.digest == detector.digest
    assert "its licence: as the corpus it was trained on" in (tmp_path / "model" / "README.md").read_text()
    capsys.readouterr()
    assert main([*words, "--landmarks", str(tmp_path / "nothing")]) == 2
    assert "no model folder" in capsys.readouterr().err


def test_the_folder_says_what_it_holds_and_runs_nothing_it_names(animated: Path, parts: Parts) -> None:
    index = json.loads((animated / "model_index.json").read_text())
    assert index["_class_name"] == "PortraitPipeline"
    for name in ("transformer", "codec", "expression"):
        assert (animated / name / "config.json").is_file()
        assert index[name][0].startswith("training.")
    files = [path for path in animated.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".md", ".safetensors"}


def test_the_card_names_corpus_heads_and_use(corpus: Generated) -> None:
    clips = Clips(str(corpus.out), split=None)
    seen = trained_on(str(corpus.out), clips)
    text = model_card(seen, Footage(frames=5, fps=10, width=64, height=64), 1_500_000, 2_000, untold=("pose",))
    header = yaml.safe_load(text.split("---")[1])
    assert header["pipeline_tag"] == "image-to-video"
    spec = clips.spec(0)
    assert f"{len(clips)} clips of {clips.people} rendered people" in text
    (head,) = (line for line in text.splitlines() if line.startswith("| head |"))
    assert all(part in head.replace("\\", "") for part in (spec["head"]["name"], spec["head"]["sha256"], "CC0-1.0"))
    assert "smplx" in text
    assert "to make anybody seem to say" in text
    assert "| conditions it is not told | pose |" in text
    assert "| steps of its training | 2,000 |" in text
    assert "rendered people alone" in text
    based = model_card(seen, Footage(), 1, 0, others={"base": "Wan2.1"})
    assert "| base | Wan2.1 |" in based
    assert "Its base may be others' work" in based
    assert "rendered people alone" not in based


def test_a_strangers_names_stay_text() -> None:
    told = TrainedOn((("<script>|`x`", "00"),), 1, 1, (("head", "[a](http://b)", "", "<b>", ""),))
    text = model_card(told, Footage(), 1, 0)
    assert "<script>" not in text
    assert "[a](" not in text
    assert "<b>" not in text


def test_a_checkpoint_that_does_not_say_has_a_card_that_does_not(parts: Parts, tmp_path: Path) -> None:
    module = parts.module()
    module.configure_model()
    stored = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(stored)
    del stored["factorportrait"]["trained on"]
    torch.save(stored, tmp_path / "a.ckpt")
    text = (export_portrait(tmp_path / "a.ckpt", tmp_path / "model") / "README.md").read_text()
    assert "What it was trained on is not recorded" in text


def test_the_card_says_when_an_expression_encoder_is_an_installed_packages(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = parts.module()
    module.configure_model()
    stored = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(stored)
    torch.save(stored, tmp_path / "a.ckpt")
    monkeypatch.setattr("training.portrait.OWN", {})
    text = (export_portrait(tmp_path / "a.ckpt", tmp_path / "model") / "README.md").read_text()
    assert "Its expression encoder may be others' work" in text
    assert "rendered people alone" not in text


@pytest.mark.parametrize("told", [{"clips": "many"}, {"assets": [["a", 1]]}, {"tea": 1}, [], {"corpora": 3}])
def test_a_checkpoint_whose_record_is_damaged(told: Any, parts: Parts, tmp_path: Path) -> None:
    module = parts.module()
    module.configure_model()
    stored = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(stored)
    stored["factorportrait"]["trained on"] = told
    torch.save(stored, tmp_path / "a.ckpt")
    with pytest.raises(UserError, match="is damaged"):
        export_portrait(tmp_path / "a.ckpt", tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_no_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no model, it holds no model_index\.json"):
        PortraitPipeline.from_pretrained(tmp_path)
