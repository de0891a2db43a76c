"""Checking shards on a Ray cluster that is there already."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import ray

from manifests.audit.pool import Submit, Wait, reading_ended_worker
from manifests.audit.probe import GeometryProbe
from manifests.audit.shard_check import ShardResult, ShardTask, check_shard
from manifests.corpus import Corpus
from manifests.errors import UserError
from manifests.ray_cluster import connected

_RETRIES = 2


@contextlib.contextmanager
def on_ray(address: str, corpora: Sequence[Corpus], probe: GeometryProbe | None) -> Iterator[tuple[Submit, int]]:
    """Something that hands a shard to the cluster, and how many it takes at once: one a CPU.

    A program that is connected to Ray already stays so. Raises UserError if there is no cluster at `address`.
    """
    with connected(address):
        shared: Any = ray.put((tuple(corpora), probe))
        remote = ray.remote(num_cpus=1, max_retries=_RETRIES)(_check)

        def submit(task: ShardTask) -> Wait:
            reference = remote.remote(task, shared)
            return lambda: _result(task, reference, corpora)

        yield submit, max(1, int(ray.cluster_resources().get("CPU", 1)))


def _check(task: ShardTask, shared: tuple[Sequence[Corpus], GeometryProbe | None]) -> ShardResult:
    corpora, probe = shared
    return check_shard(task, corpora[task.source], probe)


def _result(task: ShardTask, reference: ray.ObjectRef, corpora: Sequence[Corpus]) -> ShardResult:
    try:
        result: ShardResult = ray.get(reference)
        return result
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError):
        return reading_ended_worker(task, corpora[task.source])
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from None
        raise
