"""Swap tests: does a model do what each of its conditions says? Give it another clip's and see what it costs.

A model that ignores a condition loses nothing when it is swapped. All is measured against the true video.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manifests.clip import Motion
from manifests.errors import UserError
from training.cases import Case
from training.data.batch import Sample, collate
from training.measures import REGIONS, psnr, region_weights
from training.partners import choose_partners
from training.pose_normals import camera_space, render_pose_normals
from training.swap_report import COPIED_REFERENCE, PICTURES, UNSWAPPED, SwapReport

Array = NDArray[Any]

Predict = Callable[[Sample, Sample], Tensor]
"""A batch whose reference, pose normals and cameras are used, and the driver: a batch whose video and landmarks give
the expression -> video [B, 3, T, H, W] in [-1, 1]. Equal arguments must give equal videos, whatever the batch: noise
is drawn by the first batch's keys, which a swap does not change."""


@dataclass(frozen=True)
class Given:
    """What one prediction is made from; samples without a batch axis."""

    sample: Sample
    driver: Sample


@dataclass(frozen=True)
class Trial:
    """One case, and the conditions it is tried under."""

    truth: Sample
    partner: str
    """Key of the case that the swapped conditions come from."""
    given: dict[str, Given]
    """``unswapped``, and one for each of `swap_report.SWAPS`."""


def make_trials(cases: Sequence[Case], seed: int = 0) -> list[Trial]:
    """The swaps of each case with its partner, another case; all normals are rendered here, once for any number of
    measurements.

    rays: the partner's cameras, this case's normals. camera: the partner's cameras, and this case's mesh as they see
    it. head_pose: the partner's rotations of root and neck on this case's mesh, as its own cameras see it.
    expression: the partner drives. Raises UserError for fewer than two cases, or cases of different sizes.
    """
    sizes = {tuple(case.sample.video.shape) for case in cases}
    if len(sizes) > 1:
        raise UserError(f"cases: videos of shapes {sorted(sizes)}; swaps need all of one length and resolution")
    partners = choose_partners(cases, seed)
    return [_trial(case, cases[partner]) for case, partner in zip(cases, partners, strict=True)]


def measure_swaps(
    predict: Predict, trials: Sequence[Trial], batch_size: int = 4, device: torch.device | str = "cpu", seed: int = 0
) -> SwapReport:
    """Predict every trial under all its conditions. ``seed`` is of the intervals' bootstrap.

    Raises UserError where there is no trial, and as `predictions`.
    """
    if not trials:
        raise UserError("swap tests: no clips given; choose a split that has some")
    measured = [
        _measure(batch, truth, videos) for batch, truth, videos in predictions(predict, trials, batch_size, device)
    ]
    return SwapReport(
        keys=tuple(key for trial in trials for key in trial.truth.key),
        partners=tuple(trial.partner for trial in trials),
        psnr=np.concatenate(measured, axis=-1),
        seed=seed,
    )


@torch.no_grad()
def predictions(
    predict: Predict, trials: Sequence[Trial], batch_size: int = 4, device: torch.device | str = "cpu"
) -> Iterator[tuple[Sequence[Trial], Sample, dict[str, Tensor]]]:
    """(trials, their truth as a batch on ``device``, the predicted video under each condition), some at a time.

    Raises UserError where ``predict`` gives another shape than the truth's, or what is not finite.
    """
    for start in range(0, len(trials), batch_size):
        batch = trials[start : start + batch_size]
        truth = collate([trial.truth for trial in batch]).to(device)
        videos = {}
        for name in batch[0].given:
            pairs = [trial.given[name] for trial in batch]
            sample, driver = (
                collate(part).to(device) for part in zip(*((c.sample, c.driver) for c in pairs), strict=True)
            )
            videos[name] = predict(sample, driver).to(truth.video)
            if videos[name].shape != truth.video.shape:
                raise UserError(
                    f"predicted video: shape {list(videos[name].shape)}, the truth has {list(truth.video.shape)}; "
                    "predict videos of the conditions' length and resolution"
                )
            finite = videos[name].flatten(1).isfinite().all(dim=1)
            if not bool(finite.all()):
                bad = [key for key, sound in zip(truth.key, finite.tolist(), strict=True) if not sound]
                raise UserError(f"predicted video: of {bad[0]} ({name}) holds what is no number; train at a lower rate")
        yield batch, truth, videos


def _measure(batch: Sequence[Trial], truth: Sample, videos: dict[str, Tensor]) -> Array:
    """PSNR float64 [pictures, regions, B]."""
    weights = region_weights(truth.alpha, truth.landmarks)
    pictures = {COPIED_REFERENCE: truth.reference[:, :, None].expand_as(truth.video), **videos}
    measured = [
        torch.stack([psnr(pictures[picture], truth.video, weights[region]) for region in REGIONS])
        for picture in PICTURES
    ]
    return np.asarray(torch.stack(measured).cpu())


def _trial(case: Case, partner: Case) -> Trial:
    own, other = case.sample, partner.sample
    rays = dataclasses.replace(own, intrinsics=other.intrinsics, world_to_camera=other.world_to_camera)
    turned = dataclasses.replace(case.motion, root=partner.motion.root, neck=partner.motion.neck)
    return Trial(
        truth=own,
        partner=other.key[0],
        given={
            UNSWAPPED: Given(own, own),
            "rays": Given(rays, own),
            "camera": Given(_with_normals(rays, case, case.motion), own),
            "head_pose": Given(_with_normals(own, case, turned), own),
            "expression": Given(own, other),
        },
    )


def _with_normals(sample: Sample, case: Case, motion: Motion) -> Sample:
    """The sample with the normals of the case's mesh in that motion, as the sample's cameras see it."""
    intrinsics, world_to_camera = sample.intrinsics.numpy(), sample.world_to_camera.numpy()
    height, width = sample.video.shape[-2:]
    normals = render_pose_normals(case.head, motion, intrinsics, world_to_camera, height, width, case.subdivision)
    return dataclasses.replace(sample, pose_normals=torch.from_numpy(camera_space(normals, world_to_camera)))
