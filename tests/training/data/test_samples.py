"""What a window holds becomes what a model takes: by hand, axis by axis."""

from __future__ import annotations

import numpy as np
import torch

from training.data.clips import Window
from training.data.samples import make_sample

FROM_THE_LEFT = [[0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]]
"""Rows right, down, forward of a camera on the head's left (+x) that looks along -x, its picture's up the world's +y:
what is ahead of the face (+z) is on its picture's left."""
FROM_AHEAD_ROLLED = [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]
"""Of one ahead of the face (+z) that looks along -z, rolled so that the world's up is its picture's right."""


def window(frames: int = 2) -> Window:
    """Frames of 2 x 3 pixels."""
    world_to_camera = np.tile(np.eye(4), (frames, 1, 1))
    world_to_camera[:, :3, :3] = [FROM_THE_LEFT, FROM_AHEAD_ROLLED][:frames]
    world_to_camera[:, :3, 3] = [1.0, 2.0, 3.0]  # a place, which turns no direction
    normals = np.zeros((frames, 2, 3, 3), np.float32)
    normals[:, 0, 0] = [0.48, 0.6, 0.64]
    normals[:, 0, 1] = [1, 0, 0]
    normals[:, 0, 2] = [0, 1, 0]
    normals[:, 1, 0] = [0, 0, 1]
    rgb = np.arange(frames * 2 * 3 * 3, dtype=np.uint8).reshape(frames, 2, 3, 3)
    return Window(
        key=f"hand-000000000.v00[0:{frames}]",
        rgb=rgb,
        alpha=np.full((frames, 2, 3), 51, np.uint8),
        pose_normals=normals,
        intrinsics=np.tile(np.diag([50.0, 60.0, 1.0]), (frames, 1, 1)),
        world_to_camera=world_to_camera,
        landmarks=np.arange(frames * 140, dtype=np.float32).reshape(frames, 70, 2),
        visible=np.ones((frames, 70), bool),
    )


def test_normals_are_turned_to_their_own_frames_camera() -> None:
    normals = make_sample(window(), window(1)).pose_normals
    assert normals.shape == (3, 2, 2, 3)
    by_hand = {  # right, down, forward: of the camera on the left, then of the one ahead
        (0, 0): ([-0.64, -0.6, -0.48], [0.6, 0.48, -0.64]),
        (0, 1): ([0, 0, -1], [0, 1, 0]),
        (0, 2): ([0, -1, 0], [1, 0, 0]),
        (1, 0): ([-1, 0, 0], [0, 0, -1]),
        (1, 1): ([0, 0, 0], [0, 0, 0]),  # no surface
    }
    for (row, column), expected in by_hand.items():
        for frame in range(2):
            torch.testing.assert_close(normals[:, frame, row, column], torch.tensor(expected[frame]).float())


def test_pictures_are_scaled_and_the_portrait_is_the_other_windows() -> None:
    video = window()
    reference = window(1)
    assert reference.rgb is not None
    reference.rgb[...] = 255
    reference.landmarks[...] = 7
    sample = make_sample(video, reference)
    assert sample.key == ("hand-000000000.v00[0:2] from hand-000000000.v00[0:1]",)
    torch.testing.assert_close(sample.video[:, 1, 0, 2], torch.tensor([24.0, 25.0, 26.0]) / 127.5 - 1)
    assert torch.equal(sample.reference, torch.ones(3, 2, 3))
    assert torch.equal(sample.reference_landmarks, torch.full((70, 2), 7.0))
    torch.testing.assert_close(sample.alpha, torch.full((1, 2, 2, 3), 0.2))
    assert sample.landmarks[1, 0].tolist() == [140, 141]
    assert sample.world_to_camera[0, 0].tolist() == [0, 0, -1, 1]
    assert sample.intrinsics[1].diagonal().tolist() == [50, 60, 1]
