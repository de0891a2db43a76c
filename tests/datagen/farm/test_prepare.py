"""A corpus that grows, with a crash at every step of it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from datagen.farm.prepare import prepare
from manifests import spool
from manifests.conventions import FORMAT_VERSION
from manifests.corpus import Corpus, read_corpus, write_corpus
from manifests.layout import SPOOL, part_path
from manifests.manifest import compact, read_manifest
from manifests.shard import assemble
from manifests.storage import Storage
from tests.datagen.farm.toy import ToyConfig, clip_members, data_files, make_reference
from tests.manifests.crashes import crash_everywhere

GROWN = ToyConfig(clips=10, clips_per_shard=4)
SMALL = dataclasses.replace(GROWN, clips=6)
GIVEN_UP = {5: "bad"}


def corpus_of(config: ToyConfig) -> Corpus:
    return Corpus(
        FORMAT_VERSION,
        config.name,
        config.clips,
        config.clips_per_shard,
        config.config_hash,
        json.loads(config.to_json()),
    )


def make_small(storage: Storage) -> None:
    make_reference(SMALL, Path(storage.url), GIVEN_UP)
    write_corpus(storage, corpus_of(SMALL))


def grow(storage: Storage) -> set[int]:
    """What a run does, one step after another. Returns the clips that it rendered."""
    rendered = set()
    for shard, committed in enumerate(prepare(storage, corpus_of(GROWN))):
        if committed:
            continue
        there = spool.read_spool(storage, GROWN.layout, shard).clips
        for clip in sorted(set(GROWN.layout.clips_of(shard)) - there):
            pieces = spool.pack(GROWN.layout, clip, clip_members(GROWN, clip))
            spool.write_clip(storage, GROWN.layout, clip, pieces)
            rendered.add(clip)
        assemble(storage, GROWN.layout, shard, GROWN.config_hash)
    compact(storage, GROWN.layout)
    storage.delete_folder(SPOOL)
    assert read_corpus(storage) == corpus_of(GROWN)
    return rendered


def test_a_crash_at_any_step_of_growing_is_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clip 5 was given up; a run that rendered it after all would have lost its record."""
    reference = data_files(make_reference(GROWN, tmp_path / "reference", GIVEN_UP))
    steps = crash_everywhere(tmp_path, monkeypatch, make_small, grow, reference)
    # Two fragments, the old part and corpus.json; four clips; tar, part and spool of two shards; the compacted
    # file, two parts; the spool.
    assert steps >= 4 + 4 + 2 * 3 + 3


def test_growing_renders_the_new_clips_only(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    make_small(storage)
    assert grow(storage) == {6, 7, 8, 9}
    assert grow(storage) == set()


def test_a_last_shard_whose_tar_is_no_good_is_made_again(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path / "out"))
    make_small(storage)
    shard = storage.read(SMALL.layout.shard_path(1))
    storage.write(SMALL.layout.shard_path(1), shard[: len(shard) // 4])
    prepare(storage, corpus_of(GROWN))
    assert not storage.exists(part_path(1))
    assert grow(storage) == {4, 5, 6, 7, 8, 9}
    assert read_manifest(storage, ["index"])["index"].to_pylist() == list(range(10))
