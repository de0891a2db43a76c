"""Copies of the tests' corpus to plant faults in: rows, shards and members changed at will."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests import tar
from manifests.audit.audit import AuditReport, audit
from manifests.corpus import read_corpus
from manifests.layout import Layout
from manifests.manifest import manifest_files
from manifests.storage import Storage
from manifests.table import Row, write_rows

Samples = dict[str, dict[str, bytes]]
"""Key -> member name -> bytes."""


@dataclass(frozen=True)
class Copy:
    """A corpus folder of a test's own."""

    out: Path

    @classmethod
    def of(cls, source: Path, out: Path) -> Copy:
        shutil.copytree(source, out)
        return cls(out)

    @property
    def layout(self) -> Layout:
        return read_corpus(Storage(str(self.out))).layout

    def shard(self, number: int) -> Path:
        return self.out / self.layout.shard_path(number)

    def part(self, shard: int) -> Path:
        """The manifest file that has a shard's rows."""
        files = manifest_files(Storage(str(self.out)))
        return self.out / next(item.path for item in files if item.first <= shard <= item.last)

    def rows(self, shard: int) -> list[Row]:
        from manifests.manifest import iter_file

        storage = Storage(str(self.out))
        item = next(item for item in manifest_files(storage) if item.first <= shard <= item.last)
        return [row for batch in iter_file(storage, item) for row in batch.to_pylist()]

    def write_rows(self, shard: int, rows: list[Row]) -> None:
        self.part(shard).write_bytes(write_rows(rows))

    def edit_row(self, shard: int, at: int, **values: Any) -> None:
        rows = self.rows(shard)
        rows[at] |= values
        self.write_rows(shard, rows)

    def edit_corpus(self, change: Callable[[dict[str, Any]], None]) -> None:
        file = self.out / "corpus.json"
        content = json.loads(file.read_text())
        change(content)
        file.write_text(json.dumps(content))

    def samples(self, shard: int) -> Samples:
        data = self.shard(shard).read_bytes()
        return {
            row["key"]: {m["name"]: data[m["offset"] : m["offset"] + m["size"]] for m in row["members"]}
            for row in self.rows(shard)
        }

    def write_shard(self, shard: int, samples: Mapping[str, Mapping[str, bytes]]) -> None:
        """A shard of these samples, and rows that know where and what all of it is."""
        rows = {row["key"]: row for row in self.rows(shard)}
        data = b""
        for key, members in samples.items():
            begin, listed = len(data), []
            for name, content in members.items():
                data += tar.header(f"{key}.{name}", len(content))
                digest = hashlib.sha256(content).hexdigest()
                listed.append({"name": name, "offset": len(data), "size": len(content), "sha256": digest})
                data += content + bytes(tar.padding(len(content)))
            rows[key] |= {"offset": begin, "size": len(data) - begin, "members": listed}
        self.shard(shard).write_bytes(data + tar.END)
        self.write_rows(shard, list(rows.values()))

    def edit_member(self, shard: int, key: str, name: str, data: bytes) -> None:
        """Another content of a member, with rows that agree."""
        samples = self.samples(shard)
        samples[key][name] = data
        self.write_shard(shard, samples)

    def grow(self, clips: int, change: Callable[[int, Row], Mapping[str, Any]]) -> None:
        """More clips, all like the real first one in rows and sizes but for what `change` gives, in empty shards."""
        row = self.rows(0)[0]
        self.edit_corpus(lambda corpus: corpus.update(clips=clips, clips_per_shard=clips))
        corpus = json.loads((self.out / "corpus.json").read_text())
        corpus["config"].update(clips=clips, clips_per_shard=clips)
        shutil.rmtree(self.out / "manifest")
        shutil.rmtree(self.out / "shards")
        (self.out / "manifest").mkdir()
        (self.out / "shards").mkdir()
        rows = []
        for index in range(clips):
            shift = index * row["size"]
            moved = [{**member, "offset": member["offset"] + shift} for member in row["members"]]
            made = {**row, "index": index, "key": self.layout.key(index), "offset": shift, "members": moved}
            rows.append({**made, **change(index, made)})
        (self.out / "manifest" / "part-000000.parquet").write_bytes(write_rows(rows))
        with self.shard(0).open("wb") as file:
            file.truncate(clips * row["size"] + len(tar.END))

    def audit(self, **options: Any) -> AuditReport:
        options.setdefault("journal", str(self.out.parent / "journal.jsonl"))
        options.setdefault("workers", 1)
        return audit(str(self.out), **options)

    def checks(self, **options: Any) -> dict[str, int]:
        """Counts of all but what a machine without a head cannot check."""
        counts = dict(self.audit(**options).counts)
        counts.pop("geometry-unchecked", None)
        return counts
