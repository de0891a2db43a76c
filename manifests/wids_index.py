"""The index that `wids.ShardListDataset` reads: each shard's path beside it, its clips and bytes."""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np

from manifests import tar
from manifests.corpus import Corpus
from manifests.manifest import iter_manifest
from manifests.storage import Storage

WIDS_FILE: Final = "wids.json"
WIDS_VERSION: Final = 1


def write_index(storage: Storage, corpus: Corpus) -> int:
    """Write the index of a corpus whose clips all have a sample. Returns the bytes of all samples."""
    clips: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for batch in iter_manifest(storage, ["shard", "size"]):
        shards, at = np.unique(batch.column("shard").to_numpy(), return_inverse=True)
        sums = np.zeros(len(shards), np.int64)
        np.add.at(sums, at, batch.column("size").to_numpy())
        for shard, count, size in zip(shards.tolist(), np.bincount(at).tolist(), sums.tolist(), strict=True):
            clips[shard] = clips.get(shard, 0) + count
            sizes[shard] = sizes.get(shard, 0) + size
    shardlist: list[dict[str, Any]] = [
        {
            "url": corpus.layout.shard_path(shard),
            "nsamples": count,
            "filesize": sizes[shard] + len(tar.END),
        }
        for shard, count in sorted(clips.items())
    ]
    index = {"wids_version": WIDS_VERSION, "name": corpus.name, "shardlist": shardlist}
    storage.write(WIDS_FILE, f"{json.dumps(index, indent=1)}\n".encode())
    return sum(sizes.values())
