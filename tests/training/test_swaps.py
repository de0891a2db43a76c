"""Swap tests find what a model does with its conditions, and what it does not."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from manifests.errors import UserError
from tests.conftest import Generated
from training.cases import Case, CaseSettings, make_cases
from training.data.batch import TENSORS, Sample
from training.data.clips import Clips
from training.measures import MOST_DB, psnr
from training.pose_normals import camera_space, render_pose_normals
from training.swap_report import SWAPS
from training.swaps import Trial, make_trials, measure_swaps, predictions

NORMAL_ATOL = 0.008
"""Normals are stored in bytes."""


@pytest.fixture(scope="module")
def cases(corpus: Generated) -> list[Case]:
    return make_cases(Clips(str(corpus.out), split=None, frames=5, views=2), CaseSettings(frames=5))


@pytest.fixture(scope="module")
def trials(cases: list[Case]) -> list[Trial]:
    return make_trials(cases)


class Oracle:
    """Gives the truth, with an error of 0.2 more for each condition that is not the case's own, but those ignored."""

    def __init__(self, cases: list[Case], *ignored: str) -> None:
        self.own = {case.sample.key[0]: case.sample for case in cases}
        self.ignored = ignored

    def __call__(self, sample: Sample, driver: Sample) -> Tensor:
        return torch.stack([self._video(sample, driver, b) for b in range(len(sample.key))])

    def _video(self, sample: Sample, driver: Sample, b: int) -> Tensor:
        own = self.own[sample.key[b]]
        wrong = {
            "reference": not torch.equal(sample.reference[b], own.reference),
            "cameras": not torch.equal(sample.world_to_camera[b], own.world_to_camera),
            "normals": not torch.equal(sample.pose_normals[b], own.pose_normals),
            "expression": not torch.equal(driver.video[b], own.video),
        }
        return own.video + 0.2 * sum(is_wrong for name, is_wrong in wrong.items() if name not in self.ignored)


def test_an_oracle_loses_by_every_swap_as_much_as_it_must(cases: list[Case], trials: list[Trial]) -> None:
    report = measure_swaps(Oracle(cases), trials, batch_size=3)
    assert report.keys == tuple(case.sample.key[0] for case in cases)
    assert (report.of("unswapped") == MOST_DB).all()
    for swap in SWAPS:
        expected = 20 if swap != "camera" else 20 - 20 * math.log10(2)
        assert report.of(swap) == pytest.approx(expected, abs=1e-3)
        found = report.finding(swap)
        assert found.drop.mean == pytest.approx(MOST_DB - expected, abs=1e-3)
        assert found.lowered == 1
    assert (report.of("copied_reference") < 25).all()


@pytest.mark.parametrize(
    ("ignored", "free"),
    [("expression", {"expression"}), ("cameras", {"rays"}), ("normals", {"head_pose"})],
)
def test_what_is_ignored_costs_nothing(cases: list[Case], trials: list[Trial], ignored: str, free: set[str]) -> None:
    report = measure_swaps(Oracle(cases, ignored), trials)
    for swap in SWAPS:
        found = report.finding(swap)
        assert (found.drop.mean, found.lowered) == (0, 0) if swap in free else found.drop.mean > 10


def test_an_error_in_the_mouth_shows_in_the_mouth(cases: list[Case], trials: list[Trial]) -> None:
    oracle = Oracle(cases)

    def mouths(sample: Sample, driver: Sample) -> Tensor:
        """Wrong only about the mouth, and only when another drives."""
        video = torch.stack([oracle.own[key].video + 0.01 for key in sample.key])
        centre = torch.stack([oracle.own[key].landmarks[:, 48:68].mean(1) for key in sample.key])
        for b, moved in enumerate((driver.video != sample.video).flatten(1).any(1)):
            for t, (x, y) in enumerate(centre[b].long().tolist()):
                video[b, :, t, y - 1 : y + 2, x - 1 : x + 2] += 0.3 * moved
        return video

    report = measure_swaps(mouths, trials)
    drop = {region: report.finding("expression", region).drop.mean for region in ("mouth", "eyes", "foreground")}
    assert drop["mouth"] > drop["foreground"] + 3 > 3
    assert drop["mouth"] > report.finding("expression", "mouth_eyes").drop.mean > drop["eyes"]
    assert drop["eyes"] < 1
    assert all(report.finding(swap).drop.mean == 0 for swap in ("rays", "camera", "head_pose"))


def test_the_copied_reference_is_the_reference(cases: list[Case], trials: list[Trial]) -> None:
    def copy(sample: Sample, driver: Sample) -> Tensor:
        return sample.reference[:, :, None].expand_as(sample.video)

    report = measure_swaps(copy, trials)
    assert np.array_equal(report.of("copied_reference"), report.of("unswapped"))
    first = cases[0].sample
    by_hand = psnr(first.reference[None, :, None].expand(1, 3, 5, -1, -1), first.video[None], first.alpha[None])
    assert report.of("copied_reference")[0] == pytest.approx(by_hand.item())


