"""Cases are the same windows each time, with the motion that made them; damaged clips are refused."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from manifests.clip import Motion
from manifests.errors import UserError
from tests.conftest import Generated
from training.cases import Case, CaseSettings, make_cases
from training.data.clips import Clips
from training.pose_normals import camera_space, render_pose_normals

NORMAL_ATOL = 0.008
"""Normals are stored in bytes."""


@pytest.fixture
def clips(corpus: Generated) -> Clips:
    return Clips(str(corpus.out), split=None, frames=5, views=2)


def rendered(case: Case) -> Tensor:
    sample = case.sample
    pose = sample.world_to_camera.numpy()
    size = sample.video.shape[-2:]
    world = render_pose_normals(case.head, case.motion, sample.intrinsics.numpy(), pose, *size, case.subdivision)
    return torch.from_numpy(camera_space(world, pose))


def test_cases_follow_from_clip_and_seed(clips: Clips) -> None:
    cases = make_cases(clips, CaseSettings(frames=5))
    few = make_cases(clips, CaseSettings(clips=2, frames=5))
    again = make_cases(clips, CaseSettings(frames=5))
    keys = [case.sample.key[0] for case in cases]
    assert len(few) == 2
    for a, b in zip(cases, again, strict=True):
        assert a.sample.key == b.sample.key
        assert torch.equal(a.sample.video, b.sample.video)
        assert np.array_equal(a.motion.neck, b.motion.neck)
    assert len({id(case.head) for case in cases}) == 1
    assert {case.sample.key[0] for case in few} < set(keys)
    other = [case.sample.key[0] for case in make_cases(clips, CaseSettings(frames=5, seed=3))]
    assert other != keys
    assert [key[:14] for key in other] == [key[:14] for key in keys]
    for case in cases:
        target, _, reference = case.sample.key[0].partition(" from ")
        assert target.split("[")[0] != reference.split("[")[0]
        assert case.sample.video.shape == (3, 5, 64, 80)
        assert case.motion.frames == 5
        assert case.subdivision == 1


def test_windows_take_their_own_part_of_the_motion(clips: Clips) -> None:
    for case in make_cases(clips, CaseSettings(frames=2, step=2)):
        made, stored = rendered(case), case.sample.pose_normals
        assert stored.shape[1] == 2
        assert ((made - stored).abs() < NORMAL_ATOL).all(0).float().mean() > 0.999


class Damaged(Clips):
    """The corpus's clips, with a change to what their records or motions say."""

    def __init__(
        self,
        corpus: Generated,
        record: Callable[[dict[str, Any]], object] = lambda spec: None,
        move: Callable[[Motion], Motion] = lambda motion: motion,
    ) -> None:
        super().__init__(str(corpus.out), split=None, frames=5, views=2)
        self._record, self._move = record, move

    def spec(self, i: int) -> dict[str, Any]:
        spec = copy.deepcopy(super().spec(i))
        self._record(spec)
        return spec

    def motion(self, i: int) -> Motion:
        return self._move(super().motion(i))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (lambda spec: spec["head"].update(sha256="0" * 64), "import that file"),
        (lambda spec: spec["head"].update(name="../open"), "a name has"),
        (lambda spec: spec["head"].update(name="absent"), "absent"),
        (lambda spec: spec.pop("head"), "says nothing of 'head'"),
        (lambda spec: spec.update(head=3), "says nothing of"),
        (lambda spec: spec["render"].update(subdivision=9), "subdivision = 9"),
        (lambda spec: spec["render"].update(subdivision=True), "subdivision = True"),
        (lambda spec: spec.update(render="none"), "subdivision = None"),
    ],
)
def test_records_that_do_not_fit_are_refused(
    corpus: Generated, record: Callable[[dict[str, Any]], object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        make_cases(Damaged(corpus, record=record), CaseSettings(frames=5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"root": np.zeros((3, 3), np.float32)}, "root"),
        ({"neck": np.zeros((5, 4), np.float32)}, "neck"),
        ({"jaw": np.zeros(5, np.float32)}, "jaw"),
        ({"translation": np.full((5, 3), np.nan, np.float32)}, "no number"),
        ({"shape": np.full(10, np.inf, np.float32)}, "no number"),
    ],
)
def test_motions_that_move_no_head_are_refused(corpus: Generated, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_cases(Damaged(corpus, move=lambda motion: dataclasses.replace(motion, **change)), CaseSettings(frames=5))


def test_settings_that_ask_for_nothing_are_refused() -> None:
    for name in ("clips", "frames", "step"):
        with pytest.raises(UserError, match=f"cases.{name}: 0"):
            CaseSettings(**{name: 0})
