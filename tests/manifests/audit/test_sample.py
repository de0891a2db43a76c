"""Faults planted in the members of real clips: each is found, by its name, and nothing else is cried."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from datagen.probe import GEOMETRY
from manifests.audit.fingerprint import LENGTH, alike
from tests.conftest import Generated
from tests.manifests.audit.members import Members, Plant, StoredClip, in_arrays, in_video, stored_clips


@pytest.fixture(scope="module")
def clips(corpus: Generated) -> list[StoredClip]:
    return stored_clips(str(corpus.out))


@pytest.fixture(scope="module")
def moving(clips: list[StoredClip]) -> StoredClip:
    """With hair, seen by moving cameras."""
    return next(clip for clip in clips if clip.row["recipe"] == "view_sweep")


def test_sound_clips_are_sound_and_unlike(clips: list[StoredClip]) -> None:
    results = [clip.check(GEOMETRY) for clip in clips]
    assert [result.findings for result in results] == [()] * len(clips)
    prints = [result.fingerprint for result in results]
    assert {len(made) for made in prints} == {LENGTH}
    assert [[alike(a, b) for b in prints] for a in prints] == np.eye(len(clips), dtype=bool).tolist()


def put(key: str, index: Any, value: float) -> Any:
    def change(content: dict[str, Any]) -> None:
        content[key][index] = value

    return change


def swap_views(content: dict[str, Any]) -> None:
    for key in content:
        content[key] = content[key][::-1].copy()


def swap_cameras_and_their_landmarks(members: Members) -> None:
    def landmarks(content: dict[str, Any]) -> None:
        for key in ("pixels", "visible"):
            content[key] = content[key][::-1].copy()

    in_arrays("cameras.npz", swap_views)(members)
    in_arrays("landmarks.npz", landmarks)(members)


def cut(key: str) -> Any:
    return lambda content: content.update({key: content[key][:-1]})


def typed(key: str, kind: str) -> Any:
    return lambda content: content.update({key: content[key].astype(kind)})


def one(frame: int, value: Any) -> Any:
    """A video change: one frame becomes another thing."""

    def change(frames: Any) -> Any:
        frames[frame] = value(frames) if callable(value) else value
        return frames

    return change


def cut_file(name: str, share: float) -> Plant:
    return lambda members: members.update({name: members[name][: int(share * len(members[name]))]})


def in_spec(change: Any) -> Plant:
    def plant(members: Members) -> None:
        spec = json.loads(members["spec.json"])
        change(spec)
        members["spec.json"] = json.dumps(spec).encode()

    return plant


UNREADABLE: dict[str, tuple[Plant, str, str]] = {
    "mp4 cut short": (cut_file("v00.rgb.mp4", 0.6), "member-undecodable", "v00.rgb.mp4"),
    "mkv cut short": (cut_file("v01.depth.mkv", 0.6), "frame-count", "v01.depth.mkv"),
    "npz cut short": (cut_file("cameras.npz", 0.9), "member-undecodable", "cameras.npz"),
    "noise for a video": (lambda m: m.update({"v01.flow.mkv": b"x" * 5000}), "member-undecodable", "v01.flow.mkv"),
    "noise for JSON": (lambda m: m.update({"spec.json": b"{"}), "member-undecodable", "spec.json"),
    "a record of nothing": (lambda m: m.update({"spec.json": b"{}"}), "member-undecodable", "spec.json"),
    "no record": (lambda m: m.pop("spec.json"), "member-missing", "spec.json"),
    "no landmarks": (lambda m: m.pop("landmarks.npz"), "member-missing", "landmarks.npz"),
    "no depth": (lambda m: m.pop("v01.depth.mkv"), "member-missing", "v01.depth.mkv"),
    "no jaw": (in_arrays("motion.npz", lambda c: c.pop("jaw")), "member-shape", "motion.npz:jaw"),
    "a frame too few": (in_video("v00.rgb.mp4", lambda f: f[:-1]), "frame-count", "v00.rgb.mp4"),
    "a frame too many": (in_video("v00.uv.mkv", lambda f: f[[0, 1, 2, 3, 4, 4]]), "frame-count", "v00.uv.mkv"),
    "twice the frames": (in_video("v00.alpha.mkv", lambda f: np.r_[f, f]), "frame-count", "v00.alpha.mkv"),
    "smaller": (in_video("v00.normals.mkv", lambda f: f[:, :32, :32]), "member-shape", "v00.normals.mkv"),
    "larger": (in_video("v00.alpha.mkv", lambda f: f.repeat(2, 1).repeat(2, 2)), "member-shape", "v00.alpha.mkv"),
    "turned": (in_video("v00.alpha.mkv", lambda f: f.swapaxes(1, 2)), "member-shape", "v00.alpha.mkv"),
    "a depth for a mask": (
        lambda m: m.update({"v00.alpha.mkv": m["v00.depth.mkv"]}),
        "member-undecodable",
        "v00.alpha.mkv",
    ),
    "an unknown class": (
        in_video("v01.segmentation.mkv", one(2, 14)),
        "member-undecodable",
        "v01.segmentation.mkv",
    ),
    "short motion": (in_arrays("motion.npz", cut("neck")), "member-shape", "motion.npz:neck"),
    "short cameras": (in_arrays("cameras.npz", cut("K")), "member-shape", "cameras.npz:K"),
    "single": (in_arrays("cameras.npz", typed("K", "f4")), "member-shape", "cameras.npz:K"),
    "double": (in_arrays("landmarks.npz", typed("pixels", "f8")), "member-shape", "landmarks.npz:pixels"),
    "bytes": (in_arrays("landmarks.npz", typed("visible", "u1")), "member-shape", "landmarks.npz:visible"),
    "NaN": (in_arrays("motion.npz", put("neck", (2, 1), np.nan)), "values-not-finite", "motion.npz:neck"),
    "infinity": (in_arrays("cameras.npz", put("K", (0, 1, 0, 2), np.inf)), "values-not-finite", "cameras.npz:K"),
}


@pytest.mark.parametrize("fault", UNREADABLE)
def test_a_member_that_is_not_what_it_should_be(moving: StoredClip, fault: str) -> None:
    plant, check, where = UNREADABLE[fault]
    assert [(found.check, found.where) for found in moving.check(GEOMETRY, plant).findings] == [(check, where)]


SHOWS: dict[str, tuple[Plant, set[str]]] = {
    "black": (in_video("v00.rgb.mp4", np.zeros_like), {"frames-black", "frames-frozen"}),
    "one black picture": (in_video("v00.rgb.mp4", one(1, 0)), {"frames-black"}),
    "burnt": (in_video("v01.rgb.mp4", lambda f: np.full_like(f, 255)), {"frames-burnt", "frames-frozen"}),
    "one burnt picture": (in_video("v01.rgb.mp4", one(3, 255)), {"frames-burnt"}),
    "frozen": (in_video("v00.rgb.mp4", lambda f: f[[0, 0, 0, 0, 0]]), {"frames-frozen"}),
    "one picture repeated": (in_video("v01.rgb.mp4", lambda f: f[[0, 1, 1, 3, 4]]), {"frames-frozen"}),
    "nobody": (in_video("v00.alpha.mkv", np.zeros_like), {"head-out-of-frame", "cameras-disagree", "labels-disagree"}),
    "masks of the other view": (
        lambda m: m.update({"v00.alpha.mkv": m["v01.alpha.mkv"]}),
        {"cameras-disagree", "labels-disagree"},
    ),
    "normals negated": (in_video("v00.pose_normals.mkv", np.negative), {"normals-disagree"}),
    "normals a column aside": (in_video("v01.normals.mkv", lambda f: np.roll(f, 2, axis=2)), {"normals-disagree"}),
    "normals with y and z swapped": (in_video("v01.normals.mkv", lambda f: f[..., [0, 2, 1]]), {"normals-disagree"}),
    "a centimetre of depth": (
        in_video("v00.depth.mkv", lambda f: np.where(f > 0, f + 0.01, 0).astype(np.float32)),
        {"depth-disagrees"},
    ),
    "landmarks aside": (in_arrays("landmarks.npz", lambda c: c["pixels"].__iadd__(1)), {"landmarks-disagree"}),
    "landmarks farther": (in_arrays("landmarks.npz", lambda c: c["points"].__iadd__(0.01)), {"landmarks-disagree"}),
}


@pytest.mark.parametrize("fault", SHOWS)
def test_pictures_that_do_not_fit(moving: StoredClip, fault: str) -> None:
    plant, wanted = SHOWS[fault]
    assert moving.found(GEOMETRY, plant) == wanted


MISSES: dict[str, tuple[Plant, set[str]]] = {
    "cameras swapped": (in_arrays("cameras.npz", swap_views), {"landmarks-disagree", "cameras-disagree"}),
    "cameras swapped with their landmarks": (swap_cameras_and_their_landmarks, {"cameras-disagree"}),
    "a camera mirrored": (
        in_arrays("cameras.npz", lambda c: c["world_to_camera"][0, :, 0].__imul__(-1)),
        {"landmarks-disagree", "cameras-disagree"},
    ),
    "a camera scaled": (
        in_arrays("cameras.npz", lambda c: c["world_to_camera"][0, :, :3].__imul__(2)),
        {"cameras-disagree"},
    ),
    "a longer lens": (
        in_arrays("cameras.npz", lambda c: c["K"][1, :, :2, :2].__imul__(1.1)),
        {"landmarks-disagree", "cameras-disagree"},
    ),
    "a head turned": (
        in_arrays("motion.npz", lambda c: c["root"].__iadd__(0.5)),
        {"landmarks-disagree", "cameras-disagree", "normals-disagree"},
    ),
    "a head beyond reach": (in_arrays("motion.npz", lambda c: c["translation"].__iadd__(1e6)), {"cameras-disagree"}),
}


@pytest.mark.parametrize("fault", MISSES)
def test_cameras_and_motion_that_show_another_picture(moving: StoredClip, fault: str) -> None:
    plant, wanted = MISSES[fault]
    assert moving.found(GEOMETRY, plant) >= wanted


def test_hair_is_allowed_for_where_nothing_segments_it(moving: StoredClip) -> None:
    assert moving.row["hair_style"] == "short"
    few = [label for label in moving.row["labels"] if label != "segmentation"]
    plant = in_spec(lambda spec: spec.update(labels=few))
    assert moving.found(GEOMETRY, plant, labels=few) == set()
    grown = in_video("v00.alpha.mkv", lambda f: np.maximum(f, np.roll(f, 20, axis=2)))
    assert moving.found(GEOMETRY, lambda m: (plant(m), grown(m)), labels=few) == {"cameras-disagree"}


def test_masks_elsewhere_than_landmarks_are_found_without_a_head(moving: StoredClip) -> None:
    aside = in_video("v00.alpha.mkv", lambda f: np.roll(f, f.shape[2] // 2, axis=2))
    assert "cameras-disagree" in moving.found(None, aside)
    assert "cameras-disagree" not in moving.found(None)


def test_a_head_that_leaves_the_picture_is_found(moving: StoredClip) -> None:
    away = in_arrays("landmarks.npz", lambda c: c["pixels"][1, 2:].__iadd__((60, 0)))
    result = moving.check(None, away)
    assert ("head-out-of-frame", "v01.rgb.mp4") in {(f.check, f.where) for f in result.findings}
    cut_above = in_video("v01.alpha.mkv", lambda f: np.concatenate([f[:, 25:], f[:, :25]], axis=1))
    result = moving.check(None, cut_above)
    assert ("head-out-of-frame", "v01.alpha.mkv") in {(f.check, f.where) for f in result.findings}


def test_a_record_that_says_otherwise_is_found(moving: StoredClip) -> None:
    other = moving.check(GEOMETRY, in_spec(lambda spec: spec.update(identity=7))).findings
    assert [(f.check, f.where, f.seen) for f in other] == [("spec-disagrees", "spec.json:identity", "7")]
    other = moving.check(GEOMETRY, in_spec(lambda spec: spec["software"].update(numpy="9.9"))).findings
    assert [(f.check, f.where, f.seen) for f in other] == [("software-differs", "spec.json:software", "numpy 9.9")]


def test_without_the_head_geometry_is_said_to_be_unchecked(moving: StoredClip) -> None:
    assert moving.found(None) == {"geometry-unchecked"}
    other = in_spec(lambda spec: spec["head"].update(sha256="0" * 64))
    assert moving.found(GEOMETRY, other, head_sha256="0" * 64) == {"geometry-unchecked"}


def test_a_clip_under_another_key_or_encoded_again_is_alike(clips: list[StoredClip]) -> None:
    for clip in clips:
        brighter = in_video("v00.rgb.mp4", lambda f: np.clip(f.astype(int) + 3, 0, 255).astype(np.uint8))
        again = clip.check(None, lambda m, change=brighter: change(change(m) or m)).fingerprint  # type: ignore[misc]
        assert alike(again, clip.check(None).fingerprint)
    assert not alike(b"", b"")
