"""Batches are the same for any number of workers and ranks, and go on exactly where they stopped."""

from __future__ import annotations

from itertools import islice
from typing import Any

import fsspec
import numpy as np
import pytest
import torch

from datagen.geometry.cameras import world_normals_to_camera
from manifests.errors import UserError
from tests.training.data.many import CLIPS
from training.data.batch import TENSORS, Sample
from training.data.choice import Choice
from training.data.clips import Clips
from training.data.loader import PortraitLoader
from training.data.samples import read_sample


def loader(clips: Clips, batch_size: int = 3, **options: Any) -> PortraitLoader:
    return PortraitLoader(clips, batch_size=batch_size, **{"frames": 3, "seed": 9, "shards_together": 2, **options})


def same(a: list[Sample], b: list[Sample]) -> bool:
    return len(a) == len(b) and all(
        x.key == y.key and all(torch.equal(getattr(x, name), getattr(y, name)) for name in TENSORS)
        for x, y in zip(a, b, strict=True)
    )


def passes(source: PortraitLoader, batches: int) -> list[Sample]:
    """So many batches, over as many passes as that takes."""
    found: list[Sample] = []
    while len(found) < batches:
        found.extend(islice(source, batches - len(found)))
    return found


def names(batches: list[Sample]) -> list[str]:
    """The clip of each sample."""
    return [key.split(".")[0] for batch in batches for key in batch.key]


@pytest.fixture(scope="module")
def reference(clips: Clips) -> list[Sample]:
    """The first two epochs and a bit, one sample a batch, in this process."""
    return passes(loader(clips, 1), 2 * CLIPS + 4)


def samples(batches: list[Sample]) -> list[Sample]:
    """Batches cut into samples."""
    return [
        Sample((key,), **{name: getattr(batch, name)[at : at + 1] for name in TENSORS})
        for batch in batches
        for at, key in enumerate(batch.key)
    ]


def test_each_epoch_holds_every_clip_once_and_draws_anew(reference: list[Sample]) -> None:
    first, second = names(reference[:CLIPS]), names(reference[CLIPS : 2 * CLIPS])
    assert sorted(first) == sorted(second) == [f"many-{index:09d}" for index in range(CLIPS)]
    assert first != second
    assert len({sample.key for sample in reference}) > 1.5 * CLIPS


def test_a_sample_is_what_the_corpus_holds(clips: Clips) -> None:
    sample = read_sample(clips, Choice(4, 1, range(0, 5, 2), 9, 0, 3))
    video, (reference,) = clips.windows(4, [(1, range(0, 5, 2))])[0], clips.windows(9, [(0, range(3, 4))])
    assert sample.key == ("many-000000004.v01[0:5:2] from many-000000009.v00[3:4]",)
    assert {name: tuple(getattr(sample, name).shape) for name in TENSORS} == {
        "reference": (3, 64, 80),
        "reference_landmarks": (70, 2),
        "video": (3, 3, 64, 80),
        "alpha": (1, 3, 64, 80),
        "pose_normals": (3, 3, 64, 80),
        "intrinsics": (3, 3, 3),
        "world_to_camera": (3, 4, 4),
        "landmarks": (3, 70, 2),
    }
    assert all(getattr(sample, name).dtype == torch.float32 for name in TENSORS)
    bytes_again = ((sample.video + 1) * 127.5).round().byte().permute(1, 2, 3, 0).numpy()
    np.testing.assert_array_equal(bytes_again, video.rgb)
    assert float(sample.video.min()) == -1  # black behind the person
    np.testing.assert_array_equal(((sample.reference + 1) * 127.5).round().permute(1, 2, 0), reference.rgb[0])
    np.testing.assert_array_equal((sample.alpha[0] * 255).round(), video.alpha)
    normals = sample.pose_normals.permute(1, 2, 3, 0).numpy()
    np.testing.assert_array_equal(normals, world_normals_to_camera(video.pose_normals, video.world_to_camera))
    length = np.linalg.norm(normals, axis=-1)
    assert np.all((np.abs(length - 1) < 1e-5) | (length == 0))
    assert normals[length > 0][:, 2].mean() < -0.5  # the person faces the camera, and z looks away from it
    np.testing.assert_allclose(sample.world_to_camera, video.world_to_camera, rtol=1e-6)
    np.testing.assert_array_equal(sample.landmarks, video.landmarks)
    np.testing.assert_array_equal(sample.reference_landmarks, reference.landmarks[0])


