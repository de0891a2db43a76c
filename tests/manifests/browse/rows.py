"""Planting faults in the rows of a corpus's first file of the manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from manifests.manifest import iter_file, manifest_files
from manifests.storage import Storage
from manifests.table import write_rows

Row = dict[str, Any]


def first_rows(out: Path) -> list[Row]:
    storage = Storage(str(out))
    return [row for batch in iter_file(storage, manifest_files(storage)[0]) for row in batch.to_pylist()]


def put_first_rows(out: Path, rows: list[Row]) -> None:
    storage = Storage(str(out))
    storage.write(manifest_files(storage)[0].path, write_rows(rows))
