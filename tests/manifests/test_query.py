"""SQL over manifests: what it gives, where they may lie, and all that it must not do."""

from __future__ import annotations

import csv
import io
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests import database
from manifests.database import open_database
from manifests.errors import UserError
from manifests.layout import Layout, part_path
from manifests.manifest import compact
from manifests.query import MAX_BYTES, SHOWN_ROWS, format_table, query
from manifests.reader import READER_SCHEMA, CorpusReader, write_view
from manifests.storage import Storage
from manifests.table import SCHEMA, table_writer
from tests.conftest import Generated
from tests.manifests.rows import CLIPS_PER_SHARD, write_rows_corpus

LAYOUT = Layout("toy", 10, CLIPS_PER_SHARD)


@pytest.fixture
def out(tmp_path: Path) -> str:
    return write_rows_corpus(str(tmp_path / "out")).url


def test_the_table_is_the_manifest_of_a_generated_corpus(corpus: Generated) -> None:
    found = query(str(corpus.out), "SELECT * FROM clips")
    assert found.schema == READER_SCHEMA
    assert found.to_pylist() == list(CorpusReader(str(corpus.out)).rows())


def test_counts_by_group(out: str) -> None:
    found = query(out, "SELECT split, count(*) AS clips FROM clips GROUP BY split ORDER BY split;")
    assert found.to_pylist() == [{"split": "test", "clips": 3}, {"split": "train", "clips": 7}]


def test_rows_come_in_the_order_of_clips_from_parts_and_compacted_files(out: str) -> None:
    compact(Storage(out), LAYOUT, shards_per_file=2)
    assert Storage(out).names("manifest") == ["clips-000000-000001.parquet", "part-000002.parquet"]
    assert query(out, "SELECT index FROM clips")["index"].to_pylist() == list(range(10))


def test_a_part_beside_the_file_that_holds_it_is_not_counted_twice(out: str) -> None:
    storage = Storage(out)
    part = storage.read(part_path(1))
    compact(storage, LAYOUT, shards_per_file=2)
    storage.write(part_path(1), part)
    assert query(out, "SELECT count(*) AS n FROM clips")["n"].to_pylist() == [10]


def test_an_object_store(out: str) -> None:
    url = "memory://query/corpus"
    write_rows_corpus(url)
    assert query(url, "FROM clips").equals(query(out, "FROM clips"))


def test_a_folder_whose_name_would_be_a_pattern_or_end_a_string(tmp_path: Path) -> None:
    for name in ("a[b]*?", "it's, 'so'", "source=7"):
        out = write_rows_corpus(str(tmp_path / name)).url
        assert query(out, "SELECT count(*) AS n, max(source) AS s FROM clips").to_pylist() == [{"n": 10, "s": 0}]


def test_a_view_numbers_its_corpora(tmp_path: Path, out: str) -> None:
    remote = write_rows_corpus("memory://query/second", clips=3, name="more").url
    view = Storage(str(tmp_path / "view"))
    write_view(view, [out, remote])
    found = query(view.url, "SELECT source, count(*) AS n, min(key) AS first FROM clips GROUP BY source ORDER BY 1")
    assert found.to_pylist() == [
        {"source": 0, "n": 10, "first": "toy-000000000"},
        {"source": 1, "n": 3, "first": "more-000000000"},
    ]
    assert query(view.url, "FROM clips").to_pylist() == list(CorpusReader(view.url).rows())


