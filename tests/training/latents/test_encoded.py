"""Samples from the cache against the same samples encoded on the fly."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import pytest
import torch

from manifests.errors import UserError
from tests.conftest import Generated
from training.codec.load import load_codec
from training.data.choice import Choice, ReferenceWeights
from training.data.clips import Clips
from training.data.samples import read_sample
from training.encode import Encode
from training.expression.load import load_encoder
from training.latents.cache import CacheReport, cache_latents
from training.latents.encoded import LatentChoice, choose_latents, read_encoded
from training.latents.read import LatentClips
from training.regions import LossWeights


@pytest.fixture(scope="session", params=["patches", "wan"])
def cached(
    request: pytest.FixtureRequest,
    corpus: Generated,
    codec: str,
    video_codec: str,
    encoder: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[LatentClips, str]:
    """A cache with codes, and its codec."""
    folder, frames = (codec, 3) if request.param == "patches" else (video_codec, 5)
    out = str(tmp_path_factory.mktemp("encoded") / "latents")
    cache_latents(str(corpus.out), out, codec=folder, expression=encoder, frames=frames, stride=1)
    return LatentClips(out), folder


def test_any_slot_of_a_codec_of_single_frames_may_be_the_portrait(
    cache: tuple[Path, CacheReport], corpus: Generated
) -> None:
    clips, latents = Clips(str(corpus.out), split=None), LatentClips(str(cache[0]))
    for alone, wanted in ((True, {0, 1}), (False, {0})):
        drawn = [choose_latents(clips, latents, 1, ReferenceWeights(0, 1, 0), alone, 3, word) for word in range(40)]
        assert {choice.reference_slot for choice in drawn} == wanted


@pytest.mark.parametrize("weights", [LossWeights(), LossWeights(foreground=2, mouth=4, eyes=3)])
def test_as_encoded_on_the_fly(
    weights: LossWeights, cached: tuple[LatentClips, str], corpus: Generated, encoder: str
) -> None:
    latents, folder = cached
    clips, model = Clips(str(corpus.out), split=None), load_codec(folder)
    window, reference_window = latents.windows(1) - 1, latents.windows(2) - 1
    slot = 2 if model.temporal_stride == 1 else 0
    choice = LatentChoice(1, 1, window, 2, 0, reference_window, slot)
    found = read_encoded(clips, latents, choice, model, weights)
    frame = latents.record.frames_of(reference_window)[slot]
    sample = read_sample(clips, Choice(1, 1, latents.record.frames_of(window), 2, 0, frame))
    batch = dataclasses.replace(
        sample, **{f.name: getattr(sample, f.name)[None] for f in dataclasses.fields(sample) if f.name != "key"}
    )
    wanted = Encode(model, load_encoder(encoder), weights)(batch)
    pairs = [(found.latents, wanted.latents), (found.weight, wanted.weight)]
    for name in ("reference", "pose", "camera", "expression"):
        pairs.append((getattr(found.conditions, name), getattr(wanted.conditions, name)))
    for mine, true in pairs:
        torch.testing.assert_close(mine, true, atol=4e-3, rtol=2e-3)  # half precision
    assert found.key[0].startswith(f"{clips.key(1)}.v01[")


def test_choices_cover_what_there_is_and_no_frame_that_is_shown(
    cache: tuple[Path, CacheReport], corpus: Generated
) -> None:
    clips, latents = Clips(str(corpus.out), split=None), LatentClips(str(cache[0]))
    drawn = [choose_latents(clips, latents, 1, ReferenceWeights(), False, 3, word) for word in range(200)]
    assert drawn[:20] == [choose_latents(clips, latents, 1, ReferenceWeights(), False, 3, word) for word in range(20)]
    assert {(c.view, c.window) for c in drawn} == set(itertools.product(range(2), range(2)))
    mates = {int(i) for i in clips.same_identity(1)}
    assert {c.reference_clip for c in drawn} == mates
    assert len(mates) > 1
    assert {(c.reference_view, c.reference_window) for c in drawn} == set(itertools.product(range(2), range(2)))
    for c in drawn:
        if (c.reference_clip, c.reference_view) == (c.clip, c.view):
            assert latents.record.frames_of(c.reference_window).start not in latents.record.frames_of(c.window)


@pytest.mark.parametrize(
    ("weights", "same_clip", "same_view"),
    [((1, 0, 0), True, True), ((0, 1, 0), True, False), ((0, 0, 1), False, None)],
)
def test_kinds_of_references(
    weights: tuple[float, float, float],
    same_clip: bool,
    same_view: bool | None,
    cache: tuple[Path, CacheReport],
    corpus: Generated,
) -> None:
    clips, latents = Clips(str(corpus.out), split=None), LatentClips(str(cache[0]))
    for word in range(20):
        choice = choose_latents(clips, latents, 1, ReferenceWeights(*weights), False, 3, word)
        assert (choice.reference_clip == choice.clip) == same_clip
        assert same_view is None or (choice.reference_view == choice.view) == same_view


def test_what_is_missing(cache: tuple[Path, CacheReport], corpus: Generated, codec: str, tmp_path: Path) -> None:
    clips, latents = Clips(str(corpus.out), split=None), LatentClips(str(cache[0]))
    with pytest.raises(UserError, match="the cache holds no expression codes"):
        read_encoded(clips, latents, LatentChoice(0, 0, 0, 0, 0, 1, 0), load_codec(codec), LossWeights())
    cache_latents(str(corpus.out), str(tmp_path / "out"), codec=codec)
    with pytest.raises(UserError, match="2 views of 1 windows in the cache, and its person"):
        choose_latents(clips, LatentClips(str(tmp_path / "out")), 1, ReferenceWeights(view=0, clip=0), False, 3)
