"""Whom and what a model has seen, and under which licences that came: for its card."""

from __future__ import annotations

from dataclasses import dataclass

from manifests.licences import assets
from manifests.reader import CorpusReader
from training.data.clips import Clips


@dataclass(frozen=True)
class TrainedOn:
    """Clips of one corpus, or of a view over several."""

    corpora: tuple[tuple[str, str], ...] = ()
    """Name and SHA-256 of the configuration of each."""
    clips: int = 0
    people: int = 0
    assets: tuple[tuple[str, str, str, str, str], ...] = ()
    """Kind, name, version, licence and note of all that shaped the clips, see `manifests.licences`."""


def trained_on(corpus: str, clips: Clips) -> TrainedOn:
    """Raises UserError if a manifest cannot be read."""
    reader = CorpusReader(corpus)
    return TrainedOn(
        corpora=tuple((source.corpus.name, source.corpus.config_hash) for source in reader.sources),
        clips=len(clips),
        people=clips.people,
        assets=tuple((a.kind, a.name, a.version, a.licence, a.note) for a in assets(reader)),
    )
