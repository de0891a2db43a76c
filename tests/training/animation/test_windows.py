"""Long videos: every frame once, windows that go on from one another, joins where they are said to be."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from manifests.errors import UserError
from tests.training.conftest import Parts
from training.animation.windows import Windows, plan_windows, sample_windows, seam_ratio
from training.codec.codec import Codec
from training.conditioning import Conditions
from training.encode import Encode
from training.flow import FlowSettings
from training.footage import Footage
from training.portrait import Portrait
from training.sampler import SamplerSettings

SIZE = 16
LENGTH = 5


class Obedient(nn.Module):
    """Makes what its pose row says, brighter in each window that is sampled unless ``even``."""

    def __init__(self, channels: int, even: bool) -> None:
        super().__init__()
        self.channels, self.even, self.windows = channels, even, 0

    def forward(self, rows: Tensor, times: Tensor, expression: Tensor) -> Tensor:
        self.windows += int(times[0] == 1000)
        pose = rows[:, 2 * self.channels : 3 * self.channels]
        return pose if self.even else pose + 0.2 * self.windows


class Plain(Codec):
    """Latents are means of pixels; slots hold ``stride`` frames behind the first."""

    channels, spatial_stride, digest = 3, 4, "plain"

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.temporal_stride = stride
        self.channels = 3 * stride

    def _encode(self, video: Tensor) -> Tensor:
        small = nn.functional.avg_pool3d(video, (1, 4, 4))
        first = small[:, :, :1].repeat_interleave(self.temporal_stride, dim=2)
        packed = torch.cat([first, small[:, :, 1:]], dim=2).unflatten(2, (-1, self.temporal_stride))
        return packed.movedim(3, 2).flatten(1, 2)

    def _decode(self, latents: Tensor) -> Tensor:
        frames = latents.unflatten(1, (3, -1)).movedim(2, 3).flatten(2, 3)
        kept = torch.cat([frames[:, :, :1], frames[:, :, self.temporal_stride :]], dim=2)
        return kept.repeat_interleave(4, dim=3).repeat_interleave(4, dim=4)


def portrait(parts: Parts, stride: int = 1, even: bool = True, length: int = LENGTH) -> Portrait:
    encode = Encode(Plain(stride), parts.module().encode.expression)
    footage = Footage(frames=length, step=1, fps=5, height=SIZE, width=SIZE)
    return Portrait(
        encode, Obedient(encode.codec.channels, even), FlowSettings("sample"), SamplerSettings(steps=3), footage
    )


def moving(frames: int) -> Tensor:
    """A video [1, 3, T, H, W] of an even ramp in time, coarse enough for the codec."""
    coarse = torch.rand(1, 3, 1, SIZE // 4, SIZE // 4, generator=torch.Generator().manual_seed(0)) * 0.4
    ramp = torch.linspace(-0.6, 0.4, frames).view(1, 1, -1, 1, 1)
    return (coarse + ramp).repeat_interleave(4, dim=3).repeat_interleave(4, dim=4)


def run(model: Portrait, windows: Windows, truth: Tensor, **options: Any) -> list[Tensor]:
    codec = model.encode.codec

    def told(window: range) -> Conditions:
        chosen = [min(frame, windows.frames - 1) for frame in window]
        pose = codec.encode(truth[:, :, chosen])
        return Conditions(
            reference=torch.zeros_like(pose[:, :, 0]),
            pose=pose,
            camera=torch.zeros(1, 6 * codec.temporal_stride, *pose.shape[2:]),
            expression=torch.zeros(1, pose.shape[2] + 1, 5),
        )

    return list(sample_windows(model, windows, told, SamplerSettings(steps=3), **options))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("frames", [1, 3, 5, 6, 8, 14])
def test_a_long_video_is_what_each_of_its_frames_is_told(frames: int, stride: int, parts: Parts) -> None:
    model, truth = portrait(parts, stride), moving(frames)
    windows = plan_windows(model, frames)
    pieces = run(model, windows, truth)
    assert len(pieces) == windows.count
    torch.testing.assert_close(torch.cat(pieces, dim=1), truth[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("frames", [1, 3])
def test_a_model_of_single_frames_makes_videos(frames: int, parts: Parts) -> None:
    model, truth = portrait(parts, length=1), moving(frames)
    video = torch.cat(run(model, plan_windows(model, frames), truth), dim=1)
    torch.testing.assert_close(video, truth[0], atol=1e-5, rtol=0)


def test_windows_that_differ_are_pinned_and_faded_into_one_another(parts: Parts) -> None:
    """Each window of this model is brighter by a fifth than the one before. Pinned and faded, the step at a join is a
    part of that; side by side it is all of it."""
    truth = moving(13)
    model = portrait(parts, even=False)
    windows = plan_windows(model, 13, overlap=3)
    video = torch.cat(run(model, windows, truth), dim=1)
    steps = (video[:, 1:] - video[:, :-1]).mean(dim=(0, 2, 3)) - 1 / 12
    assert video.shape[1] == 13
    pinned = steps[[windows[1].start - 1 + k for k in range(2)]]
    assert pinned.abs().max() < 0.02  # what two windows share is the first one's
    assert steps.max() < 0.25


def test_what_is_told_of_the_progress(parts: Parts) -> None:
    model, told = portrait(parts), []
    run(model, plan_windows(model, 9, overlap=1), moving(9), on_step=lambda done, total: told.append((done, total)))
    assert told == [(k, 6) for k in range(1, 7)]


def test_equal_seeds_give_equal_videos(parts: Parts) -> None:
    class Noisy(Obedient):
        def forward(self, rows: Tensor, times: Tensor, expression: Tensor) -> Tensor:
            return rows[:, : self.channels]

    model = portrait(parts)
    model = Portrait(model.encode, Noisy(3, True), FlowSettings("sample"), model.sampler, model.footage)
    windows, truth = plan_windows(model, 9), moving(9)
    first, again, other = (torch.cat(run(model, windows, truth, seed=seed), dim=1) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_joins_and_overlaps(parts: Parts) -> None:
    assert Windows(20, 5, 2).count == 6
    assert [Windows(11, 5, 2)[k] for k in range(3)] == [range(5), range(3, 8), range(6, 11)]
    assert Windows(11, 5, 2).joins == [2, 4, 5, 7]
    assert Windows(5, 5, 2).joins == []
    model = portrait(parts, stride=2, length=9)
    assert plan_windows(model, 30).overlap == 3
    for overlap in (0, 2, 9):
        with pytest.raises(UserError, match=f"overlap: {overlap} given; give 1 \\+ a multiple of 2"):
            plan_windows(model, 30, overlap)
    assert plan_windows(portrait(parts, length=1), 4).count == 4


def test_a_seam_is_seen_in_its_ratio() -> None:
    video = torch.linspace(0, 1, 12).view(1, -1, 1, 1).expand(3, -1, 4, 4).clone()
    assert seam_ratio(video, [4]) == pytest.approx(1, abs=1e-5)
    video[:, 5:] += 1
    assert seam_ratio(video, [4]) == pytest.approx(12, rel=1e-3)


def test_what_is_no_number_is_said(parts: Parts) -> None:
    class Broken(Obedient):
        def forward(self, rows: Tensor, times: Tensor, expression: Tensor) -> Tensor:
            return super().forward(rows, times, expression) * torch.nan

    model = portrait(parts)
    model = Portrait(model.encode, Broken(3, True), model.flow, model.sampler, model.footage)
    with pytest.raises(UserError, match="no number in frames"):
        run(model, plan_windows(model, 5), moving(5))
