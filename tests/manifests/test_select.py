"""Lists of clips, written and read."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests import select as module
from manifests.errors import UserError
from manifests.layout import Layout
from manifests.reader import write_view
from manifests.select import SELECTION_SCHEMA, read_selection, select
from manifests.storage import Storage
from tests.manifests.rows import CLIPS_PER_SHARD, clip, given_up, write_rows_corpus

LAYOUT = Layout("toy", 10, CLIPS_PER_SHARD)


@pytest.fixture
def out(tmp_path: Path) -> str:
    return write_rows_corpus(str(tmp_path / "out"), change={5: given_up(LAYOUT, 5)}).url


def test_a_text_list_has_a_key_a_line(out: str, tmp_path: Path) -> None:
    to = tmp_path / "lists" / "some.txt"
    assert select(out, "melanin > 0.35 AND split = 'train'", str(to)) == 4
    assert to.read_text() == "toy-000000004\ntoy-000000006\ntoy-000000007\ntoy-000000009\n"
    assert read_selection(str(to)) == {LAYOUT.key(index) for index in (4, 6, 7, 9)}


def test_a_parquet_list_says_where_samples_lie(out: str, tmp_path: Path) -> None:
    to = str(tmp_path / "some.parquet")
    assert select(out, "index >= 8 OR index = 2", to) == 3
    found = pq.read_table(to)
    assert found.schema == SELECTION_SCHEMA
    assert found.to_pylist() == [
        {"source": 0, "key": LAYOUT.key(index), "index": index, "shard": shard, "offset": offset, "size": 1024}
        for index, shard, offset in ((2, 0, 2048), (8, 2, 0), (9, 2, 1024))
    ]
    assert read_selection(to) == {LAYOUT.key(index) for index in (2, 8, 9)}


@pytest.mark.parametrize("ending", ["txt", "parquet"])
def test_clips_without_a_sample_are_left_out(ending: str, out: str, tmp_path: Path) -> None:
    to = str(tmp_path / f"all.{ending}")
    assert select(out, "true", to) == 9
    assert read_selection(to) == {LAYOUT.key(index) for index in range(10) if index != 5}


@pytest.mark.parametrize("ending", ["txt", "parquet"])
def test_a_list_may_be_empty_and_lie_on_an_object_store(ending: str, out: str) -> None:
    to = f"memory://select/none.{ending}"
    assert select(out, "false", to) == 0
    assert read_selection(to) == set()


def test_bytes_follow_from_rows_however_they_are_read(
    out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS_PER_GROUP", 4)
    first, second = tmp_path / "a.parquet", tmp_path / "b.parquet"
    select(out, "true", str(first))
    monkeypatch.setattr("manifests.database.BATCH_ROWS", 1)
    select(out, "true", str(second))
    assert first.read_bytes() == second.read_bytes()
    metadata = pq.read_metadata(first)
    assert [metadata.row_group(group).num_rows for group in range(3)] == [4, 4, 1]
    assert pq.read_table(first)["index"].to_pylist() == [0, 1, 2, 3, 4, 6, 7, 8, 9]


def test_a_view_whose_corpora_share_a_name_needs_more_than_keys(out: str, tmp_path: Path) -> None:
    view = Storage(str(tmp_path / "view"))
    write_view(view, [out, write_rows_corpus(str(tmp_path / "again"), clips=2).url])
    with pytest.raises(UserError, match=r"share a name.*\.parquet"):
        select(view.url, "true", str(tmp_path / "some.txt"))
    assert select(view.url, "index = 1", str(tmp_path / "some.parquet")) == 2
    assert pq.read_table(tmp_path / "some.parquet")["source"].to_pylist() == [0, 1]


@pytest.mark.parametrize(
    "where",
    [
        "",
        "nothing = 1",
        "melanin >",
        "true) UNION ALL SELECT * FROM (FROM clips",
        "true ORDER BY key",
        "true, false",
        "true; DROP VIEW clips",
        "key IN (SELECT content FROM read_text('/etc/passwd'))",
        "error(key)",
    ],
)
def test_a_wrong_condition_writes_nothing(where: str, out: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^SQL: ") as error:
        select(out, where, str(tmp_path / "some.txt"))
    assert "\n" not in str(error.value)
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("key", ["toy-000000001\nother-000000001", "../toy-000000001", "", None])
def test_a_key_that_is_none_is_not_written(key: str | None, tmp_path: Path) -> None:
    out = write_rows_corpus(str(tmp_path / "out"), change={1: clip(LAYOUT, 1, key=key)}).url
    with pytest.raises(UserError, match="is no key"):
        select(out, "true", str(tmp_path / "some.txt"))
    assert os.listdir(tmp_path) == ["out"]


def test_a_place_that_cannot_be_written_is_named(out: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        select(out, "true", str(tmp_path / "file" / "some.txt"))
    for path in ("some.csv", "some", ".txt/"):
        with pytest.raises(UserError, match=r"neither \.txt nor \.parquet"):
            select(out, "true", str(tmp_path) + "/" + path)


def test_a_list_may_be_written_by_hand(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("\ntoy-000000003\r\n\n  a_b-c-1234567890")
    assert read_selection(str(tmp_path / "mine.txt")) == {"toy-000000003", "a_b-c-1234567890"}


@pytest.mark.parametrize(
    "data",
    [
        b"../../etc/passwd\n",
        b"toy-1\n",
        b"toy-000000001 toy-000000002\n",
        b"\xff\xfe\n",
        b"a" * 10_000_000,
        b"\x1b[2J\n",
    ],
    ids=["path", "short", "two", "bytes", "long", "escape"],
)
def test_a_text_list_of_anything_else_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_bytes(data)
    with pytest.raises(UserError) as error:
        read_selection(str(path))
    assert str(error.value).startswith(f"list {path}")
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 400


def test_a_parquet_list_of_anything_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    for table in (
        pa.table({"name": ["toy-000000001"]}),
        pa.table({"key": [1]}),
        pa.table({"key": pa.nulls(3, pa.string())}),
        pa.table({"key": ["toy-000000001", "../toy"]}),
        pa.table({"key": ["x" * 100_000_000]}),
    ):
        pq.write_table(table, path, compression="zstd")
        with pytest.raises(UserError, match="list "):
            read_selection(str(path))
    path.write_bytes(b"PAR1")
    with pytest.raises(UserError, match="cannot be read"):
        read_selection(str(path))
    with pytest.raises(UserError, match="no such file"):
        read_selection(str(tmp_path / "other.parquet"))
