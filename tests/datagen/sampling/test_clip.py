"""A clip follows from configuration, head and index, and each stream minds its own business."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from datagen.config import CorpusConfig, load_config, shipped_corpora
from datagen.sampling.clip import sample_clip
from manifests.clip import Clip, HeadInfo
from manifests.errors import UserError

WHO = ("identity", "split", "traits", "appearance")


def clips(head: HeadInfo, **overrides: Any) -> list[Clip]:
    config = load_config("demo", {key.replace("__", "."): str(value) for key, value in overrides.items()})
    return [sample_clip(config, head, index) for index in range(8)]


def same(a: Any, b: Any) -> bool:
    """Equality to the bit of dataclasses that hold arrays."""
    return all(
        np.array_equal(getattr(a, field.name), getattr(b, field.name))
        if isinstance(getattr(a, field.name), np.ndarray)
        else getattr(a, field.name) == getattr(b, field.name)
        for field in dataclasses.fields(a)
    )


def test_a_clip_depends_on_no_other_call(named_head: HeadInfo) -> None:
    config = load_config("demo")
    forward = [sample_clip(config, named_head, index) for index in range(8)]
    backward = [sample_clip(CorpusConfig.from_json(config.to_json()), named_head, i) for i in reversed(range(8))]
    for a, b in zip(forward, reversed(backward), strict=True):
        assert a.spec == b.spec
        assert same(a.motion, b.motion)
        assert same(a.cameras, b.cameras)


def test_camera_settings_leave_people_motion_and_light(named_head: HeadInfo) -> None:
    changed = clips(named_head, camera="{yaw_deg: [-30, 30], distance_m: [0.9, 1.0], focal_length_mm: [80, 80]}")
    for a, b in zip(clips(named_head), changed, strict=True):
        assert same(a.motion, b.motion)
        assert a.spec.scene == b.spec.scene
        assert a.spec.recipe == b.spec.recipe
        assert all(getattr(a.spec, name) == getattr(b.spec, name) for name in WHO)
        assert not same(a.cameras, b.cameras)


def test_light_leaves_cameras_people_and_motion(named_head: HeadInfo) -> None:
    for a, b in zip(clips(named_head), clips(named_head, templates="{quick: 1}"), strict=True):
        assert same(a.motion, b.motion)
        assert same(a.cameras, b.cameras)
        assert all(getattr(a.spec, name) == getattr(b.spec, name) for name in WHO)
        assert a.spec.scene != b.spec.scene


def test_motion_settings_leave_people_and_cameras(named_head: HeadInfo) -> None:
    changed = clips(named_head, motion="{yaw_deg: [-10, 10], jaw_open_deg: 5, emotion_strength: [0, 0.2]}")
    for a, b in zip(clips(named_head), changed, strict=True):
        assert same(a.cameras, b.cameras)
        assert a.spec.scene == b.spec.scene
        assert np.array_equal(a.motion.shape, b.motion.shape)
        assert a.spec.appearance == b.spec.appearance
        assert not np.array_equal(a.motion.neck, b.motion.neck)


def test_appearance_settings_leave_shape_motion_and_cameras(named_head: HeadInfo) -> None:
    changed = clips(named_head, appearance="{melanin: [0.4, 0.5], masculine_hair: {bald: 1}, feminine_hair: {bald: 1}}")
    for a, b in zip(clips(named_head), changed, strict=True):
        assert same(a.motion, b.motion)
        assert same(a.cameras, b.cameras)
        assert a.spec.appearance.clothing_colour == b.spec.appearance.clothing_colour
        assert b.spec.appearance.hair_style == "bald"
        assert 0.4 <= b.spec.appearance.melanin <= 0.5


def test_traits_leave_motion_cameras_and_tone(named_head: HeadInfo) -> None:
    changed = clips(named_head, identity="{ages: {old: 1}, genders: {feminine: 1}}")
    for a, b in zip(clips(named_head), changed, strict=True):
        assert same(a.cameras, b.cameras)
        assert np.array_equal(a.motion.shape[4:], b.motion.shape[4:])
        assert a.spec.appearance.melanin == b.spec.appearance.melanin
        assert b.spec.traits.age_years >= 55
        assert b.spec.traits.gender <= 0.3
        assert (a.spec.traits.african, a.spec.traits.asian) == (b.spec.traits.african, b.spec.traits.asian)


def test_more_clips_leave_the_earlier_ones(named_head: HeadInfo) -> None:
    for a, b in zip(clips(named_head), clips(named_head, clips=1_000_000), strict=True):
        assert a.spec == b.spec
        assert same(a.motion, b.motion)
        assert same(a.cameras, b.cameras)


def test_seeds_differ(named_head: HeadInfo) -> None:
    for a, b in zip(clips(named_head), clips(named_head, seed=1), strict=True):
        assert not np.array_equal(a.motion.shape, b.motion.shape)
        assert not same(a.cameras, b.cameras)


def test_splits_share_no_identity(named_head: HeadInfo) -> None:
    config = load_config("demo", {"identities": "20", "clips": "200", "frames": "1"})
    seen: dict[int, set[str]] = {}
    for index in range(200):
        spec = sample_clip(config, named_head, index).spec
        seen.setdefault(spec.identity, set()).add(spec.split)
    assert len(seen) == 20
    assert all(len(splits) == 1 for splits in seen.values())
    assert {split for splits in seen.values() for split in splits} == {"train", "validation", "test"}


def test_an_identity_looks_the_same_in_all_its_clips(named_head: HeadInfo) -> None:
    sampled = clips(named_head)
    for first, second in zip(sampled[:4], sampled[4:], strict=True):
        assert first.spec.identity == second.spec.identity
        assert first.spec.appearance == second.spec.appearance
        assert np.array_equal(first.motion.shape, second.motion.shape)


@pytest.mark.parametrize("name", shipped_corpora())
def test_shipped_corpora_make_whole_clips(name: str, named_head: HeadInfo, plain_head: HeadInfo) -> None:
    config = load_config(name)
    for head in (named_head, plain_head):
        for index in (0, config.clips // 2, config.clips - 1):
            clip = sample_clip(config, head, index)
            frames, views = config.frames, config.views
            assert clip.motion.frames == frames
            assert clip.motion.expression.shape == (
                frames,
                head.expression_size,
            )
            assert clip.motion.shape.shape == (head.identity_size,)
            assert clip.cameras.intrinsics.shape == (views, frames, 3, 3)
            assert clip.cameras.world_to_camera.shape == (views, frames, 4, 4)
            assert clip.cameras.world_to_camera.dtype == np.float64
            for field in dataclasses.fields(clip.motion):
                value = getattr(clip.motion, field.name)
                assert value.dtype == np.float32
                assert np.isfinite(value).all()
            assert clip.spec.key == f"{name}-{index:09d}"
            json.dumps(dataclasses.asdict(clip.spec), allow_nan=False)


def test_view_sweeps_hold_still_and_the_others_move(named_head: HeadInfo) -> None:
    for clip in clips(named_head):
        still = (clip.motion.neck == clip.motion.neck[0]).all() and (
            clip.motion.expression == clip.motion.expression[0]
        ).all()
        moving = not (clip.cameras.world_to_camera == clip.cameras.world_to_camera[:, :1]).all()
        assert still == (clip.spec.recipe == "view_sweep")
        assert moving == clip.spec.recipe.endswith("sweep")


def test_summary_is_of_this_clip(named_head: HeadInfo) -> None:
    for clip in clips(named_head):
        summary = clip.spec.summary
        assert summary.camera_yaw_deg_min <= summary.camera_yaw_deg_max
        assert summary.camera_distance_m_min >= 0.35
        assert summary.light_power_w == pytest.approx(sum(light.power_w for light in clip.spec.scene.lights))
        assert (summary.trajectory == "fixed") == (clip.spec.recipe in ("phone", "studio"))
        focal = clip.cameras.intrinsics[0, 0, 0, 0] * 36 / clip.cameras.width
        assert summary.focal_length_mm == pytest.approx(focal)


@pytest.mark.parametrize("index", [-1, 8, 10**9])
def test_an_index_out_of_range_is_refused(index: int, named_head: HeadInfo) -> None:
    with pytest.raises(UserError, match=rf"clip {index}: .* between 0 and 7"):
        sample_clip(load_config("demo"), named_head, index)
