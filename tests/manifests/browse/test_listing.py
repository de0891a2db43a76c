"""Filters, sorting and pages of the manifest, over HTTP."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from manifests.browse import Server
from manifests.browse.filters import COLUMNS, MAX_CONDITIONS, OPERATORS
from manifests.browse.listing import PAGE_ROWS
from manifests.corpus import read_corpus, write_corpus
from manifests.layout import part_path
from manifests.reader import write_view
from manifests.storage import Storage
from manifests.table import quarantined_row, write_rows
from tests.conftest import Generated
from tests.manifests.browse.asking import keys, refused, told


def test_all_columns_can_be_filtered_by(url: str, corpus: Generated) -> None:
    columns = told(url, "/api/corpus")["columns"]
    assert {column["name"] for column in columns} == set(corpus.rows()[0])
    for operator in (0, -1):  # one that takes a value, and "is there"
        conditions = [(column["name"], column["operators"][operator], "1") for column in columns]
        for start in range(0, len(conditions), MAX_CONDITIONS):
            assert len(keys(url, *conditions[start : start + MAX_CONDITIONS])) <= 4


def test_filters_give_the_rows_for_which_they_hold(url: str, corpus: Generated) -> None:
    rows = corpus.rows()
    middle = sorted(row["melanin"] for row in rows)[1]
    for condition, holds in [
        (("recipe", "is", "phone"), lambda row: row["recipe"] == "phone"),
        (("recipe", "is not", "phone"), lambda row: row["recipe"] != "phone"),
        (("recipe", "contains", "sweep"), lambda row: "sweep" in row["recipe"]),
        (("recipe", "starts with", "s"), lambda row: row["recipe"][0] == "s"),
        (("melanin", ">", repr(middle)), lambda row: row["melanin"] > middle),
        (("melanin", "≤", repr(middle)), lambda row: row["melanin"] <= middle),
        (("index", "=", "2"), lambda row: row["index"] == 2),
        (("labels", "has", "flow"), lambda row: "flow" in row["labels"]),
        (("labels", "has not", "flow"), lambda row: "flow" not in row["labels"]),
        (("members", "has", "v01.rgb.mp4"), lambda row: True),
        (("members", "has not", "v01.rgb.mp4"), lambda row: False),
        (("error", "is missing", ""), lambda row: row["error"] is None),
    ]:
        assert keys(url, condition) == [row["key"] for row in rows if holds(row)], condition
    both = ("recipe", "contains", "sweep"), ("melanin", "≤", repr(middle))
    assert keys(url, *both) == [r["key"] for r in rows if "sweep" in r["recipe"] and r["melanin"] <= middle]


def test_rows_are_sorted_when_asked(url: str, corpus: Generated) -> None:
    wanted = [row["key"] for row in sorted(corpus.rows(), key=lambda row: -row["melanin"])]
    assert keys(url, sort="melanin", descending=1) == wanted
    assert keys(url) == [row["key"] for row in corpus.rows()]


@pytest.mark.parametrize(
    "value", ["phone' OR '1'='1", "'; DROP VIEW clips; --", "phone\\' OR 1=1 --", '" OR ""="', "phone') OR (1=1"]
)
def test_values_stay_values(url: str, value: str) -> None:
    assert keys(url, ("recipe", "is", value)) == []
    assert len(keys(url)) == 4


@pytest.mark.parametrize(
    ("where", "word"),
    [
        ('[["1=1 OR recipe","is","x"]]', "column"),
        ('[["recipe\\"","is","x"]]', "column"),
        ('[["recipe","OR 1=1 OR","x"]]', "operator"),
        ('[["melanin","is","0.5"]]', "operator"),
        ('[["melanin",">","1; DROP"]]', "not a number"),
        ('[["melanin",">","nan"]]', "not a number"),
        ('[["recipe","is","' + "x" * 300 + '"]]', "too long"),
        ('[["recipe","is"]]', "where"),
        ('{"recipe": 1}', "where"),
        ('[["recipe","is",1]]', "where"),
        ("[" * 5000, "where"),
        (json.dumps([["recipe", "is", "x"]] * 100), "where"),
    ],
)
def test_what_is_no_filter_is_refused(url: str, where: str, word: str) -> None:
    assert word in refused(url, "/api/clips", where=where)


@pytest.mark.parametrize(
    "parameters", [{"sort": "melanin; DROP"}, {"sort": "members"}, {"page": "-1"}, {"page": "x"}, {"page": "9" * 30}]
)
def test_wrong_sorting_and_pages_are_refused(url: str, parameters: dict[str, str]) -> None:
    assert parameters[next(iter(parameters))][:5] in refused(url, "/api/clips", **parameters)


def test_operators_are_known_for_every_kind_of_column() -> None:
    assert set(COLUMNS.values()) == set(OPERATORS)


def test_values_are_counted(url: str) -> None:
    found = told(url, "/api/values", column="recipe")
    assert {(item["value"], item["count"]) for item in found} == {
        (recipe, 1) for recipe in ("phone", "studio", "view_sweep", "dynamic_sweep")
    }
    assert "text column" in refused(url, "/api/values", column="melanin")


def test_a_large_manifest_comes_in_pages(corpus: Generated, tmp_path: Path) -> None:
    """Given-up clips stand in for the others: three pages of them, behind the last of which there is none."""
    clips = 2 * PAGE_ROWS + 7
    known = dataclasses.replace(read_corpus(Storage(str(corpus.out))), clips=clips, clips_per_shard=clips)
    storage = Storage(str(tmp_path / "many"))
    write_corpus(storage, known)
    rows = [quarantined_row(known.layout, clip, f"reason {clip}", "0" * 64) for clip in range(clips)]
    storage.write(part_path(0), write_rows(rows))
    with Server(storage.url) as server:
        found = [told(server.url, "/api/clips", page=page) for page in range(4)]
        assert [len(page["rows"]) for page in found] == [PAGE_ROWS, PAGE_ROWS, 7, 7]
        assert [page["number"] for page in found] == [0, 1, 2, 2]
        assert {(page["total"], page["pages"]) for page in found} == {(clips, 3)}
        assert [row["index"] for page in found[:3] for row in page["rows"]] == list(range(clips))
        assert "reason 5" in refused(server.url, "/api/clip", key=known.layout.key(5))


def test_a_view_over_corpora_shows_all_of_them(corpus: Generated, copy: Path, tmp_path: Path) -> None:
    write_view(Storage(str(tmp_path / "view")), [str(corpus.out), str(copy)])
    with Server(str(tmp_path / "view")) as server:
        page = told(server.url, "/api/clips")
        assert [row["source"] for row in page["rows"]] == [0] * 4 + [1] * 4
        assert keys(server.url, ("source", "=", "1")) == [row["key"] for row in corpus.rows()]
        assert told(server.url, "/api/clip", source=1, key="tiny-000000003")["row"]["source"] == 1
