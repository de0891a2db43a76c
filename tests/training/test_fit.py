"""`factorportrait train fit` as a user runs it: a process, a configuration, a corpus; alone and as two ranks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from factorportrait import main
from tests.conftest import TESTS, Generated
from tests.training.conftest import Parts, noise_batch
from training.portrait import load_portrait

CONFIG = """
trainer:
  accelerator: cpu
  devices: 1
  max_steps: 4
  log_every_n_steps: 1
  callbacks:
    - class_path: training.callbacks.speed.Speed
      init_args: {every_n_steps: 2}
    - class_path: training.callbacks.swap_tests.SwapTests
      init_args: {every_n_steps: 4, clips: 2, shown: 1, split: test}
    - class_path: lightning.pytorch.callbacks.ModelCheckpoint
      init_args: {every_n_train_steps: 2, save_top_k: -1, filename: "{step}", dirpath: CHECKPOINTS}
model:
  transformer: {layers: 1, heads: 2, head_dim: 12, ffn_dim: 32, patch: 2, text_dim: 8, freq_dim: 16}
  optimiser: {warmup_steps: 0, learning_rate: 1.0e-3}
  sampler: {steps: 2}
data:
  frames: 5
  batch_size: 2
  workers: 0
  references: {frame: 0, view: 1, clip: 0}
  validation_clips: 0