def test_swaps_change_their_condition_and_nothing_else(cases: list[Case], trials: list[Trial]) -> None:
    changed = {
        "unswapped": set(),
        "rays": {"intrinsics", "world_to_camera"},
        "camera": {"intrinsics", "world_to_camera", "pose_normals"},
        "head_pose": {"pose_normals"},
        "expression": set(),
    }
    by_key = {case.sample.key[0]: case for case in cases}
    for case, trial in zip(cases, trials, strict=True):
        partner = by_key[trial.partner]
        assert partner is not case
        for name, given in trial.given.items():
            assert given.sample.key == case.sample.key
            assert given.driver is (partner.sample if name == "expression" else case.sample)
            different = {t for t in TENSORS if getattr(given.sample, t) is not getattr(case.sample, t)}
            assert different == changed[name]
        cameras = trial.given["camera"].sample
        assert torch.equal(cameras.world_to_camera, partner.sample.world_to_camera)


def rendered(case: Case, **changed: object) -> Tensor:
    """Normals of the case with some of its motion or cameras changed."""
    sample = dataclasses.replace(case.sample, **{k: v for k, v in changed.items() if hasattr(case.sample, k)})
    motion = dataclasses.replace(case.motion, **{k: v for k, v in changed.items() if hasattr(case.motion, k)})
    pose = sample.world_to_camera.numpy()
    size = sample.video.shape[-2:]
    world = render_pose_normals(case.head, motion, sample.intrinsics.numpy(), pose, *size, case.subdivision)
    return torch.from_numpy(camera_space(world, pose))


def test_rendered_for_their_own_camera_normals_are_those_of_the_sample(cases: list[Case]) -> None:
    for case in cases:
        made, stored = rendered(case), case.sample.pose_normals
        outline = (made != 0).any(0) != (stored != 0).any(0)
        assert outline.sum() <= 1
        assert (made - stored)[:, ~outline].abs().max() < NORMAL_ATOL
        flipped = made * torch.tensor([1.0, -1, 1])[:, None, None, None]
        assert (flipped - stored).abs().max() > 0.5


def test_swapped_normals_are_this_person_in_the_other_view_or_pose(cases: list[Case], trials: list[Trial]) -> None:
    by_key = {case.sample.key[0]: case for case in cases}
    for case, trial in zip(cases, trials, strict=True):
        other = by_key[trial.partner]
        seen = rendered(case, intrinsics=other.sample.intrinsics, world_to_camera=other.sample.world_to_camera)
        turned = rendered(case, root=other.motion.root, neck=other.motion.neck)
        assert torch.equal(trial.given["camera"].sample.pose_normals, seen)
        assert torch.equal(trial.given["head_pose"].sample.pose_normals, turned)
        assert (seen - other.sample.pose_normals).abs().max() > 0.1
        for made in (seen, turned):
            assert (made != 0).any(0).sum() > 100


def test_prediction_in_batches_is_handed_every_case_once(trials: list[Trial], cases: list[Case]) -> None:
    for size in (1, 3, 100):
        seen: list[str] = []
        for batch, truth, videos in predictions(Oracle(cases), trials, size):
            assert len(batch) == len(truth.key) <= size
            assert set(videos) == {"unswapped", *SWAPS}
            assert torch.equal(videos["unswapped"], truth.video)
            seen += truth.key
        assert seen == [case.sample.key[0] for case in cases]


def test_what_cannot_be_swapped_is_refused(cases: list[Case], trials: list[Trial]) -> None:
    def broken(sample: Sample, driver: Sample) -> Tensor:
        """No number in the second clip's first pixel when another drives."""
        video = sample.video.clone()
        if not torch.equal(driver.video[1], sample.video[1]):
            video[1, 0, 0, 0, 0] = torch.nan
        return video

    with pytest.raises(UserError, match="1 clips given"):
        make_trials(cases[:1])
    with pytest.raises(UserError, match="0 clips given"):
        make_trials([])
    cut = dataclasses.replace(cases[1], sample=dataclasses.replace(cases[1].sample, video=cases[1].sample.video[:, :1]))
    with pytest.raises(UserError, match="one length and resolution"):
        make_trials([cases[0], cut])
    with pytest.raises(UserError, match="no clips"):
        measure_swaps(Oracle(cases), [])
    with pytest.raises(UserError, match="predicted video"):
        measure_swaps(lambda sample, driver: sample.video[..., :8], trials)
    with pytest.raises(UserError, match=r"cases.frames: 0"):
        CaseSettings(frames=0)
