"""One small Ray cluster for all tests of the farm: starting it is most of what they cost."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from datagen.farm.driver import FarmSettings, RunReport, generate
from tests.datagen.farm.toy import ToyConfig, ToyPipeline

Run = Callable[..., RunReport]
DEFAULTS = FarmSettings()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Two nodes of one CPU each, on this machine; this process is connected to them."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def run(cluster: Cluster) -> Run:
    """Generate a toy corpus on the cluster."""

    def run(config: ToyConfig, out: Path, workers: int | None = 2, settings: FarmSettings = DEFAULTS) -> RunReport:
        return generate(
            config,
            str(out),
            config_hash=config.config_hash,
            workers=workers,
            pipeline=ToyPipeline,
            settings=settings,
        )

    return run


@pytest.fixture
def scratch(tmp_path: Path) -> str:
    """Where the toy pipeline remembers what it has done."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return str(folder)


class SmallDisk:
    """A folder on a file system of its own, where this machine lets us mount one."""

    def __init__(self, folder: Path, size: int) -> None:
        folder.mkdir()
        self.folder = folder
        self.mounted = self._mount(f"size={size}", "-t", "tmpfs", "tmpfs")

    def remount(self, option: str) -> None:
        if not self._mount(f"remount,{option}"):
            raise RuntimeError(f"cannot remount {self.folder} with {option}")

    def unmount(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    def _mount(self, options: str, *rest: str) -> bool:
        command = ["mount", "-o", options, *rest, str(self.folder)]
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            return False


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """200 kB."""
    disk = SmallDisk(tmp_path / "disk", 200_000)
    yield disk
    disk.unmount()
