"""Checking shards on a Ray cluster that is there already."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import ray

from manifests.audit.pool import Submit, Wait, reading_ended_worker
from manifests.audit.probe import GeometryProbe
from manifests.audit.shard_check import ShardResult, ShardTask, check_shard
from manifests.corpus import Corpus
from manifests.errors import UserError

_RETRIES = 2


@contextlib.contextmanager
def on_ray(address: str, corpora: Sequence[Corpus], probe: GeometryProbe | None) -> Iterator[tuple[Submit, int]]:
    """Something that hands a shard to the cluster, and how many it takes at once: one a CPU.

    A program that is connected to Ray already stays so. Raises UserError if there is no cluster at `address`.
    """
    ours = not ray.is_initialized()
    if ours:
        _join(address)
    try:
        shared: Any = ray.put((tuple(corpora), probe))
        remote = ray.remote(num_cpus=1, max_retries=_RETRIES)(_check)

        def submit(task: ShardTask) -> Wait:
            reference = remote.remote(task, shared)
            return lambda: _result(task, reference, corpora)

        yield submit, max(1, int(ray.cluster_resources().get("CPU", 1)))
    finally:
        if ours:
            ray.shutdown()


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


def _join(address: str) -> None:
    try:
        host, _, port = address.rpartition(":")
        if host and port.isdecimal() and "/" not in host:  # where nobody listens, Ray itself would wait for minutes
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"--address {address}: cannot join a Ray cluster there ({type(error).__name__}: {reason}); "
            "start one with `ray start --head`, or leave --address out to use this machine"
        ) from None
