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

    def __post_init__(self) -> None:
        """Raises TypeError for what is none of this, as a damaged checkpoint's may be."""
        texts = [text for row in (*self.corpora, *self.assets) for text in row]
        counts = self.clips, self.people
        if not all(isinstance(text, str) for text in texts) or not all(type(count) is int for count in counts):
            raise TypeError("trained on: no names and numbers")


def trained_on(corpus: str, clips: Clips) -> TrainedOn:
    """Raises UserError if a manifest cannot be read."""
    reader = CorpusReader(corpus)
    return TrainedOn(
        corpora=tuple((source.corpus.name, source.corpus.config_hash) for source in reader.sources),
        clips=len(clips),
        people=clips.people,
        assets=tuple((a.kind, a.name, a.version, a.licence, a.note) for a in assets(reader)),
    )
