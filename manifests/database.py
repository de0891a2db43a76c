"""Manifests as tables of DuckDB, which sees them and nothing else.

SQL and manifests may both come from strangers, so three things each stand alone: only a single SELECT runs; the
database may touch no file outside of one virtual folder, load no extension and change no setting; and that
folder, a read-only file system of ours, holds the files of the manifests and opens no other.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import duckdb
import pyarrow as pa
from fsspec import AbstractFileSystem

from manifests.errors import UserError
from manifests.layout import ManifestFile
from manifests.manifest import iter_file, manifest_files
from manifests.reader import READER_SCHEMA, CorpusReader
from manifests.rows import OtherVersionError
from manifests.storage import Storage
from manifests.text import shown

MEMORY: Final = "1400MiB"
"""Of DuckDB's own; with Python and a result in it, a process stays below 2 GiB."""
MAX_THREADS: Final = 4
"""Each holds some columns of a row group, so more of them need more memory."""
BATCH_ROWS: Final = 2048
"""One vector of DuckDB: no batch is smaller, and rows may be wide."""

_PROTOCOL: Final = "manifest"
_SETTINGS: Final[dict[str, str | int | float | list[str]]] = {
    "memory_limit": MEMORY,
    "temp_directory": "",  # never spill to disk
    "python_enable_replacements": False,  # or a table's name may be that of a Python variable
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_persistent_secrets": False,
}
_LOCKS: Final = (
    f"SET allowed_directories = ['{_PROTOCOL}://']",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


class Database:
    """Tables over manifests; made by `open_database`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, files: _ManifestFiles) -> None:
        self._connection = connection
        self._files = files

    def select(self, sql: str) -> Iterator[pa.RecordBatch]:
        """What one SELECT gives, in batches, the first of them empty.

        Raises UserError, in one line, for anything that fails.
        """
        with self._problems():
            yield from self._read(self._connection.sql(self._only_select(sql)))

    def filter(self, table: str, conditions: Sequence[str], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Columns of a table's rows for which all conditions hold, each a single expression, in the table's order.

        Raises UserError, in one line, for anything that fails.
        """
        with self._problems():
            chosen = self._connection.table(table)
            for condition in conditions:
                chosen = chosen.filter(condition)
            yield from self._read(chosen.project(", ".join(f'"{name}"' for name in columns)))

    def _read(self, relation: duckdb.DuckDBPyRelation) -> Iterator[pa.RecordBatch]:
        reader = relation.to_arrow_reader(BATCH_ROWS)
        yield pa.RecordBatch.from_pylist([], schema=reader.schema)  # the columns, even where no row follows
        yield from reader

    def _only_select(self, sql: str) -> str:
        statements = self._connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            kinds = ", ".join(statement.type.name for statement in statements) or "nothing"
            raise UserError(f"SQL {shown(sql)!r} is {kinds}; give one SELECT over the table `clips`")
        return str(statements[0].query)

    def add(self, table: str, reader: CorpusReader) -> None:
        """Make the table, with the columns of `READER_SCHEMA`. Raises UserError if a manifest is damaged."""
        empty = READER_SCHEMA.empty_table()
        paths = self._files.add(table, reader)
        if not paths:
            self._connection.register(table, empty)
            return
        columns = ", ".join(f'"{name}"' for name in READER_SCHEMA.names if name != "source")
        with self._problems():
            try:
                self._connection.execute(
                    f"CREATE VIEW {table} AS SELECT source::INTEGER AS source, {columns} "
                    f"FROM read_parquet({paths}, hive_partitioning = true, hive_types_autocast = false)"
                )
            except duckdb.BinderException as error:
                raise self._files.fault(paths[0], shown(str(error).split(" not found")[0])) from None
            found = self._connection.table(table).types
        for name, kind, wanted in zip(
            READER_SCHEMA.names, found, self._connection.from_arrow(empty).types, strict=True
        ):
            if kind != wanted:
                raise self._files.fault(paths[0], f"column {name} is {kind}, not {wanted}")

    @contextlib.contextmanager
    def _problems(self) -> Iterator[None]:
        try:
            yield
        except (duckdb.Error, pa.ArrowException, OSError) as error:  # the latter two come while a result streams
            raise self._explained(str(error)) from None

    def _explained(self, text: str) -> UserError:
        if self._files.problem is not None:
            return self._files.problem
        reason = shown(text.split("\n\n")[0])
        named = [url for url in re.findall(rf"{_PROTOCOL}://[\w=/]+\.parquet", text) if self._files.exists(url)]
        faults = [self._files.fault(url, reason.replace(url, "it")) for url in dict.fromkeys(named)]
        if faults:
            return next((fault for fault in faults if isinstance(fault, OtherVersionError)), faults[0])
        if text.startswith("Out of Memory Error"):
            return UserError(f"SQL: needs more than {MEMORY} of memory; ask for fewer columns, rows or groups")
        if text.startswith("Permission Error"):
            return UserError(f"SQL: {reason}; it may read the table `clips` and no file")
        return UserError(f"SQL: {reason}; `DESCRIBE clips` lists the columns")


@contextlib.contextmanager
def open_database(**tables: CorpusReader) -> Iterator[Database]:
    """A database with one table for each corpus or view, under the argument's name.

    Raises UserError if a manifest cannot be read.
    """
    threads = min(MAX_THREADS, os.cpu_count() or 1)
    with duckdb.connect(":memory:", config={**_SETTINGS, "threads": threads}) as connection:
        files = _ManifestFiles()
        connection.register_filesystem(files)
        for lock in _LOCKS:
            connection.execute(lock)
        database = Database(connection, files)
        for name, reader in tables.items():
            database.add(name, reader)
        yield database


@dataclass(frozen=True)
class _File:
    storage: Storage
    item: ManifestFile

    @property
    def url(self) -> str:
        return f"{self.storage.url.rstrip('/')}/{self.item.path}"


class _ManifestFiles(AbstractFileSystem):
    """The files of manifests, wherever they lie, under names of our own that need no quoting:
    ``{table}/source={number}/{file:09d}.parquet``, the second of which DuckDB reads as a column."""

    protocol = _PROTOCOL
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.problem: UserError | None = None
        """Why a file could not be read: DuckDB would say it in a page of traceback."""
        self._known: dict[str, _File] = {}
        self._sizes: dict[str, int] = {}

    def add(self, table: str, reader: CorpusReader) -> list[str]:
        """Take in a corpus, or a view's corpora; the files' URLs in the order of clips."""
        added = [
            (f"{table}/source={number}/{position:09d}.parquet", _File(source.storage, item))
            for number, source in enumerate(reader.sources)
            for position, item in enumerate(manifest_files(source.storage))
        ]
        self._known.update(added)
        return [f"{_PROTOCOL}://{name}" for name, _ in added]

    def fault(self, virtual: str, reason: str) -> UserError:
        """What is wrong with a file of which DuckDB gave a reason: damage, or the columns of another version."""
        file = self._known[self._strip_protocol(virtual)]
        try:
            next(iter_file(file.storage, file.item, ["index"]), None)
        except OtherVersionError as error:
            return error
        except (UserError, OSError):
            pass  # what DuckDB says of it is as good
        return UserError(f"{file.url} is damaged ({reason}): put back a good copy, or run `factorportrait reindex`")

    def read(self, name: str, start: int, stop: int) -> bytes:
        file = self._known[name]
        with self._noted(file):
            return file.storage.read(file.item.path, start, stop)

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        name = self._strip_protocol(path)
        if name not in self._known:
            raise FileNotFoundError(path)
        if name not in self._sizes:
            file = self._known[name]
            with self._noted(file):
                self._sizes[name] = file.storage.size(file.item.path)
        return {"name": name, "size": self._sizes[name], "type": "file"}

    def exists(self, path: str, **_: Any) -> bool:
        return self._strip_protocol(path) in self._known

    def glob(self, path: str, **_: Any) -> list[str]:
        name = self._strip_protocol(path)
        return [name] if name in self._known else []

    def modified(self, path: str) -> datetime:
        return datetime.fromtimestamp(0, UTC)  # manifest files never change, they are only replaced by others

    def _open(self, path: str, mode: str = "rb", **_: Any) -> _OpenFile:
        if mode != "rb":
            raise PermissionError(f"{path}: manifests are read only")
        return _OpenFile(self, self.info(path))

    @contextlib.contextmanager
    def _noted(self, file: _File) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            self.problem = UserError(f"{file.url} has gone meanwhile: a run may be at work here; ask again")
            raise
        except Exception as error:  # object stores raise what they like
            self.problem = UserError(f"{file.url} cannot be read ({shown(str(error))}); give access to it")
            raise


class _OpenFile:
    """DuckDB seeks and reads from several threads at once, so each thread has a position of its own."""

    def __init__(self, files: _ManifestFiles, info: dict[str, Any]) -> None:
        self._files, self._name, self._size = files, info["name"], info["size"]
        self._own = threading.local()

    def tell(self) -> int:
        return int(getattr(self._own, "position", 0))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self._size}[whence]
        self._own.position = base + offset
        return self.tell()

    def read(self, size: int = -1) -> bytes:
        start = self.tell()
        stop = self._size if size < 0 else min(start + size, self._size)
        data = self._files.read(self._name, start, stop) if start < stop else b""
        self._own.position = start + len(data)
        return data

    def close(self) -> None:
        """Nothing is held open between two reads."""
