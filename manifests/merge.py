"""Several corpora as one view, or the many small parts of one manifest in few files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from manifests.corpus import read_corpus
from manifests.errors import UserError
from manifests.layout import MANIFEST, VIEW_FILE
from manifests.manifest import compact
from manifests.reader import MAX_SOURCES, write_view
from manifests.storage import Storage


@dataclass(frozen=True)
class MergeReport:
    """What came out."""

    url: str
    sources: tuple[str, ...]
    """Of the view; none where the files of one manifest were put together."""
    files_before: int = 0
    files: int = 0

    def __str__(self) -> str:
        if self.sources:
            return f"{self.url}: a view over {len(self.sources)} corpora"
        return f"{self.url}: the manifest has {self.files} files, it had {self.files_before}"


def merge(sources: Sequence[str], out: str | None = None) -> MergeReport:
    """With `out`, write a view over the sources there, which `CorpusReader`, and so every reading command but
    `export`, takes for a corpus. Without, put the manifest parts of the one source into few files, as a finished run
    does.

    A view names its sources by absolute paths and URLs, and replaces a view that is there. Raises UserError if a
    source is no corpus, is itself a view, or is named twice, and if `out` holds anything but a view.
    """
    if out is not None:
        return _write_view(sources, Storage(out))
    if len(sources) != 1:
        raise UserError(f"merge: {len(sources)} corpora and no place for a view over them; name it with --out")
    return _compact(Storage(sources[0]))


def _write_view(sources: Sequence[str], storage: Storage) -> MergeReport:
    if not 0 < len(sources) <= MAX_SOURCES:
        raise UserError(f"merge: {len(sources)} corpora given; a view takes 1 to {MAX_SOURCES}")
    places: list[str] = []
    seen: set[str] = set()
    for source in map(Storage, sources):
        place = _place(source)
        if place == _place(storage):
            raise UserError(f"merge: the view {storage.url} would name itself; choose another --out")
        if source.exists(VIEW_FILE):
            raise UserError(f"merge: {source.url} is a view itself; name the corpora that it stands for")
        if place in seen:
            raise UserError(f"merge: {source.url} is named twice; name each corpus once")
        read_corpus(source)
        seen.add(place)
        places.append(place)
    with storage.problems():
        others = [name for name in storage.names() if name != VIEW_FILE]
        if others:
            raise UserError(f"output {storage.url} is not empty ({others[0]}); choose another --out")
        write_view(storage, places)
    return MergeReport(storage.url, tuple(places))


def _compact(storage: Storage) -> MergeReport:
    if storage.exists(VIEW_FILE):
        raise UserError(f"{storage.url} is a view; merge the manifests of its corpora one by one")
    corpus = read_corpus(storage)
    with storage.problems(), storage.lock():
        before = len(storage.names(MANIFEST))
        compact(storage, corpus.layout, gaps=corpus.subset is not None)
        return MergeReport(storage.url, (), before, len(storage.names(MANIFEST)))


def _place(storage: Storage) -> str:
    """One text for one folder, whatever links lead to it."""
    return os.path.realpath(storage.url) if storage.local else storage.url
