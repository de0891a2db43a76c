"""Training samples from cached latents: what `training.encode.Encode` makes of a sample, with no model run.

A portrait must have been encoded alone. No codec looks ahead, so the first slot of every window was; where a codec
knows single frames only (a temporal stride of 1), every slot was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from manifests.errors import UserError
from training.codec.codec import Codec
from training.conditioning import Conditions, camera_row, expression_row
from training.data.choice import ReferenceWeights
from training.data.clips import Clips, Window
from training.data.source import Item
from training.encode import Encoded
from training.latents.read import LatentClips
from training.regions import LossWeights
from training.streams import rng


@dataclass(frozen=True)
class LatentChoice:
    """What is to be read for one sample; clips as `Clips` counts them."""

    clip: int
    view: int
    window: int
    reference_clip: int
    reference_view: int
    reference_window: int
    reference_slot: int
    """Of that window: whose frame is the portrait."""


@dataclass(frozen=True)
class CachedLatents:
    """What a `PortraitLoader` reads instead of pictures; batches are `Encoded`."""

    clips: Clips
    latents: LatentClips
    codec: Codec
    references: ReferenceWeights
    weights: LossWeights
    seed: int

    def check(self) -> None:
        """Raises UserError for clips that the cache has not come to, or that give no window or reference. Those it had
        to leave out are met, and counted, where they are read."""
        left_out = self.latents.left_out()
        for clip in range(len(self.clips)):
            if (key := self.clips.key(clip)) not in left_out:
                self.latents.find(key)
            self.choose(clip, (0,))

    def choose(self, clip: int, words: tuple[int, ...]) -> LatentChoice:
        alone = self.codec.temporal_stride == 1
        return choose_latents(self.clips, self.latents, clip, self.references, alone, self.seed, *words)

    def read(self, clip: int, words: tuple[int, ...]) -> Item:
        choice = self.choose(clip, words)
        encoded = read_encoded(self.clips, self.latents, choice, self.codec, self.weights)
        told = encoded.conditions
        parts = (encoded.latents, told.reference, told.pose, told.camera, told.expression, encoded.weight)
        return Item(encoded.key[0], tuple(part[0] for part in parts))

    def batch(self, key: tuple[str, ...], tensors: tuple[Tensor, ...]) -> Encoded:
        latents, reference, pose, camera, expression, weight = tensors
        return Encoded(key, latents, Conditions(reference, pose, camera, expression), weight)


def choose_latents(
    clips: Clips,
    latents: LatentClips,
    clip: int,
    weights: ReferenceWeights,
    alone: bool,
    seed: int,
    *words: int | str,
) -> LatentChoice:
    """A window of a clip and a reference, drawn for ``words`` as `training.data.choice.choose` draws them. ``alone``
    says that every slot holds one frame, encoded alone: any of them may be the portrait.

    Raises UserError if the clip gives no window, or no reference of a kind that has a weight.
    """
    record = latents.record
    views, windows = int(clips.views[clip]), record.windows(int(clips.frames[clip]))
    if not windows:
        raise UserError(
            f"{clips.key(clip)}: has {clips.frames[clip]} frames, the cache's windows span "
            f"{record.frames_of(0).stop}; leave it out (data.subset), or cache shorter windows"
        )
    draw = rng(seed, "latents", clips.key(clip), *words)
    view, window = int(draw.integers(views)), int(draw.integers(windows))
    shown = record.frames_of(window)
    slots = range(record.slots if alone else 1)
    outside = [(w, slot) for w in range(windows) for slot in slots if record.frames_of(w)[slot] not in shown]
    others = [int(other) for other in clips.same_identity(clip) if other != clip]
    weight = np.array([weights.frame, weights.view, weights.clip]) * [len(outside) > 0, views > 1, len(others) > 0]
    if not weight.any():
        raise UserError(
            f"references: {clips.key(clip)} has {views} views of {windows} windows in the cache, and its person "
            f"{len(others)} other clips; give another kind a weight, or cache with a smaller --stride"
        )
    kind = int(draw.choice(3, p=weight / weight.sum()))
    if kind == 0:
        return LatentChoice(clip, view, window, clip, view, *outside[int(draw.integers(len(outside)))])
    if kind == 1:
        other, other_view = clip, int(draw.integers(views - 1))
        other_view += other_view >= view
    else:
        other = others[int(draw.integers(len(others)))]
        other_view = int(draw.integers(clips.views[other]))
    known = record.windows(int(clips.frames[other]))
    return LatentChoice(
        clip, view, window, other, other_view, int(draw.integers(known)), int(draw.integers(len(slots)))
    )


def read_encoded(
    clips: Clips, latents: LatentClips, choice: LatentChoice, codec: Codec, weights: LossWeights
) -> Encoded:
    """A batch of one. Of the corpus, cameras and landmarks are read, and alpha where ``weights`` count the foreground.

    ``codec`` is asked for its strides alone; see that it is the cache's by `LatentClips.check`. Raises UserError for
    clips that the cache lacks, a cache without expression codes, and what is damaged.
    """
    shown = latents.read(latents.find(clips.key(choice.clip)), choice.view, choice.window)
    reference = latents.read(
        latents.find(clips.key(choice.reference_clip)), choice.reference_view, choice.reference_window
    )
    if shown.expression is None or reference.expression is None:
        raise UserError(f"{shown.key}: the cache holds no expression codes; cache the corpus with an encoder")
    members = ("alpha",) if weights.foreground != 1 else ()
    (window,) = clips.windows(choice.clip, [(choice.view, shown.frames)], members=members)
    video = shown.video[None].float()
    return Encoded(
        key=(f"{shown.key} from {reference.key}.{choice.reference_slot}",),
        latents=video,
        conditions=Conditions(
            reference=reference.video[None, :, choice.reference_slot].float(),
            pose=shown.normals[None].float(),
            camera=camera_row(_batch(window.intrinsics), _batch(window.world_to_camera), clips.resolution, codec),
            expression=expression_row(
                shown.expression[None].float(), reference.expression[None, choice.reference_slot].float(), codec
            ),
        ),
        weight=_weight(window, clips.resolution, weights, codec),
    )


def _weight(window: Window, size: tuple[int, int], weights: LossWeights, codec: Codec) -> Tensor:
    """Alpha makes no difference where it was not read."""
    alpha = torch.ones(1, 1, len(window.landmarks), *size)
    if window.alpha is not None:
        alpha = _batch(window.alpha)[:, None] / 255
    return weights.weight_map(alpha, _batch(window.landmarks), codec.spatial_stride, codec.temporal_stride)


def _batch(array: np.ndarray) -> Tensor:
    """float32, with an axis in front."""
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))[None]
