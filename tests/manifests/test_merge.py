"""Views over corpora, and manifests put together."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from manifests.corpus import read_corpus
from manifests.errors import UserError
from manifests.manifest import read_manifest
from manifests.merge import merge
from manifests.query import query
from manifests.reader import CorpusReader
from manifests.storage import Storage
from tests.manifests.rows import write_rows_corpus


@pytest.fixture
def two(tmp_path: Path) -> list[str]:
    return [
        write_rows_corpus(str(tmp_path / name), clips=clips, name=name).url for name, clips in (("a", 10), ("b", 5))
    ]


def test_a_view_reads_like_a_corpus(two: list[str], tmp_path: Path) -> None:
    report = merge(two, str(tmp_path / "view"))
    assert report.sources == tuple(two)
    reader = CorpusReader(str(tmp_path / "view"))
    assert [row["key"] for row in reader.rows(["key"])] == [
        f"{name}-{index:09d}" for name, clips in (("a", 10), ("b", 5)) for index in range(clips)
    ]
    assert query(report.url, "SELECT source, count(*) AS clips FROM clips GROUP BY ALL ORDER BY ALL").to_pylist() == [
        {"source": 0, "clips": 10},
        {"source": 1, "clips": 5},
    ]


def test_sources_may_be_relative_and_the_view_be_read_from_anywhere(
    two: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    merge(["a", "./b/../b"], "view")
    monkeypatch.chdir("/")
    assert [source.url for source in CorpusReader(str(tmp_path / "view")).sources] == two


def test_views_and_sources_may_lie_on_object_stores(two: list[str]) -> None:
    there = write_rows_corpus("memory://merge/c", name="c").url
    merge([two[0], there], "memory://merge/view")
    assert [source.url for source in CorpusReader("memory://merge/view").sources] == [two[0], there]


def test_a_view_is_replaced_by_a_new_one(two: list[str], tmp_path: Path) -> None:
    view = str(tmp_path / "view")
    merge(two, view)
    merge(two[1:], view)
    assert [source.url for source in CorpusReader(view).sources] == two[1:]
    (tmp_path / "view" / "view.json").write_text("{")
    merge(two, view)
    assert [source.url for source in CorpusReader(view).sources] == two


def test_what_is_no_view_is_not_written(two: list[str], tmp_path: Path) -> None:
    view = str(tmp_path / "view")
    merge(two, view)
    (tmp_path / "link").symlink_to(two[0])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").write_text("x")
    for sources, out, message in (
        ([two[0], two[0]], "new", "named twice"),
        ([two[0], str(tmp_path / "link")], "new", "named twice"),
        ([two[0], view], "new", "is a view itself"),
        ([two[0], view], "view", "would name itself"),
        ([*two], "a", "would name itself"),
        ([two[0]], "b", "is not empty"),
        ([two[0]], "full", r"is not empty \(precious\)"),
        ([two[0], str(tmp_path / "nothing")], "new", "no corpus here"),
        ([], "new", "0 corpora"),
        (two, None, "name it with --out"),
    ):
        with pytest.raises(UserError, match=message):
            merge(sources, None if out is None else str(tmp_path / out))
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "full", "link", "view"]
    assert [source.url for source in CorpusReader(view).sources] == two


def test_parts_of_one_manifest_are_put_together(two: list[str]) -> None:
    before = read_manifest(two[0])
    report = merge(two[:1])
    assert (report.files_before, report.files) == (3, 2)  # the last of the three shards is not full
    assert str(report) == f"{two[0]}: the manifest has 2 files, it had 3"
    assert read_manifest(two[0]) == before
    assert os.listdir(f"{two[0]}/manifest") != []
    assert merge(two[:1]).files_before == 2
    assert read_corpus(Storage(two[0])).clips == 10


def test_the_parts_of_a_view_are_not_its_own(two: list[str], tmp_path: Path) -> None:
    merge(two, str(tmp_path / "view"))
    with pytest.raises(UserError, match="is a view"):
        merge([str(tmp_path / "view")])