"""


def fit_words(corpus: Generated, parts: Parts, out: Path, *words: str) -> list[str]:
    """The command line behind ``factorportrait``."""
    config = out.with_name(f"{out.name}.yaml")
    config.write_text(CONFIG.replace("CHECKPOINTS", str(out / "checkpoints")))
    return [
        "train", "fit", "--config", str(config), "--out", str(out), "--data.corpus", str(corpus.out), "--model.codec",
        parts.codec, "--model.expression", parts.expression, *words,
    ]  # fmt: skip


def run(corpus: Generated, parts: Parts, out: Path, *words: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "factorportrait", *fit_words(corpus, parts, out, *words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=TESTS.parent, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is ok, done.stderr
    return done


def logged(out: Path) -> dict[str, list[float]]:
    events = EventAccumulator(str(out / "log"))
    events.Reload()
    return {name: [event.value for event in events.Scalars(name)] for name in events.Tags()["scalars"]}


@pytest.fixture(scope="module")
def fitted(corpus: Generated, parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fit") / "run"
    run(corpus, parts, out)
    return out


def test_a_fit_leaves_checkpoints_a_log_pictures_and_a_model(fitted: Path) -> None:
    assert {path.name for path in (fitted / "checkpoints").iterdir()} >= {"step=2.ckpt", "step=4.ckpt", "final.ckpt"}
    scalars = logged(fitted)
    assert len(scalars["train/loss"]) == 4
    assert scalars["speed/samples_per_s"][0] > 0
    assert 0 <= scalars["speed/data_wait_share"][0] <= 1
    assert 0 < scalars["speed/mfu"][0] < 1.5
    assert set(scalars["data/faults"]) == {0}
    for name in (
        "psnr/foreground",
        "drop/expression/mouth_eyes",
        "lowered/rays/foreground",
        "drop/head_pose/foreground",
    ):
        assert len(scalars[f"swaps/{name}"]) == 1
    assert (fitted / "pictures" / "step-00000004.png").stat().st_size > 1000
    assert (fitted / "pictures" / "step-00000004.mp4").stat().st_size > 1000
    video = load_portrait(fitted / "model").predict(noise_batch())
    assert video.shape == (2, 3, 3, 32, 48)
    assert (fitted / "config.yaml").is_file() or (fitted / "log" / "config.yaml").is_file()


def test_a_run_goes_on_from_a_checkpoint_bit_by_bit(
    fitted: Path, corpus: Generated, parts: Parts, tmp_path: Path
) -> None:
    """By the command itself, in another process, with workers that read ahead."""
    run(corpus, parts, tmp_path / "on", "--resume", str(fitted / "checkpoints" / "step=2.ckpt"), "--data.workers", "1")
    assert logged(tmp_path / "on")["train/loss"] == logged(fitted)["train/loss"][2:]
    ends = [stored(out / "checkpoints" / "final.ckpt")["state_dict"] for out in (fitted, tmp_path / "on")]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


@pytest.mark.parametrize("strategy", ["ddp", "sharded"])
def test_two_ranks_train_as_one_does(
    strategy: str, fitted: Path, corpus: Generated, parts: Parts, tmp_path: Path
) -> None:
    """The same samples, noise and steps, so the same weights but for rounding; and one rank goes on from theirs."""
    both = ("--trainer.devices", "2", "--trainer.strategy", strategy, "--data.batch_size", "1")
    done = run(corpus, parts, tmp_path / "two", *both)
    assert done.stdout.splitlines()[-1].endswith("model")
    alone, two = (stored(out / "checkpoints" / "final.ckpt") for out in (fitted, tmp_path / "two"))
    assert two["factorportrait"]["samples_seen"] == alone["factorportrait"]["samples_seen"] == 8
    for name, value in alone["state_dict"].items():
        torch.testing.assert_close(two["state_dict"][name], value, rtol=1e-3, atol=2e-5)
    record = json.loads((tmp_path / "two" / "model" / "transformer" / "config.json").read_text())
    assert record["_class_name"] == "ConditionedTransformer"
    assert load_portrait(tmp_path / "two" / "model").predict(noise_batch()).isfinite().all()

    middle = str(tmp_path / "two" / "checkpoints" / "step=2.ckpt")
    run(corpus, parts, tmp_path / "again", *both, "--resume", middle)  # two go on as if they had not stopped
    again = stored(tmp_path / "again" / "checkpoints" / "final.ckpt")["state_dict"]
    assert all(torch.equal(again[name], value) for name, value in two["state_dict"].items())
    run(corpus, parts, tmp_path / "one", "--resume", middle)
    one = stored(tmp_path / "one" / "checkpoints" / "final.ckpt")["state_dict"]
    for name, value in alone["state_dict"].items():
        torch.testing.assert_close(one[name], value, rtol=1e-3, atol=2e-5)


def test_half_precision_accumulation_and_checkpointed_activations_by_configuration(
    corpus: Generated, parts: Parts, tmp_path: Path
) -> None:
    words = ("--trainer.precision", "bf16-mixed", "--trainer.accumulate_grad_batches", "2")
    run(corpus, parts, tmp_path / "run", *words, "--model.checkpoint_activations", "true", "--trainer.max_steps", "2")
    made = stored(tmp_path / "run" / "checkpoints" / "final.ckpt")
    assert made["factorportrait"]["samples_seen"] == 2 * 2 * 2  # a batch, accumulated, steps
    assert made["state_dict"]["transformer.proj_out.weight"].dtype == torch.float32


def test_sharded_ranks_refuse_a_checkpoint_of_another_make(
    fitted: Path, corpus: Generated, parts: Parts, tmp_path: Path
) -> None:
    words = ("--trainer.strategy", "sharded", "--model.transformer.heads", "3")
    done = run(
        corpus, parts, tmp_path / "run", *words, "--resume", str(fitted / "checkpoints" / "step=2.ckpt"), ok=False
    )
    assert "its architecture is" in done.stderr.strip().splitlines()[-1]


def test_a_report_of_a_model_on_people_of_a_list(fitted: Path, corpus: Generated, tmp_path: Path) -> None:
    rows = corpus.rows()
    test = [row["key"] for row in rows if row["split"] == "test"]
    (tmp_path / "list.txt").write_text("".join(f"{key}\n" for key in test[:2]))
    command = ["train", "report", str(corpus.out), "--model", str(fitted / "model"), "--out", str(tmp_path / "report")]
    assert main([*command, "--subset", str(tmp_path / "list.txt")]) == 0
    clips = json.loads((tmp_path / "report" / "swaps.json").read_text())["clips"]
    assert [clip["key"].split(".")[0] for clip in clips] == test[:2]
    assert all("[0:5]" in clip["key"] for clip in clips)  # as trained
    assert (tmp_path / "report" / "swaps.png").stat().st_size > 1000
    assert main([*command, "--frames", "2", "--step", "3"]) == 0
    clips = json.loads((tmp_path / "report" / "swaps.json").read_text())["clips"]
    assert all(re.search(r"\[\d:\d:3\]", clip["key"]) for clip in clips)


def stored(checkpoint: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(checkpoint, weights_only=True)
    return content


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--trainer.max_steps", "-1"), "trainer.max_steps"),
        (("--trainer.precision", "bf16-true"), "choose bf16-mixed"),
        (("--resume", "nowhere.ckpt"), "no such checkpoint"),
        (("--data.frames", "9"), "ask for fewer"),
        (("--model.codec", "nowhere"), "nowhere"),
        (("--model.flow.shift", "0"), "flow.shift"),
        (("--model.nonsense", "1"), "nonsense"),
        (("--data.batch_size", "40"), "batch_size"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_before_the_first_step(
    words: tuple[str, ...], said: str, corpus: Generated, parts: Parts, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert main(fit_words(corpus, parts, tmp_path / "wrong", *words)) == 2
    errors = capsys.readouterr().err
    last = errors.strip().splitlines()[-1]
    assert last.startswith("factorportrait: ")
    assert said in last
    assert "Traceback" not in errors
