"""Places of members come from the manifest, however it is cut into files and row groups."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from manifests.layout import compacted_path
from manifests.manifest import manifest_files, read_manifest
from manifests.merge import merge
from manifests.reader import CorpusReader
from manifests.storage import Storage
from manifests.table import table_writer
from training.data import places as module
from training.data.clips import Clips
from training.data.places import Places


def in_groups(url: str, rows: int) -> Storage:
    """The manifest as one file whose row groups have so many rows."""
    storage, table = Storage(url), read_manifest(url)
    parts = manifest_files(storage)
    with storage.stream(compacted_path(0, parts[-1].last)) as sink, table_writer(sink) as writer:
        for start in range(0, len(table), rows):
            writer.write_table(pa.table(table.slice(start, rows)).combine_chunks())
    for part in parts:
        storage.delete(part.path)
    return storage


@pytest.mark.parametrize("rows", [1, 3, 7, 100])
def test_row_groups_may_cut_shards(own: str, rows: int) -> None:
    storage = in_groups(own, rows)
    found = Places(manifest_files(storage))
    for again in range(2):
        for at, row in enumerate(CorpusReader(own).rows(["shard", "members"])):
            expected = [{k: v for k, v in member.items() if k != "sha256"} for member in row["members"]]
            assert found.members(storage, 0, at, row["shard"]) == expected, again


def test_a_compacted_corpus_reads_the_same(own: str, clips: Clips) -> None:
    merge([own])
    compacted = Clips(own)
    for i in (0, 7, 21):
        assert compacted.fetch(i, {"spec.json", "v01.rgb.mp4"}) == clips.fetch(i, {"spec.json", "v01.rgb.mp4"})


def test_a_shard_s_lists_are_read_once_and_only_so_many_are_kept(own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SHARDS", 2)
    storage = in_groups(own, 100)
    found = Places(manifest_files(storage))
    opened: list[str] = []
    really = Storage.open
    monkeypatch.setattr(Storage, "open", lambda self, path: opened.append(Path(path).name) or really(self, path))

    def reads(row: int) -> int:
        before = len(opened)
        found.members(storage, 0, row, row // 4)
        return len(opened) - before

    assert [reads(row) for row in (0, 1, 3, 4, 2, 8)] == [1, 0, 0, 1, 0, 1]
    assert [reads(row) for row in (1, 9, 5)] == [0, 0, 1]  # the least lately used went
