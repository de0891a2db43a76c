"""The matrix of independence on rendered videos, in which one thing alone changes: it must be near the ideal, or the
readings are not what they are called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from datagen.heads.model import HeadModel, load_head, rotation_matrices
from manifests.clip import Motion
from tests.conftest import finish, start_generate
from tests.training.conftest import Parts
from tests.training.tracking.test_report import Remembering
from training.data.clips import Clips, Window
from training.data.samples import colours
from training.evaluation.independence import Told, independence_matrix, read_change, told_change
from training.evaluation.readings import Judge, Reading, displacements

FRAMES = 5
SHARED = {
    "clips": "2", "identities": "1", "frames": str(FRAMES), "fps": "3", "recipes": "{studio: 1}", "labels": "[]",
    "splits": "{train: 1, validation: 0, test: 0}", "camera.yaw_deg": "[-35, 35]", "render.samples": "1",
    "motion.speech_share": "0",
}  # fmt: skip
STILL_HEAD = {
    "motion.yaw_deg": "[0, 0]", "motion.pitch_deg": "[0, 0]", "motion.roll_deg": "[0, 0]", "motion.sway_m": "0",
    "motion.extreme_share": "1", "motion.jaw_open_deg": "25",
}  # fmt: skip
STILL_FACE = {
    "motion.emotion_strength": "[0, 0]", "motion.extreme_share": "0", "motion.blinks_per_minute": "[0, 0]",
    "motion.eye_yaw_deg": "0", "motion.eye_pitch_deg": "0",
}  # fmt: skip


@dataclass(frozen=True)
class Rendered:
    """A clip's two views, and what moved in it."""

    windows: list[Window]
    motion: Motion
    head: HeadModel
    judge: Judge

    def read(self, view: int, frames: range) -> tuple[Told, Reading]:
        window, chosen = self.windows[view], list(frames)
        assert window.rgb is not None
        motion = self.motion.at(chosen)
        told = Told(
            codes=torch.full((len(chosen), 1), float(chosen[0])),
            displacements=displacements(self.head, motion),
            head=rotation_matrices(motion.root) @ rotation_matrices(motion.neck),
            camera=window.world_to_camera[chosen, :3, :3],
        )
        reading = self.judge.read(colours(window.rgb[chosen]), window.intrinsics[chosen], 3.0, motion.shape)
        assert reading is not None
        return told, reading


def render(out: Path, parts: Parts, options: dict[str, str]) -> list[Rendered]:
    words = [word for name, value in {**SHARED, **options}.items() for word in (f"--{name}", value)]
    finish(start_generate(out, *words))
    clips = Clips(str(out))
    head = load_head(clips.spec(0)["head"]["name"])
    judge = Judge(parts.module().encode, Remembering(str(out), "train"), head)
    both = [(view, range(FRAMES)) for view in range(2)]
    return [Rendered(clips.windows(i, both, members=("rgb",)), clips.motion(i), head, judge) for i in range(len(clips))]


def test_what_changes_alone_is_read_alone(parts: Parts, tmp_path: Path) -> None:
    faces, heads = render(tmp_path / "faces", parts, STILL_HEAD), render(tmp_path / "heads", parts, STILL_FACE)
    early, late = range(2), range(3, 5)
    changes = []
    for face, head in zip(faces, heads, strict=True):
        pairs = [
            (face.read(0, early), face.read(0, late)),
            (head.read(0, early), head.read(0, late)),
            (face.read(0, early), face.read(1, early)),
        ]
        changes.append((
            tuple(told_change(first[0], second[0]) for first, second in pairs),
            tuple(change for first, second in pairs if (change := read_change(first, second)) is not None),
        ))  # fmt: skip
    found = np.array(independence_matrix(changes).matrix)
    matrix = found[:, 1:]  # without codes: the tests' encoder reads no expression
    assert matrix.diagonal() == pytest.approx(np.ones(3), abs=0.25), matrix
    assert np.abs(matrix - np.diag(matrix.diagonal())).max() < 0.2, matrix
