"""A corpus that is being audited: its rows, as far as they can be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from manifests.audit.promise import Promise
from manifests.corpus import Corpus
from manifests.layout import ManifestFile
from manifests.manifest import manifest_files
from manifests.rows import DamagedFileError, Rows, read_rows
from manifests.storage import Storage


@dataclass
class AuditedSource:
    """One corpus of a view, or the only one."""

    number: int
    storage: Storage
    corpus: Corpus
    prefix: str
    """Stands before names of files in findings; empty where there is but one source."""
    clips: int = 0
    shards: int = 0
    with_sample: int = 0
    """Rows, shards that have rows, and clips that have a sample: known after the first pass."""
    damaged: set[str] = field(default_factory=set)
    """Files of the manifest that are not read again."""

    @cached_property
    def promise(self) -> Promise:
        return Promise(self.corpus)

    @cached_property
    def files(self) -> tuple[ManifestFile, ...]:
        """The manifest's files for shards that the corpus has."""
        return tuple(item for item in manifest_files(self.storage) if item.first < self.corpus.layout.shards)

    def place(self, path: str) -> str:
        return f"{self.prefix}{path}"

    def read(self, item: ManifestFile, columns: Sequence[str]) -> Iterator[Rows]:
        """Raises DamagedFileError."""
        return read_rows(self.storage, item, self.corpus.layout, columns)

    def batches(self, columns: Sequence[str]) -> Iterator[Rows]:
        """All rows that were read before, once more; what changed since and is now damaged is left out."""
        for item in self.files:
            if item.path not in self.damaged:
                try:
                    yield from self.read(item, columns)
                except DamagedFileError:
                    self.damaged.add(item.path)
