from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from manifests.conventions import FORMAT_VERSION
from manifests.corpus import Corpus, check_output, read_corpus, write_corpus
from manifests.errors import UserError
from manifests.layout import Layout, parse_manifest_name, parse_spool_name
from manifests.storage import Storage

CORPUS = Corpus(
    FORMAT_VERSION, "toy", 10, 4, "abc", {"clips": 10, "seed": 1, "render": {"samples": 16}, "views": [1, 2]}
)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = Storage(str(tmp_path / "out"))
    write_corpus(storage, CORPUS)
    return storage


def test_reads_back_and_continues(storage: Storage) -> None:
    assert read_corpus(storage) == CORPUS
    assert check_output(storage, CORPUS) == CORPUS
    assert check_output(storage, dataclasses.replace(CORPUS, clips=20)) == CORPUS


def test_an_empty_place_is_free(tmp_path: Path) -> None:
    assert check_output(Storage(str(tmp_path)), CORPUS) is None
    assert check_output(Storage(str(tmp_path / "new")), CORPUS) is None


def test_names_the_fields_that_differ(storage: Storage) -> None:
    config = {"clips": 9, "seed": 2, "render": {"samples": 32}, "views": [1], "fps": 15}
    other = dataclasses.replace(CORPUS, config_hash="def", config=config)
    with pytest.raises(UserError) as caught:
        check_output(storage, other)
    assert "(fps: absent there, 15 now; render.samples: 16 there, 32 now; seed: 1 there, 2 now; and 1 more)" in str(
        caught.value
    )
    assert str(caught.value).endswith("choose another --out")


def test_a_changed_file_behind_equal_fields_is_said(storage: Storage) -> None:
    with pytest.raises(UserError, match="a file that they name, such as the head, has changed"):
        check_output(storage, dataclasses.replace(CORPUS, config_hash="def"))


def test_fewer_clips_are_refused(storage: Storage) -> None:
    with pytest.raises(UserError, match=r"clips: 5 is fewer than the 10 .* set clips to 10 or more"):
        check_output(storage, dataclasses.replace(CORPUS, clips=5))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"name": 1}', "\xff", '{"format_version": 2, "name": "a", "clips": "x"}'],
)
def test_a_damaged_corpus_file_is_left_as_it_is(storage: Storage, text: str) -> None:
    data = text.encode("latin-1")
    storage.write("corpus.json", data)
    with pytest.raises(UserError, match=r"corpus\.json is damaged"):
        check_output(storage, CORPUS)
    assert storage.read("corpus.json") == data


def test_a_value_of_another_type_is_damage(storage: Storage) -> None:
    write_corpus(storage, dataclasses.replace(CORPUS, clips_per_shard=0))
    with pytest.raises(UserError, match="is damaged"):
        read_corpus(storage)


def test_another_format_is_named(storage: Storage) -> None:
    write_corpus(storage, dataclasses.replace(CORPUS, format_version=99))
    with pytest.raises(
        UserError,
        match=rf"format 99, and this program reads {FORMAT_VERSION}; here is .*: use the version that wrote it",
    ):
        read_corpus(storage)


def test_no_corpus_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no corpus here"):
        read_corpus(Storage(str(tmp_path)))


def test_where_clips_lie() -> None:
    layout = Layout("toy", 10, 4)
    assert layout.shards == 3
    assert [list(layout.clips_of(shard)) for shard in range(3)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [layout.shard_of(clip) for clip in (0, 3, 4, 9)] == [0, 0, 1, 2]
    assert [layout.is_full(shard) for shard in range(3)] == [True, True, False]
    assert layout.shard_path(2) == "shards/toy-000002.tar"
    assert layout.fragment_path(9) == "spool/000002/000000009.tar"


@pytest.mark.parametrize("name", ["part-1.parquet", "part-000001.parquet.tmp", "clips-000001.parquet", "x"])
def test_other_names_in_the_manifest_folder_mean_nothing(name: str) -> None:
    assert parse_manifest_name(name) is None


def test_names_say_what_they_hold() -> None:
    part, many = (
        parse_manifest_name("part-000007.parquet"),
        parse_manifest_name("clips-000010-1000000.parquet"),
    )
    assert part is not None
    assert many is not None
    assert (part.first, part.last, many.first, many.last) == (7, 7, 10, 1_000_000)
    assert parse_spool_name("000000012.tar") == (12, False)
    assert parse_spool_name("000000012.error.json") == (12, True)
    assert parse_spool_name("12.tar") is None
