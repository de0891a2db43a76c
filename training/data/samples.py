"""From what is chosen to what a model takes: windows read, scaled, and turned to the camera."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datagen.geometry.cameras import world_normals_to_camera
from training.data.batch import Sample
from training.data.choice import Choice
from training.data.clips import PICTURES, Clips, Window, window_members

Array = NDArray[Any]


def read_sample(clips: Clips, choice: Choice) -> Sample:
    """The sample of a choice. A clip's shard is opened once. Raises UserError if something of it is damaged."""
    names = window_members(choice.view, PICTURES)
    reference = window_members(choice.reference_view, ("rgb",))
    shared = choice.reference_clip == choice.clip
    fetched = clips.fetch(choice.clip, names | reference if shared else names)
    other = fetched if shared else clips.fetch(choice.reference_clip, reference)
    frame = range(choice.reference_frame, choice.reference_frame + 1)
    return make_sample(
        clips.decode(choice.clip, fetched, choice.view, choice.frames, PICTURES),
        clips.decode(choice.reference_clip, other, choice.reference_view, frame, ("rgb",)),
    )


def make_sample(video: Window, reference: Window) -> Sample:
    """A window with all its pictures, and one of one frame with ``rgb``, as `Sample` describes them.

    Colours are scaled as they are stored: black where the corpus was rendered over black.
    """
    assert video.rgb is not None
    assert video.alpha is not None
    assert video.pose_normals is not None
    assert reference.rgb is not None
    normals = world_normals_to_camera(video.pose_normals, video.world_to_camera)
    return Sample(
        key=(f"{video.key} from {reference.key}",),
        reference=colours(reference.rgb)[:, 0],
        reference_landmarks=_tensor(reference.landmarks[0]),
        video=colours(video.rgb),
        alpha=_tensor(video.alpha / np.float32(255))[None],
        pose_normals=_tensor(np.moveaxis(normals, -1, 0)),
        intrinsics=_tensor(video.intrinsics),
        world_to_camera=_tensor(video.world_to_camera),
        landmarks=_tensor(video.landmarks),
    )


def colours(rgb: Array) -> Tensor:
    """uint8 [T, H, W, 3] -> [3, T, H, W] in [-1, 1]."""
    colours = np.moveaxis(rgb, -1, 0).astype(np.float32, order="C")
    colours /= np.float32(127.5)
    colours -= 1
    return torch.from_numpy(colours)


def _tensor(array: Array) -> Tensor:
    """float32. By numpy, as all here: workers are processes, and torch's threads would only wait for one another."""
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))
