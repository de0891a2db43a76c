"""Where everything of a corpus lies in its folder, and which clips a shard holds.

::

    corpus.json                                what the corpus is; written first, but last by export
    export.json                                the same of a subset that export has not copied whole yet
    shards/{corpus}-{shard:06d}.tar            the samples
    manifest/part-{shard:06d}.parquet          the commit of one shard, a row a clip
    manifest/clips-{first:06d}-{last:06d}.parquet    many parts in one file
    spool/{shard:06d}/{clip:09d}.tar           a finished clip of an unfinished shard
    spool/{shard:06d}/{clip:09d}.error.json    a clip of it that was given up
    log/                                       progress of each run; the only place with clock times
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CORPUS_FILE = "corpus.json"
HALF_EXPORT_FILE = "export.json"
VIEW_FILE = "view.json"
"""Stands alone in a folder that is a view over several corpora."""
SHARDS = "shards"
MANIFEST = "manifest"
SPOOL = "spool"
LOG = "log"

_MANIFEST_NAME = re.compile(r"(?:part-(\d{6,})|clips-(\d{6,})-(\d{6,}))\.parquet")
_SPOOL_NAME = re.compile(r"(\d{9,})\.(tar|error\.json)")


@dataclass(frozen=True)
class Layout:
    """How clips fall into shards: clip i always lies in shard i // clips_per_shard."""

    corpus: str
    clips: int
    clips_per_shard: int

    @property
    def shards(self) -> int:
        return -(-self.clips // self.clips_per_shard)

    def shard_of(self, clip: int) -> int:
        return clip // self.clips_per_shard

    def clips_of(self, shard: int) -> range:
        first = shard * self.clips_per_shard
        return range(first, min(first + self.clips_per_shard, self.clips))

    def is_full(self, shard: int) -> bool:
        """Whether the shard can never hold more clips, however the corpus grows."""
        return len(self.clips_of(shard)) == self.clips_per_shard

    def key(self, clip: int) -> str:
        return f"{self.corpus}-{clip:09d}"

    def shard_path(self, shard: int) -> str:
        return f"{SHARDS}/{self.corpus}-{shard:06d}.tar"

    def fragment_path(self, clip: int) -> str:
        return f"{spool_folder(self.shard_of(clip))}/{clip:09d}.tar"

    def error_path(self, clip: int) -> str:
        return f"{spool_folder(self.shard_of(clip))}/{clip:09d}.error.json"


@dataclass(frozen=True)
class ManifestFile:
    """One file of the manifest and the shards it covers."""

    path: str
    first: int
    last: int


def part_path(shard: int) -> str:
    return f"{MANIFEST}/part-{shard:06d}.parquet"


def compacted_path(first: int, last: int) -> str:
    return f"{MANIFEST}/clips-{first:06d}-{last:06d}.parquet"


def spool_folder(shard: int) -> str:
    return f"{SPOOL}/{shard:06d}"


def parse_manifest_name(name: str) -> ManifestFile | None:
    """What a name in the manifest folder stands for; None for anything else."""
    match = _MANIFEST_NAME.fullmatch(name)
    if match is None:
        return None
    first, last = (match[1], match[1]) if match[1] else (match[2], match[3])
    return ManifestFile(f"{MANIFEST}/{name}", int(first), int(last))


def parse_spool_name(name: str) -> tuple[int, bool] | None:
    """(clip, whether it was given up) of a name in a spool folder; None for anything else."""
    match = _SPOOL_NAME.fullmatch(name)
    return (int(match[1]), match[2] != "tar") if match else None
