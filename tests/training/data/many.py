"""A corpus of more clips than the shared one has, of the same members: real shards, quickly made."""

from __future__ import annotations

from typing import Any

from manifests import tar
from manifests.corpus import Corpus, read_corpus, write_corpus
from manifests.decode import read_json
from manifests.manifest import write_part
from manifests.reader import CorpusReader
from manifests.storage import Storage
from manifests.table import Row, StoredMember, clip_row

CLIPS = 22
PER_SHARD = 4
IDENTITIES = 5


def write_many(source: str, url: str, clips: int = CLIPS, name: str = "many", **columns: Any) -> str:
    """Clip i has the members of clip i % 4 of ``source``; ``columns`` replace columns of every row."""
    storage, reader = Storage(url), CorpusReader(source)
    members = [reader.members(row) for row in reader.rows()]
    shared = read_corpus(Storage(source))
    corpus = Corpus(shared.format_version, name, clips, PER_SHARD, shared.config_hash, shared.config)
    write_corpus(storage, corpus)
    for shard in range(corpus.layout.shards):
        data, rows = b"", []
        for clip in corpus.layout.clips_of(shard):
            row, sample = _sample(corpus, clip, members[clip % len(members)], len(data))
            rows.append({**row, "split": "train", "identity": clip % IDENTITIES, **columns})
            data += sample
        storage.write(corpus.layout.shard_path(shard), data + tar.END)
        write_part(storage, shard, rows)
    return storage.url


def _sample(corpus: Corpus, clip: int, members: dict[str, bytes], start: int) -> tuple[Row, bytes]:
    data, stored = b"", []
    for name, content in members.items():
        data += tar.header(f"{corpus.layout.key(clip)}.{name}", len(content))
        stored.append(StoredMember(name, start + len(data), len(content), ""))
        data += content + bytes(tar.padding(len(content)))
    spec = read_json("spec.json", members["spec.json"])
    return clip_row(corpus.layout, clip, spec, start, len(data), stored), data
