"""EEVEE draws through OpenGL, here in software: in a process of its own, since a broken driver takes that down."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from manifests.decode import decode

_RENDER = """
import sys
from pathlib import Path
from datagen.config import load_config
from datagen.pipeline import Pipeline

config = load_config(sys.argv[1], {"frames": "1", "resolution": "[96, 96]", "views": "1", "render.engine": sys.argv[3],
                                   "labels": "[segmentation]", "recipes": "{studio: 1}"})
for member in Pipeline(config.to_json()).members(0):
    Path(sys.argv[2], member.name).write_bytes(member.data)
"""


def test_eevee_shows_the_person_that_cycles_shows(tmp_path: Path) -> None:
    made = {}
    for engine in ("cycles", "eevee"):
        folder = tmp_path / engine
        folder.mkdir()
        corpus = str(Path(__file__).parents[2] / "corpus.yaml")
        done = subprocess.run(
            [sys.executable, "-c", _RENDER, corpus, str(folder), engine], capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr[-2000:]
        made[engine] = [decode(n, (folder / n).read_bytes())[0] for n in ("v00.rgb.mp4", "v00.alpha.mkv")]
    (cycles_colour, cycles_alpha), (eevee_colour, eevee_alpha) = made["cycles"], made["eevee"]
    a, b = cycles_alpha > 127, eevee_alpha > 127
    assert (a & b).sum() / (a | b).sum() > 0.97
    both = a & b
    difference = np.abs(cycles_colour[both].astype(float) - eevee_colour[both]).mean()
    assert difference < 25
    assert eevee_colour[both].std() > 10
