"""Small corpora of rows alone: a manifest and its corpus.json, without shards."""

from __future__ import annotations

from typing import Any

from manifests.conventions import FORMAT_VERSION
from manifests.corpus import Corpus, write_corpus
from manifests.layout import Layout
from manifests.manifest import write_part
from manifests.storage import Storage
from manifests.table import OK, QUARANTINED, Row

CLIPS_PER_SHARD = 4


def clip(layout: Layout, index: int, **columns: Any) -> Row:
    """A row whose values follow from its index."""
    return {
        "index": index,
        "key": layout.key(index),
        "shard": layout.shard_of(index),
        "status": OK,
        "config_hash": "0",
        "identity": index % 3,
        "split": "test" if index % 3 == 2 else "train",
        "labels": ["depth"],
        "melanin": index / 10,
        "offset": 1024 * (index % CLIPS_PER_SHARD),
        "size": 1024,
        "members": [{"name": name, "offset": 512, "size": 7, "sha256": f"{index:064x}"} for name in ("a", "b")],
        **columns,
    }


def given_up(layout: Layout, index: int) -> Row:
    return clip(layout, index, status=QUARANTINED, error="it broke", offset=None, size=None, members=None)


def write_rows_corpus(
    url: str, clips: int = 10, name: str = "toy", change: dict[int, Row] | None = None, **fields: Any
) -> Storage:
    """A corpus of `clips` rows, of which `change` replaces some; `fields` are of `Corpus`."""
    storage = Storage(url)
    defaults: dict[str, Any] = {"config_hash": "0", "config": {"seed": 1, "camera": {"yaw_deg": [-90, 90]}}}
    corpus = Corpus(FORMAT_VERSION, name, clips, CLIPS_PER_SHARD, **{**defaults, **fields})
    write_corpus(storage, corpus)
    for shard in range(corpus.layout.shards):
        rows = [(change or {}).get(index) or clip(corpus.layout, index) for index in corpus.layout.clips_of(shard)]
        write_part(storage, shard, rows)
    return storage