@pytest.mark.parametrize(("batch_size", "ranks", "workers"), [(2, 1, 2), (3, 2, 0), (1, 3, 1), (5, 4, 0)])
def test_ranks_together_see_the_same_samples(
    clips: Clips, reference: list[Sample], batch_size: int, ranks: int, workers: int
) -> None:
    steps = 40 // (batch_size * ranks)
    found = [passes(loader(clips, batch_size, rank=rank, ranks=ranks, workers=workers), steps) for rank in range(ranks)]
    assert all(len(batch.key) == batch_size for of_rank in found for batch in of_rank)
    of_rank = [samples(batches) for batches in found]
    together = [of_rank[p % ranks][p // ranks] for p in range(steps * batch_size * ranks)]
    assert same(together, reference[: len(together)])


def test_it_goes_on_where_it_stopped_with_other_workers_ranks_and_batches(
    clips: Clips, reference: list[Sample]
) -> None:
    first = loader(clips, 4, workers=2, ahead=3)
    passes(first, 7)  # in the middle of the second epoch, with batches read ahead
    state = first.state_dict()
    assert state == {"samples_seen": 28}
    for batch_size, workers in ((4, 0), (6, 1)):
        resumed = loader(clips, batch_size, workers=workers)
        resumed.load_state_dict(state)
        assert same(samples(passes(resumed, 2)), reference[28 : 28 + 2 * batch_size])
    ranks = [loader(clips, 1, rank=rank, ranks=3) for rank in range(3)]
    for rank, resumed in enumerate(ranks):
        resumed.start_at(28)
        assert same(samples(passes(resumed, 2)), [reference[28 + rank], reference[31 + rank]])


def test_a_pass_ends_where_passes_end_and_leaving_one_loses_nothing(clips: Clips, reference: list[Sample]) -> None:
    for workers in (0, 1):
        source = loader(clips, 4, workers=workers)
        assert len(source) == CLIPS // 4 == 5
        found = list(islice(source, 2))
        assert source.remaining() == 3
        rest = list(source)
        assert len(rest) == 3
        assert len(list(source)) == 5
        assert source.samples_seen == 40
        assert same(samples(found + rest), reference[:20])


@pytest.mark.parametrize("workers", [0, 1])
def test_an_endless_one_walks_on_from_pass_to_pass(clips: Clips, reference: list[Sample], workers: int) -> None:
    source = loader(clips, 4, workers=workers, endless=True)
    assert same(samples(list(islice(source, 7))), reference[:28])  # a pass has 5
    assert source.samples_seen == 28
    source.start_at(4)
    assert same(samples([next(iter(source))]), reference[4:8])


def test_what_is_handed_out_is_counted_before_it_is_worked_on(clips: Clips) -> None:
    source = loader(clips, 4)
    assert [source.samples_seen for _ in source] == [4, 8, 12, 16, 20]


def test_an_object_store_gives_the_same_batches_to_workers(many: str, reference: list[Sample]) -> None:
    fsspec.filesystem("memory").put(many, "/loader-test", recursive=True)
    remote = loader(Clips("memory://loader-test"), 3, workers=2)
    assert same(samples(passes(remote, 3)), reference[:9])


def test_the_generator_of_the_training_is_left_alone(clips: Clips) -> None:
    before = torch.random.get_rng_state()
    next(iter(loader(clips)))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch_size": 23}, "batch_size: 23 on 1 ranks needs as many clips, there are 22"),
        ({"batch_size": 12, "ranks": 2, "rank": 0}, "batch_size: 12 on 2 ranks"),
        ({"batch_size": 0}, "batch_size: 0"),
        ({"workers": -1}, "workers: -1"),
        ({"ahead": 0}, "ahead: 0"),
        ({"rank": 2, "ranks": 2}, "rank: 2 of 2"),
        ({"frames": 9}, "frames: 9"),
    ],
)
def test_what_makes_no_batch_is_refused(clips: Clips, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        loader(clips, **options)


@pytest.mark.parametrize("state", [{}, {"samples_seen": -4}, {"samples_seen": 1.5}, {"samples_seen": "many"}])
def test_a_state_that_is_none_is_refused(clips: Clips, state: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="samples_seen"):
        loader(clips).load_state_dict(state)
