"""A Ray cluster to work on: the machine's own cores, or one that is there already."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import ray

from manifests.errors import UserError
from manifests.ray_cluster import connected


@dataclass(frozen=True)
class Cluster:
    """How many workers it has room for, and what each of them takes."""

    workers: int
    resources: dict[str, float]

    def share(self, value: object) -> ray.ObjectRef:
        """Put something where every worker can get it, once a machine."""
        return ray.put(value)

    def alive_nodes(self) -> set[str]:
        return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


@contextlib.contextmanager
def connect(address: str | None, workers: int | None, device: str) -> Iterator[Cluster]:
    """Join the cluster at `address`, or start one on this machine for the time of the block.

    A program that is connected to Ray already stays so. Raises UserError if there is no such cluster, or no
    GPU in it for a `device` that is one.
    """
    resources = {"num_cpus": workers} if device == "cpu" else {}
    if device == "metal":
        resources["num_gpus"] = 1  # Ray does not look for Apple's
    with connected(address, **resources):
        yield _measure(workers, device)


def _measure(workers: int | None, device: str) -> Cluster:
    kind = "CPU" if device == "cpu" else "GPU"
    room = int(ray.cluster_resources().get(kind, 0))
    if kind == "GPU" and room == 0:
        raise UserError(
            f"render.device: {device} needs a GPU and there is none here; "
            "set render.device to cpu, or --address to a cluster with GPUs"
        )
    resources: dict[str, float] = {"num_cpus": 1} if kind == "CPU" else {"num_cpus": 0, "num_gpus": 1}
    return Cluster(workers or max(1, room), resources)
