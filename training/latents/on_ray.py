"""Encoding shards on Ray: on this machine's cores, or on a cluster that is there already."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import ray

from manifests.errors import UserError
from manifests.ray_cluster import connected
from training.latents.encode import Job, ShardTask, Written, encode_shard

if TYPE_CHECKING:
    from training.latents.cache import Submit, Wait

_AHEAD: Final = 2
"""Shards begun for each worker, so that none waits for the slowest."""
_RETRIES: Final = 2


@contextlib.contextmanager
def on_ray(job: Job, workers: int | None, address: str | None) -> Iterator[tuple[Submit, int]]:
    """Something that hands a shard to Ray, and how many it takes at once.

    A worker is a CPU, or a GPU where the job's device is ``cuda``: Ray shows each its own alone. A program that is
    connected to Ray already stays so. Raises UserError if there is no cluster at ``address``, or no GPU in it.
    """
    with connected(address, num_cpus=workers):
        kind = "GPU" if job.device == "cuda" else "CPU"
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


def _encode(task: ShardTask, job: Job) -> Written:
    return encode_shard(job, task)


def _result(task: ShardTask, reference: ray.ObjectRef) -> Written:
    try:
        written: Written = ray.get(reference)
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
