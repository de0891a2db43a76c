"""Clips that cannot be read are counted and replaced, the same way every time; too many stop the training."""

from __future__ import annotations

import logging
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from manifests.errors import UserError
from manifests.reader import CorpusReader
from tests.training.data.many import CLIPS
from training.data.batch import Sample
from training.data.clips import Clips
from training.data.faults import Fault, FaultLimit, Faults
from training.data.loader import PortraitLoader

LENIENT = FaultLimit(rate=1.0)


def damage(corpus: str, index: int, name: str = "landmarks.npz") -> None:
    """Flip bits in the middle of a member of a clip, in its shard."""
    row = CorpusReader(corpus).row(f"many-{index:09d}")
    member = next(member for member in row["members"] if member["name"] == name)
    shard = Path(corpus) / "shards" / f"many-{row['shard']:06d}.tar"
    data = bytearray(shard.read_bytes())
    at = member["offset"] + member["size"] // 2
    data[at : at + 8] = bytes(byte ^ 0x55 for byte in data[at : at + 8])
    shard.write_bytes(data)


def loader(corpus: str, faults: FaultLimit = LENIENT, **options: Any) -> PortraitLoader:
    given = {"batch_size": 2, "frames": 5, "seed": 9, "shards_together": 2, **options}
    return PortraitLoader(Clips(corpus), faults=faults, **given)


def keys(batches: list[Sample]) -> list[str]:
    return [key for batch in batches for key in batch.key]


@pytest.mark.parametrize("name", ["landmarks.npz", "cameras.npz"])
def test_a_damaged_clip_is_counted_said_and_replaced_by_the_next(
    many: str, own: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    damage(own, 6, name)
    sound, damaged = loader(many), loader(own)
    expected, found = list(sound), list(damaged)
    assert sound.faults.total == 0
    # Clip 6 itself, and wherever it was to give a reference.
    assert 1 <= damaged.faults.total < 5
    assert all("many-000000006" in fault.error for fault in damaged.faults.last)
    assert len(keys(found)) == len(keys(expected)) == CLIPS
    changed = [at for at, (a, b) in enumerate(zip(keys(expected), keys(found), strict=True)) if a != b]
    assert [keys(expected)[at] for at in changed] == [key for key in keys(expected) if "many-000000006" in key]
    assert not any("many-000000006" in key for key in keys(found))
    assert len(set(keys(found))) == CLIPS  # none twice
    (at,) = [at for at in changed if keys(expected)[at].startswith("many-000000006")]
    follower = keys(expected)[at + 1] if at + 1 < CLIPS else None
    assert follower is None or keys(found)[at][:14] == follower[:14]
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(said) == damaged.faults.total
    assert any(f"many-000000006.{name}: cannot be decoded" in text for text in said)


def test_replacements_are_the_same_for_other_workers_and_ranks_and_after_a_stop(own: str) -> None:
    for index in (2, 3, 11, 12):
        damage(own, index)
    alone = loader(own, batch_size=1)
    expected = list(alone)
    by_workers = loader(own, workers=2)
    found = list(by_workers)
    assert keys(found) == keys(expected)
    assert torch.equal(torch.cat([b.video for b in found]), torch.cat([b.video for b in expected]))
    assert by_workers.faults.total == alone.faults.total >= 4
    ranks = [loader(own, batch_size=1, rank=rank, ranks=2) for rank in range(2)]
    found_by = [keys(list(rank)) for rank in ranks]
    assert [key for pair in zip(*found_by, strict=True) for key in pair] == keys(expected)
    assert sum(rank.faults.total for rank in ranks) == alone.faults.total
    again = loader(own, batch_size=2)
    again.start_at(8)
    assert keys(list(again)) == keys(expected)[8:]


def test_only_what_was_handed_out_is_counted(own: str) -> None:
    for index in range(0, CLIPS, 2):
        damage(own, index)
    source = loader(own, batch_size=1, workers=1, ahead=8)
    batches = iter(source)
    next(batches)
    assert source.faults.samples == 1
    total = source.faults.total
    list(islice(batches, 9))
    assert source.faults.samples == 10
    assert source.faults.total > total


@pytest.mark.parametrize("workers", [0, 2])
def test_too_many_stop_it_and_the_error_names_the_last(own: str, workers: int) -> None:
    for index in range(3, 9):
        damage(own, index)
    strict = loader(own, FaultLimit(rate=0.02, over=100), workers=workers)
    said = r"^3 of the last \d+ clips cannot be read, more than 2.00% of 100: the last were many-"
    with pytest.raises(UserError, match=said) as error:
        list(strict)
    assert "\n" not in str(error.value)
    assert str(error.value).count("many-") >= 3
    assert strict.faults.total == 3


def test_a_lost_corpus_stops_at_once(own: str) -> None:
    source = loader(own, workers=1)
    for shard in (Path(own) / "shards").iterdir():
        shard.unlink()
    with pytest.raises(UserError, match=r"^no clip can be read, the last 20 in a row: .* is missing; put it back"):
        next(iter(source))


def test_the_rate_is_of_the_last_samples_and_is_said_as_soon_as_it_is_certain() -> None:
    one = [Fault("a-000000001", "torn")]
    faults = Faults(FaultLimit(rate=0.01, over=1000))
    for _ in range(10):
        faults.add(one, True)
    for _ in range(985):
        faults.add([], True)
    for _ in range(5):  # as many of the first ten are no longer among the last thousand
        faults.add(one, True)
    assert (faults.total, faults.samples) == (15, 1000)
    faults = Faults(FaultLimit(rate=0.01, over=1000))
    for _ in range(10):
        faults.add(one, True)
    with pytest.raises(UserError, match=r"11 of the last 21 clips cannot be read, more than 1.00% of 1000"):
        faults.add(one, True)


@pytest.mark.parametrize("limit", [{"rate": 1.5}, {"rate": -0.1}, {"over": 0}, {"in_a_row": 0}])
def test_limits_are_checked(limit: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"faults.{next(iter(limit))}: "):
        FaultLimit(**limit)