def test_a_corpus_without_rows_has_the_columns(out: str) -> None:
    for name in Storage(out).names("manifest"):
        Storage(out).delete(f"manifest/{name}")
    found = query(out, "SELECT * FROM clips")
    assert (found.schema, len(found)) == (READER_SCHEMA, 0)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM read_blob('{secret}')",
        "SELECT * FROM read_json('{secret}')",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM sniff_csv('{secret}')",
        "SELECT * FROM read_parquet('{folder}/manifest/part-000000.parquet')",
        "SELECT * FROM parquet_metadata('{folder}/manifest/part-000000.parquet')",
        "SELECT * FROM read_csv('file://{secret}')",
        "SELECT * FROM read_csv('https://127.0.0.1:9/a.csv')",
        "SELECT * FROM read_parquet('s3://bucket/a.parquet')",
        "SELECT * FROM read_csv('manifest://clips/source=0/../../../secret.txt')",
        "SELECT * FROM query('COPY clips TO ''{written}''')",
        "SELECT * FROM clips WHERE key IN (SELECT content FROM read_text('{secret}'))",
        "SELECT * FROM python_variable",
        "COPY clips TO '{written}'",
        "COPY (SELECT 1) TO '{written}' (FORMAT csv)",
        "COPY clips TO 'manifest://clips/source=0/000000000.parquet' (FORMAT parquet)",
        "EXPLAIN ANALYZE COPY clips TO '{written}'",
        "EXPORT DATABASE '{written}'",
        "IMPORT DATABASE '{folder}'",
        "ATTACH '{written}' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA version",
        "SET enable_external_access = true",
        "CALL enable_logging()",
        "CREATE SECRET s (TYPE s3)",
        "CREATE TABLE mine AS FROM clips",
        "DROP VIEW clips",
        "WITH new AS (INSERT INTO clips (key) VALUES ('a') RETURNING *) FROM new",
        "SELECT 1; SELECT 2",
        "",
    ],
)
def test_sql_reads_the_table_and_does_nothing_else(sql: str, out: str, tmp_path: Path) -> None:
    python_variable = pa.table({"a": [1]})
    secret, written = tmp_path / "secret.txt", tmp_path / "written"
    secret.write_text("a secret\n")
    before = _files(tmp_path)
    with pytest.raises(UserError) as error:
        query(out, sql.format(secret=secret, written=written, folder=out))
    assert str(error.value).startswith(("SQL: ", "SQL '", 'SQL "'))
    assert "a secret" not in str(error.value)
    assert "\n" not in str(error.value)
    assert _files(tmp_path) == before
    assert len(python_variable) == 1


@pytest.mark.parametrize(
    ("sql", "refusal"),
    [
        ("COPY (SELECT 1) TO '{written}'", "disabled by configuration"),
        ("COPY (SELECT 1) TO 'manifest://clips/source=0/000000000.parquet'", "manifests are read only"),
        ("COPY (SELECT 1) TO 'manifest://new.csv'", "manifest"),
        ("EXPORT DATABASE '{written}'", "disabled by configuration"),
        ("ATTACH '{written}' AS other", "disabled by configuration"),
        ("INSTALL httpfs", "disabled by configuration"),
        ("LOAD httpfs", "disabled through configuration"),
        ("SET enable_external_access = true", "configuration has been locked|while database is running"),
        ("SET allowed_directories = ['/']", "configuration has been locked|while database is running|disabled"),
        ("RESET lock_configuration", "locked"),
        ("SET temp_directory = '{written}'", "locked"),
    ],
)
def test_the_database_refuses_even_what_is_no_select(sql: str, refusal: str, out: str, tmp_path: Path) -> None:
    before = _files(tmp_path)
    with open_database(clips=CorpusReader(out)) as opened, pytest.raises(duckdb.Error, match=refusal):
        opened._connection.execute(sql.format(written=tmp_path / "written"))
    assert _files(tmp_path) == before


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("SELECT nothing FROM clips", 'column "nothing" not found'),
        ("SELECT key::INT FROM clips", "Could not convert string"),
        ("SELECT error(key) FROM clips WHERE index = 9", "toy-000000009"),
        ("SELECT 1 \x1b[31m", "syntax error"),
        ("COPY \x1b[31m", "SQL"),
    ],
)
def test_wrong_sql_is_said_in_one_plain_line(sql: str, reason: str, out: str) -> None:
    with pytest.raises(UserError) as error:
        query(out, sql)
    assert reason in str(error.value)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("shard", [0, 1])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda table: table.drop_columns("melanin"), "by another version of factorportrait .* lacks melanin"),
        (
            lambda table: table.set_column(SCHEMA.names.index("melanin"), "melanin", pa.array(["dark"] * len(table))),
            "is damaged",
        ),
    ],
    ids=["column missing", "column of another type"],
)
def test_a_manifest_file_of_another_schema_is_named(
    damage: Callable[[pa.Table], pa.Table], message: str, shard: int, out: str
) -> None:
    path = f"{out}/{part_path(shard)}"
    pq.write_table(damage(pq.read_table(path)), path)
    with pytest.raises(UserError, match=message) as error:
        query(out, "SELECT melanin FROM clips")
    assert str(error.value).startswith(path)


@pytest.mark.parametrize("shard", [0, 1])
def test_a_damaged_manifest_file_is_named(shard: int, out: str) -> None:
    path = Path(f"{out}/{part_path(shard)}")
    for data in (b"", b"PAR1", b"not Parquet" * 99, path.read_bytes()[:-9]):
        path.write_bytes(data)
        with pytest.raises(UserError, match="is damaged") as error:
            query(out, "SELECT key FROM clips")
        assert str(error.value).startswith(str(path))


