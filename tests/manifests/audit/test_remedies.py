"""What an audit advises is done here, and mends what it is advised for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from factorportrait import main
from manifests import spool
from manifests.audit.findings import CHECKS
from manifests.conventions import FORMAT_VERSION
from manifests.corpus import Corpus, write_corpus
from manifests.export import export
from manifests.manifest import committed_shards, compact
from manifests.reindex import reindex
from manifests.shard import assemble
from manifests.storage import Storage
from manifests.table import write_rows
from tests.conftest import Generated, data_hashes, finish, start_generate
from tests.datagen.farm.toy import ToyConfig, clip_members, data_files, make_reference
from tests.manifests.audit.plant import Copy

AGAIN = "delete the shard and the manifest file that has its rows, then run `factorportrait reindex` and the same "


def test_a_bad_shard_of_a_real_corpus_is_made_again(copy: Copy, corpus: Generated) -> None:
    assert AGAIN in CHECKS["shard-truncated"].remedy
    copy.shard(0).write_bytes(copy.shard(0).read_bytes()[:-700])
    assert copy.audit().counts == {"shard-truncated": 1}
    copy.part(0).unlink()
    copy.shard(0).unlink()
    assert main(["reindex", str(copy.out)]) == 0
    assert "3 rendered in this run" in finish(start_generate(copy.out))
    assert data_hashes(copy.out) == data_hashes(corpus.out)


def test_of_many_shards_in_one_file_the_bad_one_alone_is_made_again(tmp_path: Path) -> None:
    config = ToyConfig(clips=10, clips_per_shard=4)
    out = tmp_path / "out"
    storage, layout = Storage(str(out)), config.layout
    write_corpus(storage, Corpus(FORMAT_VERSION, config.name, 10, 4, config.config_hash, {}))
    reference = data_files(make_reference(config, out))
    (out / "manifest" / "clips-000000-000001.parquet").unlink()
    (out / "shards" / "toy-000001.tar").unlink()
    assert reindex(str(out)).shards == [0]
    assert list(committed_shards(storage, layout)) == [1, 0, 1]
    for clip in layout.clips_of(1):  # as generate goes on
        spool.write_clip(storage, layout, clip, spool.pack(layout, clip, clip_members(config, clip)))
    assemble(storage, layout, 1, config.config_hash)
    compact(storage, layout)
    storage.delete_folder("spool")
    assert data_files(out) == reference


def test_a_bad_shard_of_a_subset_is_exported_again(corpus: Generated, tmp_path: Path) -> None:
    subset = Copy(tmp_path / "subset")
    export(str(corpus.out), str(subset.out), where='"index" IN (1, 3)')
    before = data_hashes(subset.out)
    subset.shard(1).write_bytes(b"")
    assert not subset.audit().sound
    subset.part(1).unlink()
    subset.shard(1).unlink()
    export(str(corpus.out), str(subset.out), where='"index" IN (1, 3)')
    assert data_hashes(subset.out) == before


@pytest.mark.parametrize(
    ("check", "plant"),
    [
        ("row-invalid", lambda copy: copy.edit_row(0, 1, recipe="walk")),
        ("spec-disagrees", lambda copy: copy.edit_row(0, 1, template="slow")),
    ],
)
def test_a_wrong_row_comes_back_from_its_shard(copy: Copy, check: str, plant: Callable[[Copy], None]) -> None:
    before = data_hashes(copy.out)
    plant(copy)
    assert check in copy.audit(level="full").counts
    reindex(str(copy.out))
    assert check in copy.audit(level="full").counts, "the file is whole, so it has to be deleted first"
    copy.part(0).unlink()
    reindex(str(copy.out))
    assert data_hashes(copy.out) == before


@pytest.mark.parametrize("check", ["manifest-damaged", "manifest-missing", "key-duplicate"])
def test_reindex_alone_mends_files_that_are_not_whole(copy: Copy, check: str) -> None:
    before = data_hashes(copy.out)
    rows = copy.rows(0)
    if check == "manifest-damaged":
        copy.part(0).write_bytes(b"PAR1")
    else:
        copy.write_rows(0, [rows[0], rows[2]] if check == "manifest-missing" else [*rows, rows[-1]])
    assert set(copy.audit().counts) == {check}
    assert main(["reindex", str(copy.out)]) == 0
    assert data_hashes(copy.out) == before


def test_a_file_beyond_the_corpus_is_moved_away(copy: Copy) -> None:
    beyond = copy.out / "manifest" / "part-000007.parquet"
    shutil.copy(copy.part(1), beyond)
    assert copy.audit().counts == {"manifest-damaged": 1}
    reindex(str(copy.out))
    assert copy.audit().counts == {"manifest-damaged": 1}
    beyond.unlink()
    assert copy.audit().counts == {}


def test_a_file_that_overlaps_another_is_moved_away(copy: Copy) -> None:
    copy.edit_corpus(lambda fields: fields.update(clips=9))
    rows = [*copy.rows(0), *copy.rows(1)]
    (copy.out / "manifest" / "clips-000000-000001.parquet").write_bytes(write_rows(rows))
    overlapping = copy.out / "manifest" / "clips-000001-000002.parquet"
    overlapping.write_bytes(write_rows(copy.rows(1)))
    before = copy.audit().counts
    assert "manifest-damaged" in before
    overlapping.unlink()
    assert "manifest-damaged" not in copy.audit().counts


def test_a_shard_without_rows_is_taken_in(copy: Copy) -> None:
    before = data_hashes(copy.out)
    copy.part(1).unlink()
    (record,) = (copy.out / "log").glob("run-*.json")
    record.write_text(record.read_text().replace('"finished"', '"interrupted"'))
    assert "shard-extra" in copy.audit().counts
    reindex(str(copy.out))
    assert copy.audit().counts == {}
    assert data_hashes(copy.out) == before


def test_what_is_no_shard_of_the_corpus_is_left_by_reindex(copy: Copy) -> None:
    shutil.copy(copy.shard(1), copy.shard(7))
    assert copy.audit().counts == {"file-extra": 1}
    assert main(["reindex", str(copy.out)]) == 1
    copy.shard(7).unlink()
    assert copy.audit().counts == {}
