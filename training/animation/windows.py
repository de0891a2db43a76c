"""Videos longer than a model's window: windows that overlap, each told what the one before it ended in.

The frames that a window shares with the one before are encoded and pinned while it is sampled, so that it goes on
from them; in the pictures the two are faded into one another. A window's first slot holds one frame, so the frames
shared are 1 + a multiple of the codec's temporal stride.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from manifests.errors import UserError, require
from training.codec.codec import latent_size, slots
from training.conditioning import Conditions
from training.portrait import Portrait
from training.sampler import SamplerSettings, sample_latents
from training.streams import torch_generator


@dataclass(frozen=True)
class Windows:
    """``count`` windows of ``length`` frames, each of which begins ``overlap`` before the end of the one before."""

    frames: int
    """Of the video; the last window may reach beyond them."""
    length: int
    overlap: int

    @property
    def count(self) -> int:
        return 1 + max(0, -(-(self.frames - self.length) // (self.length - self.overlap)))

    def __getitem__(self, k: int) -> range:
        """The frames of a window."""
        start = k * (self.length - self.overlap)
        return range(start, start + self.length)

    @property
    def joins(self) -> list[int]:
        """Frames whose step to the next leads into, or out of, what two windows share."""
        starts = [self[k].start for k in range(1, self.count)]
        both = {frame for start in starts for frame in (start - 1, start + self.overlap - 1)}
        return sorted(frame for frame in both if frame < self.frames - 1)


def plan_windows(portrait: Portrait, frames: int, overlap: int | None = None) -> Windows:
    """Of the length the model was trained on. ``overlap`` is about a third of it unless given. Raises UserError for one
    that the codec or the window cannot have."""
    length, stride = portrait.footage.frames, portrait.encode.codec.temporal_stride
    slots(portrait.encode.codec, length)
    if overlap is None:
        overlap = min((length // 3) // stride * stride + 1, length - 1)
    fits = 1 <= overlap < length and (overlap - 1) % stride == 0
    if length == 1:
        return Windows(frames, 1, 0)
    require(fits, "overlap", overlap, f"1 + a multiple of {stride}, below the window's {length} frames")
    return Windows(frames, length, overlap)


@torch.no_grad()
def sample_windows(
    portrait: Portrait,
    windows: Windows,
    told: Callable[[range], Conditions],
    settings: SamplerSettings,
    seed: int = 0,
    on_step: Callable[[int, int], None] | None = None,
) -> Iterator[Tensor]:
    """Pieces [3, n, H, W] in [-1, 1] of the video, in order, on the CPU; all together ``windows.frames`` frames.

    ``told`` gives the conditions, a batch of one, of a window's frames, some of which may lie beyond the end. Every
    window starts from the same noise, so that what no condition decides looks alike in all. ``on_step`` is told of
    sampling steps done and their number. Raises UserError where the model makes what is no number.
    """
    codec, footage = portrait.encode.codec, portrait.footage
    rows, columns = latent_size(codec, footage.height, footage.width)
    shape = (codec.channels, slots(codec, windows.length), rows, columns)
    noise = torch.randn(shape, generator=torch_generator(seed, "noise", "animation"))[None]
    share = torch.linspace(0, 1, windows.overlap + 2)[1:-1].view(1, -1, 1, 1)
    tail, left = None, windows.frames
    for k in range(windows.count):
        conditions = told(windows[k])

        def step(done: int, total: int, before: int = k) -> None:
            if on_step:
                on_step(before * total + done, windows.count * total)

        device = conditions.pose.device
        latents = sample_latents(
            portrait.transformer,
            conditions,
            portrait.flow,
            settings,
            noise.to(device),
            step,
            known=None if tail is None else codec.encode(tail[None].to(device)),
        )
        video = codec.decode(latents)[0].float().cpu()
        if not bool(video.isfinite().all()):
            raise UserError(f"generated video: holds what is no number in frames {windows[k]}; lower the guidance")
        if tail is not None:
            shared = windows.overlap
            video = torch.cat([(1 - share) * tail + share * video[:, :shared], video[:, shared:]], dim=1)
        last = k == windows.count - 1
        piece = video if last else video[:, : windows.length - windows.overlap]
        tail = video[:, windows.length - windows.overlap :] if windows.overlap else None
        yield piece[:, :left]
        left -= piece.shape[1]


def seam_ratio(video: Tensor, joins: list[int]) -> float:
    """How much a video [3, T, H, W] changes from frame to frame at the joins, in units of its mean change elsewhere:
    about 1 where nothing is seen of them. NaN without joins, or where nothing moves."""
    changes = (video[:, 1:] - video[:, :-1]).abs().mean(dim=(0, 2, 3))
    at = torch.zeros(len(changes), dtype=torch.bool)
    at[joins] = True
    return float(changes[at].mean() / changes[~at].mean())