def test_a_manifest_file_that_vanishes_is_named(out: str) -> None:
    with open_database(clips=CorpusReader(out)) as opened:
        os.unlink(f"{out}/{part_path(1)}")
        with pytest.raises(UserError, match=r"part-000001\.parquet has gone"):
            list(opened.select("SELECT key FROM clips"))


def test_a_result_beyond_measure_is_refused(out: str) -> None:
    with pytest.raises(UserError, match=f"larger than {MAX_BYTES >> 20} MiB"):
        query(out, "SELECT repeat('x', 1000) FROM clips, range(1000000)")


def test_memory_beyond_measure_is_refused(out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(database._SETTINGS, "memory_limit", "60MB")
    with pytest.raises(UserError, match="needs more than"):
        query(out, "SELECT count(*) FROM (SELECT DISTINCT key, range FROM clips, range(1000000))")


def test_a_text_that_unpacks_to_a_hundred_megabytes_is_refused_or_left_alone(
    out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(database._SETTINGS, "memory_limit", "60MB")
    bomb = pa.Table.from_pylist([{"index": 0, "key": "toy-000000000", "error": "x" * 100_000_000}], schema=SCHEMA)
    with open(f"{out}/{part_path(0)}", "wb") as file, table_writer(file) as writer:
        writer.write_table(bomb)
    assert os.path.getsize(f"{out}/{part_path(0)}") < 100_000
    assert query(out, "SELECT key FROM clips WHERE index = 0").to_pylist() == [{"key": "toy-000000000"}]
    with pytest.raises(UserError, match="needs more than"):
        query(out, "SELECT error FROM clips")


def test_threads_that_share_an_open_file_do_not_move_each_other(out: str) -> None:
    files = database._ManifestFiles()
    (first, *_) = files.add("clips", CorpusReader(out))
    file = files.open(first)
    file.seek(0)
    other = threading.Thread(target=lambda: (file.seek(20), file.read(10)))
    other.start()
    other.join()
    assert (file.tell(), file.read(4), file.tell()) == (0, b"PAR1", 4)
    file.seek(-4, os.SEEK_END)
    assert (file.read(), file.read(1)) == (b"PAR1", b"")


ODD = (
    "SELECT 'a,\"b\"' AS text, 1.5 AS text, NULL AS none, 'nan'::DOUBLE AS nan, sum(index) AS total, "
    "list(key ORDER BY index) FILTER (index < 2) AS keys, DATE '2020-01-02' AS day, INTERVAL 1 DAY AS span, "
    "'\\x00'::BLOB AS bytes, true AS yes FROM clips"
)


def test_as_json(out: str) -> None:
    found = json.loads(format_table(query(out, ODD), "json"))
    assert found == [
        {
            "text": 1.5,
            "none": None,
            "nan": None,
            "total": 45,
            "keys": ["toy-000000000", "toy-000000001"],
            "day": "2020-01-02",
            "span": found[0]["span"],
            "bytes": "00",
            "yes": True,
        }
    ]
    assert json.loads(format_table(query(out, "SELECT key FROM clips WHERE false"), "json")) == []


def test_as_csv(out: str) -> None:
    header, row = csv.reader(io.StringIO(format_table(query(out, ODD), "csv")))
    assert header[:5] == ["text", "text", "none", "nan", "total"]
    assert row[:5] == ['a,"b"', "1.5", "", "", "45"]
    assert json.loads(row[5]) == ["toy-000000000", "toy-000000001"]


def test_as_a_table(out: str) -> None:
    found = query(out, "SELECT key, index * 1000 AS number, labels, NULL AS none FROM clips LIMIT 2")
    assert format_table(found).splitlines() == [
        "key            number  labels     none",
        "-------------  ------  ---------  ----",
        'toy-000000000       0  ["depth"]',
        'toy-000000001    1000  ["depth"]',
    ]


def test_a_table_is_short_and_no_text_commands_the_terminal(out: str) -> None:
    text = format_table(query(out, "SELECT range, chr(27) || '[2J' || repeat('x', 99) AS a FROM range(1000)"))
    assert len(text.splitlines()) == 2 + SHOWN_ROWS + 1
    assert text.endswith("... and 800 more rows; --format csv or json prints all")
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) < 80


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
