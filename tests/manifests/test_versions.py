"""Corpora that another version of the program made are told as such by every command, and left as they are."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datagen.farm.prepare import prepare
from factorportrait import main
from manifests.browse import Server
from manifests.corpus import read_corpus
from manifests.errors import UserError
from manifests.manifest import iter_manifest, read_manifest
from manifests.merge import merge
from manifests.reindex import reindex
from manifests.rows import OtherVersionError
from manifests.storage import Storage
from manifests.table import table_writer
from tests.conftest import CONFIG, Generated, data_hashes
from tests.manifests.audit.plant import Copy

USE = "use the version that wrote it, or generate the corpus anew with this one"

COMMANDS = [
    ["status", "{out}"],
    ["audit", "{out}"],
    ["audit", "{out}", "--level", "full"],
    ["report", "{out}", "--html", "{tmp}/report.html"],
    ["browse", "{out}", "--no-open"],
    ["query", "{out}", "SELECT count(*) FROM clips"],
    ["select", "{out}", "--where", "true", "--to", "{tmp}/list.txt"],
    ["replay", "{out}", "tiny-000000001"],
    ["merge", "{out}"],
    ["merge", "{out}", "--out", "{tmp}/view"],
    ["export", "{out}", "--to", "{tmp}/export"],
    ["diff", "{out}", "{sound}"],
    ["diff", "{sound}", "{out}"],
    ["reindex", "{out}"],
    ["generate", str(CONFIG), "--out", "{out}"],
]


@pytest.fixture
def copy(corpus: Generated, tmp_path: Path) -> Copy:
    return Copy.of(corpus.out, tmp_path / "copy")


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words)[:30])
@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"format_version": 1}, "it has format 1, and this program reads 2; it was made by 0.0.9, "),
        ({"format_version": 3, "lenses": []}, "it has format 3, and this program reads 2; "),
        ({"lenses": [], "\x1b[31m": 0}, "this program does not know its fields [31m, lenses; "),
    ],
)
def test_a_corpus_of_another_version_is_told_by_every_command(
    copy: Copy,
    corpus: Generated,
    tmp_path: Path,
    words: list[str],
    change: dict[str, object],
    difference: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    copy.edit_corpus(lambda fields: fields.update(change, software={"factorportrait": "0.0.9"}))
    before = data_hashes(tmp_path)
    places = {"{out}": str(copy.out), "{tmp}": str(tmp_path), "{sound}": str(corpus.out)}
    for name, place in places.items():
        words = [word.replace(name, place) for word in words]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"factorportrait: {copy.out}: was written by another version of factorportrait (")
    assert difference in error
    assert error.endswith(f"{USE}\n")
    assert data_hashes(tmp_path) == before


Change = Callable[[pa.Table], pa.Table]


def older(table: pa.Table) -> pa.Table:
    return table.drop_columns(["age_years", "gender", "ancestry"])


def newer(table: pa.Table) -> pa.Table:
    return table.append_column("lens", pa.array(["wide"] * len(table)))


def both(table: pa.Table) -> pa.Table:
    return newer(older(table))


COLUMNS = [
    (older, "lacks age_years, gender, ancestry)"),
    (newer, "has also lens)"),
    (both, "lacks age_years, gender, ancestry and has also lens)"),
]


def rewrite(path: Path, change: Change) -> None:
    pq.write_table(change(pq.read_table(path)), path)


@pytest.mark.parametrize("shard", [0, 1])
@pytest.mark.parametrize(("change", "difference"), COLUMNS)
def test_a_file_with_other_columns_is_no_damage(copy: Copy, change: Change, difference: str, shard: int) -> None:
    path = copy.part(shard)
    rewrite(path, change)
    before = data_hashes(copy.out)
    report = copy.audit()
    assert report.counts == {"manifest-version": 1}
    (finding,) = report.findings
    assert not report.sound
    assert finding.where == str(path.relative_to(copy.out))
    assert difference in finding.seen
    with pytest.raises(OtherVersionError) as error:
        list(iter_manifest(str(copy.out)))
    assert str(error.value).startswith(f"{path} was written by another version of factorportrait (")
    assert str(error.value).endswith(USE)
    with pytest.raises(OtherVersionError):
        reindex(str(copy.out))
    assert data_hashes(copy.out) == before


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[0] in ("status", "query", "select", "export")])
def test_commands_say_so_of_a_single_file(
    copy: Copy, tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for shard in (0, 1):
        rewrite(copy.part(shard), older)
    if words[0] == "query":
        words = [*words[:2], "SELECT age_years FROM clips"]
    assert main([word.replace("{out}", str(copy.out)).replace("{tmp}", str(tmp_path)) for word in words]) == 2
    error = capsys.readouterr().err
    assert f"{copy.part(0)} was written by another version of factorportrait" in error
    assert "damaged" not in error


def test_the_page_and_the_report_say_so_of_a_single_file(copy: Copy, tmp_path: Path) -> None:
    rewrite(copy.part(1), older)
    assert main(["report", str(copy.out), "--html", str(tmp_path / "report.html")]) == 0
    assert "was written by another version of factorportrait" in (tmp_path / "report.html").read_text()
    rewrite(copy.part(0), older)
    with Server(str(copy.out)) as server, pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{server.url}api/clips")
    assert "was written by another version" in json.loads(error.value.read())["error"]


def test_a_part_of_another_version_is_not_thrown_away_when_the_corpus_grows(copy: Copy) -> None:
    """Its last shard is not full, so it would be opened again."""
    rewrite(copy.part(1), older)
    before = data_hashes(copy.out)
    there = read_corpus(Storage(str(copy.out)))
    grown = {**vars(there), "clips": 6}
    with pytest.raises(OtherVersionError):
        prepare(Storage(str(copy.out)), type(there)(**grown))
    assert data_hashes(copy.out) == before


def test_a_flipped_bit_in_a_columns_name_is_damage(copy: Copy) -> None:
    """Else reindex would leave it. Beside the data nothing reads the name, so there it does no harm."""
    before = data_hashes(copy.out)
    path = copy.part(0)
    data = path.read_bytes()
    places = [at for at in range(len(data)) if data.startswith(b"age_years", at)]
    found = 0
    for at in places:
        path.write_bytes(data[:at] + b"b" + data[at + 1 :])
        counts = copy.audit().counts
        assert counts in ({}, {"manifest-damaged": 1})
        assert reindex(str(copy.out)).damaged == len(counts)
        assert not counts or data_hashes(copy.out) == before
        found += len(counts)
    assert found


def test_tables_of_something_else_are_damage(copy: Copy) -> None:
    for change in (
        lambda table: table.drop_columns(["members"]),
        lambda table: table.drop_columns(["key", "age_years"]),
        lambda table: table.set_column(0, "index", pa.array(np.zeros(len(table)))).drop_columns(["age_years"]),
        lambda table: table.select(["status"]),
    ):
        data = copy.part(0).read_bytes()
        rewrite(copy.part(0), change)
        assert copy.audit().counts == {"manifest-damaged": 1}
        copy.part(0).write_bytes(data)


def test_a_strangers_column_names_are_bounded_and_printable(copy: Copy) -> None:
    def many(table: pa.Table) -> pa.Table:
        for number in range(500):
            table = table.append_column(f"\x1b[31m{number}" + "x" * 500, pa.array([0] * len(table)))
        return table

    rewrite(copy.part(0), many)
    with pytest.raises(UserError, match="and 492 more") as error:
        read_manifest(str(copy.out))
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 1000


def test_a_view_is_told_to_commands_of_single_corpora(
    copy: Copy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    view = str(tmp_path / "view")
    merge([str(copy.out)], view)
    for words in (["status", view], ["merge", view], ["export", view, "--to", str(tmp_path / "to")], ["reindex", view]):
        assert main(words) == 2
        assert "is a view" in capsys.readouterr().err


def test_an_empty_file_of_another_version_is_one(copy: Copy) -> None:
    with copy.part(0).open("wb") as sink, table_writer(sink):
        pass
    assert set(copy.audit().counts) == {"manifest-missing"}
    rewrite(copy.part(0), older)
    assert set(copy.audit().counts) == {"manifest-version"}
