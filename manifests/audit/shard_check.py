"""One shard, read as a stranger's: its tar, its bytes against the manifest, and each clip's members."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Final

from manifests import tar
from manifests.audit.findings import Finding
from manifests.audit.probe import GeometryProbe
from manifests.audit.promise import member_names
from manifests.audit.report import Findings
from manifests.audit.sample import check_sample
from manifests.corpus import Corpus
from manifests.errors import UserError
from manifests.storage import COPY_BYTES, Storage
from manifests.table import Row

MOST_SAMPLE_BYTES: Final = 1 << 30
"""A sample that is larger is not held, so not looked into; a hundred views of 512 px take half of it."""
_MOST_ENTRIES: Final = 10_000


@dataclass(frozen=True)
class ShardTask:
    """What a worker needs to check one shard."""

    source: int
    url: str
    shard: int
    rows: tuple[Row, ...]
    """All columns of its clips that have a sample; none of those that are looked at here is null."""
    sample: float
    first: str | None
    """Key of a clip that is read in any case."""
    place: str
    """Stands before names in findings."""


@dataclass(frozen=True)
class ShardResult:
    """What became of it."""

    clips_read: int
    counts: dict[str, int]
    findings: tuple[Finding, ...]
    fingerprints: tuple[tuple[str, bytes], ...]
    """Of clips by name."""


def is_chosen(key: str, share: float) -> bool:
    """Whether a clip belongs to the share that is read: by its key alone."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") < share * 2**64


def check_shard(task: ShardTask, corpus: Corpus, probe: GeometryProbe | None) -> ShardResult:
    """Walk the whole tar; read the chosen clips, compare their bytes and look into them.

    Nothing is unpacked, and no size is believed before it is held against the file's own.
    """
    found = Findings()
    path = corpus.layout.shard_path(task.shard)
    prints: list[tuple[str, bytes]] = []
    read = 0
    storage = Storage(task.url)
    try:
        if storage.local and not stat.S_ISREG(os.stat(f"{storage.url}/{path}").st_mode):
            return ShardResult(0, {}, (), ())  # the first pass has said so; a pipe would be waited for
        size = storage.size(path)
        with storage.open(path) as file:
            entries = _walk(file, size, task, corpus, found)
            for row in task.rows:
                if row["key"] != task.first and not is_chosen(str(row["key"]), task.sample):
                    continue
                clip = _Clip(row, task.place, path, found)
                members = clip.read(file, size, entries)
                if members is None:
                    continue
                read += 1
                if made := clip.look_into(members, probe, corpus):
                    prints.append((f"{task.place}{row['key']}", made))
    except FileNotFoundError:
        found.add("shard-missing", "", f"{task.place}{path}", "the shard that the manifest names", "no such file")
    except OSError as error:
        found.add("shard-malformed", "", f"{task.place}{path}", "a file that can be read", error)
    return ShardResult(read, dict(found.counts), found.all(), tuple(prints))


def _walk(file: IO[bytes], size: int, task: ShardTask, corpus: Corpus, found: Findings) -> dict[str, tar.Entry] | None:
    """All entries by name; None if the tar could not be walked to its end."""
    where = f"{task.place}{corpus.layout.shard_path(task.shard)}"
    known = {f"{row['key']}.{member['name']}" for row in task.rows for member in row["members"]}
    samples = {str(row["key"]) for row in task.rows}
    entries: dict[str, tar.Entry] = {}
    position = 0
    try:
        for entry in tar.entries(file, size):
            if len(entries) > len(known) + _MOST_ENTRIES:
                raise tar.DamagedTarError(f"more than {len(entries)} entries, where the manifest names {len(known)}")
            entries[entry.name] = entry
            file.seek(entry.header_offset)
            if file.read(tar.BLOCK) != tar.header(entry.name, entry.size):
                raise tar.DamagedTarError(f"the header of {entry.name!r} is not the one that generate writes")
            file.seek(entry.offset + entry.size)
            if any(file.read(tar.padding(entry.size))):
                raise tar.DamagedTarError(f"bytes other than 0 behind {entry.name!r}")
            position = entry.end
            key, _, name = entry.name.partition(".")
            if key not in samples:
                found.add("shard-malformed", "", where, "samples that the manifest names", entry.name)
            elif entry.name not in known:
                found.add("member-unknown", key, where, "members that its row names", name)
    except ValueError as error:
        ends = max((row["offset"] + row["size"] for row in task.rows), default=0)
        check = "shard-truncated" if size < ends + len(tar.END) else "shard-malformed"
        found.add(check, "", where, "a tar of plain files, as generate writes it", error)
        return None
    if size != position + len(tar.END):
        found.add("shard-malformed", "", where, f"{position + len(tar.END)} bytes", f"{size} bytes")
    return entries


@dataclass(frozen=True)
class _Clip:
    """One clip of a shard."""

    row: Row
    place: str
    shard: str
    found: Findings

    def read(self, file: IO[bytes], size: int, entries: Mapping[str, tar.Entry] | None) -> dict[str, bytes] | None:
        """Members by name, those that could be read; None if they are too large to hold.

        What the row itself lacks or has too much, the manifest's own check has said.
        """
        row, most = self.row, min(MOST_SAMPLE_BYTES, size)
        listed = {str(member["name"]): member for member in row["members"]}
        total = sum(max(int(member["size"]), 0) for member in listed.values())
        if total > most:
            self._add("row-invalid", "members", f"at most {most} bytes", f"{total} bytes")
            return None
        members = {}
        for name in member_names(row["views"], row["labels"]):
            if name not in listed:
                continue
            offset, length = int(listed[name]["offset"]), int(listed[name]["size"])
            if entries is not None:
                entry = entries.get(f"{row['key']}.{name}")
                if entry is None:
                    self._add("member-missing", self.shard, name, "no such member")
                    continue
                if (entry.offset, entry.size) != (offset, length):
                    seen = f"{entry.size} bytes at {entry.offset}"
                    self._add("spec-disagrees", name, f"{length} bytes at {offset}", seen)
            data = _read(file, size, offset, length)
            if data is None:
                self._add("shard-truncated", self.shard, f"all of {name}", "the shard ends before")
                continue
            digest = hashlib.sha256(data).hexdigest()
            if digest != listed[name]["sha256"]:
                self._add("bytes-differ", name, f"sha256 {listed[name]['sha256']}", f"sha256 {digest}")
            members[name] = data
        return members

    def look_into(self, members: Mapping[str, bytes], probe: GeometryProbe | None, corpus: Corpus) -> bytes:
        """All that the members tell by themselves; the clip's fingerprint."""
        try:
            result = check_sample(self.row, members, probe, corpus)
        except UserError:
            raise
        except Exception as error:  # hostile members find ways that no check foresaw; one of them must not end an audit
            seen = f"{type(error).__name__}: {error}"
            self._add("member-undecodable", self.shard, "members that can be looked into", seen)
            return b""
        for finding in result.findings:
            if finding.check != "member-missing":  # said already, with where it is missing
                self._add(finding.check, finding.where, finding.expected, finding.seen)
        return result.fingerprint

    def _add(self, check: str, where: str, expected: object, seen: object) -> None:
        self.found.add(check, str(self.row["key"]), f"{self.place}{where}", expected, seen)


def _read(file: IO[bytes], size: int, offset: int, length: int) -> bytes | None:
    """Bytes of the file; None if it does not hold them."""
    if offset < 0 or length < 0 or offset > size or length > size - offset:
        return None
    file.seek(offset)
    pieces = []
    while length:
        piece = file.read(min(length, COPY_BYTES))
        if not piece:
            return None
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)
