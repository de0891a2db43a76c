"""A full audit on a Ray cluster that is there already, from a program of its own."""

from __future__ import annotations

import subprocess
import sys

from manifests.audit.report import AuditReport
from tests.manifests.audit.plant import Copy

DRIVER = """
import sys
from ray.cluster_utils import Cluster
from manifests.audit.audit import audit

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
try:
    print(audit(sys.argv[1], level="full", address=cluster.address, journal=sys.argv[2]).to_json())
finally:
    cluster.shutdown()
"""


def test_a_cluster_finds_what_one_process_does(copy: Copy) -> None:
    data = bytearray(copy.shard(1).read_bytes())
    data[copy.rows(1)[0]["members"][4]["offset"] + 2000] ^= 1
    copy.shard(1).write_bytes(data)
    command = [sys.executable, "-c", DRIVER, str(copy.out), str(copy.out.parent / "journal-of-ray.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = AuditReport.from_json(done.stdout)
    assert report.counts["bytes-differ"] == 1
    assert report == copy.audit(level="full")


def test_an_address_where_no_ray_is_says_so(copy: Copy) -> None:
    """In a program of its own, since one that is connected to Ray already stays so."""
    command = [sys.executable, "-m", "factorportrait", "audit", str(copy.out), "--level", "full"]
    done = subprocess.run([*command, "--address", "127.0.0.1:1"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--address 127.0.0.1:1: cannot join a Ray cluster there" in done.stderr
    assert done.stderr.count("\n") == 1
