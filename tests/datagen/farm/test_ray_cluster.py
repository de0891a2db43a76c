"""A program that is connected to Ray stays so, and is told when another cluster is asked for."""

from __future__ import annotations

import pytest
import ray
from ray.cluster_utils import Cluster

from manifests.errors import UserError
from manifests.ray_cluster import connected


@pytest.mark.parametrize("own", [None, "auto", "{address}", "localhost:{port}"])
def test_a_connected_program_stays_so(cluster: Cluster, own: str | None) -> None:
    before = ray.get_runtime_context().gcs_address
    address = own and own.format(address=cluster.address, port=cluster.address.rpartition(":")[2])
    with connected(address):
        assert ray.get_runtime_context().gcs_address == before
    assert ray.is_initialized()


@pytest.mark.parametrize("other", ["127.0.0.1:1", "192.0.2.7:{port}"])
def test_a_connected_program_cannot_join_another(cluster: Cluster, other: str) -> None:
    address = other.format(port=cluster.address.rpartition(":")[2])
    with (
        pytest.raises(UserError, match=f"--address {address}: cannot join .* connected to the one at"),
        connected(address),
    ):
        pass
    assert ray.is_initialized()
