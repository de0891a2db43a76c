"""The pool's own promises, on workers that do nothing."""

from __future__ import annotations

from pathlib import Path

import psutil
from ray.cluster_utils import Cluster

from datagen.farm.cluster import connect
from datagen.farm.plan import Render
from datagen.farm.pool import Pool
from datagen.farm.worker import Assignment
from manifests.conventions import FORMAT_VERSION
from manifests.corpus import Corpus, write_corpus
from manifests.storage import Storage
from tests.datagen.farm.toy import ToyConfig


def test_workers_are_gone_when_the_pool_is_closed(cluster: Cluster, tmp_path: Path, scratch: str) -> None:
    config = ToyConfig(clips=2, clips_per_shard=2, faults={0: "hang"}, scratch=scratch)
    corpus = Corpus(FORMAT_VERSION, config.name, 2, 2, config.config_hash, {}, {})
    storage = Storage(str(tmp_path / "out"))
    with storage.lock():
        write_corpus(storage, corpus)
    given = Assignment(
        config.to_json(),
        config.config_hash,
        storage.url,
        config.layout,
        "tests.datagen.farm.toy:ToyPipeline",
        9,
        1 << 40,
    )
    with connect(cluster.address, 2, "cpu") as farm:
        pool = Pool(given, farm.workers, farm.resources, 60.0)
        pool.hire(2)
        while pool.workers != 2:
            list(pool.wait(1.0))
        pool.assign(Render(0))
        while not (Path(scratch) / "through-0").exists():
            list(pool.wait(0.1))
        workers = [int(path.name.removeprefix("process-")) for path in Path(scratch).glob("process-*")]
        assert len(workers) == 2
        assert all(map(psutil.pid_exists, workers))
        pool.close()
        assert not any(map(psutil.pid_exists, workers))
