"""Colour that does not lie on its labels, and single frames that are another picture's, are found without the pixels
of any mesh being compared."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from datagen.probe import GEOMETRY
from manifests.decode import decode
from tests.conftest import Generated
from tests.manifests.audit.members import Members, Plant, StoredClip, in_arrays, in_video, stored_clips


@pytest.fixture(scope="module")
def clips(corpus: Generated) -> list[StoredClip]:
    return stored_clips(str(corpus.out))


@pytest.fixture(scope="module")
def moving(clips: list[StoredClip]) -> StoredClip:
    return next(clip for clip in clips if clip.row["recipe"] == "view_sweep")


def noise(frames: Any) -> Any:
    return np.random.default_rng(0).integers(0, 256, frames.shape, np.uint8)


def smooth_noise(frames: Any) -> Any:
    coarse = np.random.default_rng(0).integers(0, 256, (len(frames), 5, 5, 3), np.uint8)
    large = coarse.repeat(16, axis=1).repeat(16, axis=2)
    return large[:, : frames.shape[1], : frames.shape[2]]


def aside(down: int, right: int) -> Any:
    return lambda frames: np.roll(frames, (down, right), axis=(1, 2))


def frame_of(change: Any, frame: int) -> Any:
    def one(frames: Any) -> Any:
        frames[frame] = change(frames)[frame]
        return frames

    return one


COLOURS: dict[str, Any] = {
    "noise": noise,
    "smooth noise": smooth_noise,
    "moved right": aside(0, 3),
    "moved up": aside(-3, 0),
    "mirrored": lambda frames: frames[:, :, ::-1],
    "upside down": lambda frames: frames[:, ::-1],
    "reversed": lambda frames: frames[::-1],
    "a frame of noise": frame_of(noise, 1),
    "a frame mirrored": frame_of(lambda frames: frames[:, :, ::-1], 3),
}


@pytest.mark.parametrize("fault", COLOURS)
def test_colour_that_does_not_lie_on_its_labels(moving: StoredClip, fault: str) -> None:
    result = moving.check(GEOMETRY, in_video("v01.rgb.mp4", COLOURS[fault]))
    assert ("colour-disagrees", "v01.rgb.mp4") in {(found.check, found.where) for found in result.findings}
    assert {found.check for found in result.findings} <= {"colour-disagrees", "frames-frozen"}


def test_colour_of_another_view_or_clip_is_found(clips: list[StoredClip]) -> None:
    missed = []
    for clip in clips:
        for other in clips:
            for view in range(2):
                if other is clip and view == 0:
                    continue
                data = other.members[f"v{view:02d}.rgb.mp4"]
                found = clip.found(GEOMETRY, lambda members, data=data: members.update({"v00.rgb.mp4": data}))  # type: ignore[misc]
                assert found <= {"colour-disagrees", "frames-frozen"}
                missed += [(clip.row["key"], other.row["key"], view)] * ("colour-disagrees" not in found)
    # Two heads that happen to be in the same place under the same light may pass for one another.
    assert len(missed) <= 4, missed


def test_colour_lies_on_labels_without_segmentation_too(clips: list[StoredClip]) -> None:
    for clip in clips:
        few = [label for label in clip.row["labels"] if label != "segmentation"]

        def plant(members: Members, few: list[str] = few) -> None:
            spec = json.loads(members["spec.json"])
            members["spec.json"] = json.dumps({**spec, "labels": few}).encode()

        assert clip.found(GEOMETRY, plant, labels=few) == set()
        moved = in_video("v00.rgb.mp4", aside(4, 4))
        both: Plant = lambda members, moved=moved, plant=plant: (plant(members), moved(members))  # type: ignore[misc] # noqa: E731
        assert clip.found(GEOMETRY, both, labels=few) == {"colour-disagrees"}


def second_of(other: str) -> Plant:
    """The second frame of a video becomes that of the other view: neither the first, the middle nor the last."""

    def plant(members: Members) -> None:
        source = decode(f"v01.{other}", members[f"v01.{other}"])

        def change(frames: Any) -> Any:
            frames[1] = source[1]
            return frames

        in_video(f"v00.{other}", change)(members)

    return plant


ONE_FRAME = {
    "depth.mkv": "depth-disagrees",
    "normals.mkv": "normals-disagree",
    "pose_normals.mkv": "normals-disagree",
    "segmentation.mkv": "labels-disagree",
    "uv.mkv": "labels-disagree",
    "flow.mkv": "labels-disagree",
}


@pytest.mark.parametrize("member", ONE_FRAME)
def test_one_frame_of_another_view_is_found(moving: StoredClip, member: str) -> None:
    result = moving.check(GEOMETRY, second_of(member))
    found = {(found.check, found.where) for found in result.findings}
    assert (ONE_FRAME[member], f"v00.{member}") in found
    beside = {"normals-disagree", "labels-disagree"} if member == "depth.mkv" else set()  # they are held against it
    assert {check for check, _ in found} <= {ONE_FRAME[member], "colour-disagrees", *beside}
    assert all(one.seen.endswith("frame 1") for one in result.findings)


def swapped_classes(frames: Any) -> Any:
    """Skin and neck, lips and ears change their numbers."""
    table = np.arange(256, dtype=np.uint8)
    table[[1, 11, 7, 10]] = [11, 1, 10, 7]
    return table[frames]


WHOLE: dict[str, tuple[str, Any]] = {
    "empty depth": ("depth.mkv", np.zeros_like),
    "classes that mean others": ("segmentation.mkv", swapped_classes),
    "texture coordinates upside down": ("uv.mkv", lambda uv: np.where(uv > 0, 1 - uv, 0)),
    "flow backwards": ("flow.mkv", np.negative),
    "flow with its axes swapped": ("flow.mkv", lambda flow: flow[..., ::-1]),
}


@pytest.mark.parametrize("fault", WHOLE)
def test_labels_that_mean_something_else(moving: StoredClip, fault: str) -> None:
    member, change = WHOLE[fault]
    result = moving.check(GEOMETRY, in_video(f"v01.{member}", change))
    assert (ONE_FRAME[member], f"v01.{member}") in {(found.check, found.where) for found in result.findings}


def test_landmarks_of_a_frame_that_no_mesh_is_drawn_for(moving: StoredClip) -> None:
    def later(content: dict[str, Any]) -> None:
        content["points"][3] = content["points"][2] + np.float32(0.002)

    result = moving.check(GEOMETRY, in_arrays("landmarks.npz", later))
    assert {found.check for found in result.findings} == {"landmarks-disagree"}
    assert any(found.where == "landmarks.npz:points" and found.seen.endswith("frame 3") for found in result.findings)
