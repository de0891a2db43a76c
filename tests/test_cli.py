"""The command as a person meets it: what it says when something given is wrong, and how it stops."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import factorportrait
from tests.conftest import CONFIG, Generated, data_hashes, finish, start_generate

GENERATE = ["generate", str(CONFIG), "--out", "{tmp}/out"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["generate", "nowhere.yaml", "--out", "{tmp}/out"], ["nowhere.yaml", "demo"]),
        ([*GENERATE, "--frame", "5"], ["frame", "did you mean frames"]),
        ([*GENERATE, "--frames", "16"], ["frames", "16", "17"]),
        ([*GENERATE, "--frames", "many"], ["frames", "many"]),
        ([*GENERATE, "--camera.yaw_deg", "[40, 20]"], ["camera.yaw_deg", "[40, 20]"]),
        ([*GENERATE, "--camera.yaw_deg=7"], ["camera.yaw_deg", "7"]),
        ([*GENERATE, "--views", "0"], ["views", "0", "between 1 and"]),
        ([*GENERATE, "--templates", "{noir: 1}"], ["noir", "studio_black"]),
        ([*GENERATE, "--recipes", "{phone: 0}"], ["recipes"]),
        ([*GENERATE, "--head", "flame2099"], ["flame2099", "heads import"]),
        ([*GENERATE, "--head", "../../etc"], ["../../etc"]),
        ([*GENERATE, "--identity.components", "900"], ["identity.components", "900", "250"]),
        ([*GENERATE, "--workers", "0"], ["--workers", "0"]),
        ([*GENERATE, "--clips"], ["--clips", "no value"]),
        (["generate", str(CONFIG), "--out", "{tmp}/file/out"], ["{tmp}/file/out", "cannot be written"]),
        (["generate", str(CONFIG), "--out", "{tmp}"], ["{tmp}", "not empty", "another --out"]),
        (["status", "{tmp}/none"], ["{tmp}/none", "no corpus"]),
        (["preview", str(CONFIG), "--clip", "4", "--out", "{tmp}/x.png"], ["--clip 4", "0 to 3"]),
        (["preview", str(CONFIG), "--out", "{tmp}/x.txt"], ["x.txt", "PNG"]),
        (["preview", str(CONFIG), "--grid", "9", "--out", "{tmp}/x.png"], ["--grid 9", "between 1 and"]),
        (["preview", str(CONFIG), "--grid", "1", "--size", "9", "--out", "{tmp}/x.png"], ["--size 9", "16"]),
        (["preview", str(CONFIG), "--size", "64", "--out", "{tmp}/x.png"], ["--size", "--grid"]),
        (["preview", str(CONFIG), "--grid", "1", "--clip", "1"], ["--clip", "--grid"]),
        (["generate", "x" * 300 + ".yaml", "--out", "{tmp}/out"], ["xxx", "too long"]),
        (["heads", "build", "flame2020"], ["flame2020"]),
        (["heads", "import", "{tmp}/file", "--name", "A/b", "--licence", "x"], ["A/b"]),
        (["heads", "import", "{tmp}/none.pkl", "--name", "a", "--licence", "x"], ["none.pkl"]),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    words: list[str], named: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    before = data_hashes(tmp_path)
    status = factorportrait.main([word.replace("{tmp}", str(tmp_path)) for word in words])
    error = capsys.readouterr().err
    assert status == 2
    assert error.count("\n") == 1
    for word in named:
        assert word.replace("{tmp}", str(tmp_path)) in error
    assert data_hashes(tmp_path) == before


def test_an_absent_gpu_is_an_error_and_no_silent_fallback(tmp_path: Path) -> None:
    # What Ray and Blender look for, hidden: NVIDIA's, AMD's and Intel's.
    hidden = {"CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": "", "ZE_AFFINITY_MASK": ""}
    run = start_generate(tmp_path / "out", "--render.device", "cuda", **hidden)
    _, error = run.communicate()
    assert run.returncode == 2
    assert error.count("\n") == 1
    assert "render.device" in error
    assert "cuda" in error


def test_the_folder_of_another_corpus_is_left_alone(corpus: Generated, capsys: pytest.CaptureFixture[str]) -> None:
    before = data_hashes(corpus.out)
    words = ["generate", str(CONFIG), "--out", str(corpus.out), "--camera.yaw_deg", "[-30, 30]"]
    assert factorportrait.main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "camera.yaw_deg" in error
    assert factorportrait.main(["generate", str(CONFIG), "--out", str(corpus.out), "--clips", "3"]) == 2
    assert "clips: 3 is fewer" in capsys.readouterr().err
    assert data_hashes(corpus.out) == before


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(corpus: Generated, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = start_generate(out, "--workers", "1")
    while not any(out.glob("spool/*/*.tar")):
        assert run.poll() is None
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    _, error = run.communicate()
    assert run.returncode == 130
    assert "the same command goes on" in error
    assert "Traceback" not in error
    finish(start_generate(out))
    assert data_hashes(out) == data_hashes(corpus.out)


def test_status_reads_the_folder_alone(corpus: Generated, capsys: pytest.CaptureFixture[str]) -> None:
    assert factorportrait.main(["status", str(corpus.out)]) == 0
    assert "4 of 4 clips" in capsys.readouterr().out
    assert factorportrait.main(["status", str(corpus.out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "finished"


def test_preview_draws_a_sheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sheet.png"
    words = ["preview", str(CONFIG), "--clip", "1", "--out", str(file), "--views", "1", "--frames", "1"]
    assert factorportrait.main(words) == 0
    assert str(file) in capsys.readouterr().out
    assert file.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_preview_draws_different_people_in_a_grid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheets = []
    for name in ("a.png", "b.png"):
        words = ["preview", str(CONFIG), "--grid", "2", "--size", "64", "--out", str(tmp_path / name)]
        assert factorportrait.main(words) == 0
        captured = capsys.readouterr()
        assert str(tmp_path / name) in captured.out
        assert captured.err == ""  # no bar where there is no terminal
        sheets.append(np.asarray(Image.open(tmp_path / name)).astype(int))
    assert np.array_equal(*sheets)
    first, second = sheets[0][4:68, 4:68], sheets[0][4:68, 72:136]
    assert np.abs(first - second).mean() > 3
    assert sheets[0][70:, 4:68].max() > 150  # the labels


def test_help_needs_no_heavy_package() -> None:
    code = (
        "import sys, factorportrait\n"
        "try: factorportrait.main(['generate', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'bpy', 'ray', 'numpy', 'pyarrow'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"
