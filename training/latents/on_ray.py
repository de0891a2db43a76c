"""Encoding shards on Ray: on this machine's cores, or on a cluster that is there already."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import ray

from manifests.errors import UserError
from training.latents.encode import Job, ShardTask, encode_shard

if TYPE_CHECKING:
    from training.latents.cache import Submit, Wait

_AHEAD: Final = 2
"""Shards begun for each worker, so that none waits for the slowest."""
_RETRIES: Final = 2
_OBJECT_STORE_BYTES: Final = 80 << 20
"""Near Ray's least: only tasks and counts go through it."""
_QUIET: Final[dict[str, Any]] = {"log_to_driver": False, "logging_level": logging.ERROR}


@contextlib.contextmanager
def on_ray(job: Job, workers: int | None, address: str | None) -> Iterator[tuple[Submit, int]]:
    """Something that hands a shard to Ray, and how many it takes at once.

    A worker is a CPU, or a GPU where the job's device is one. A program that is connected to Ray already stays so.
    Raises UserError if there is no cluster at ``address``, or no GPU in it.
    """
    ours = not ray.is_initialized()
    if ours:
        _start(workers) if address is None else _join(address)
    try:
        kind = "GPU" if job.device.startswith("cuda") else "CPU"
        room = int(ray.cluster_resources().get(kind, 0))
        if kind == "GPU" and room == 0:
            raise UserError(f"device: {job.device} is in no machine of the cluster; choose cpu, or another cluster")
        shared: Any = ray.put(job)
        gpus = int(kind == "GPU")
        remote = ray.remote(num_gpus=gpus, num_cpus=1 - gpus, max_retries=_RETRIES)(_encode)

        def submit(task: ShardTask) -> Wait:
            reference = remote.remote(task, shared)
            return lambda: _result(task, reference)

        yield submit, _AHEAD * min(workers or room, max(room, 1))
    finally:
        if ours:
            ray.shutdown()


def _encode(task: ShardTask, job: Job) -> int:
    return encode_shard(job, task)


def _result(task: ShardTask, reference: ray.ObjectRef) -> int:
    try:
        written: int = ray.get(reference)
        return written
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError):
        raise UserError(
            f"shard {task.shard}: the process that encoded it died, out of memory or by a fault in a decoder; "
            "use fewer workers, or audit the corpus"
        ) from None
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from None
        raise


def _start(workers: int | None) -> None:
    # A token of our own for Ray's authentication, or Ray would leave one in the home folder, for good.
    if os.environ.get("RAY_AUTH_MODE") is None and os.environ.get("RAY_AUTH_TOKEN_PATH") is None:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    before = signal.getsignal(signal.SIGTERM)  # which Ray takes for itself
    ray.init(
        address="local", include_dashboard=False, object_store_memory=_OBJECT_STORE_BYTES, num_cpus=workers, **_QUIET
    )
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def _join(address: str) -> None:
    try:
        host, _, port = address.rpartition(":")
        if host and port.isdecimal() and "/" not in host:  # where nobody listens, Ray itself would wait for minutes
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        ray.init(address=address, **_QUIET)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"--address {address}: cannot join a Ray cluster there ({type(error).__name__}: {reason}); "
            "start one with `ray start --head`, or leave --address out to use this machine"
        ) from None
