"""Drivers in processes of their own, killed and interrupted."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from datagen.farm.interrupt import stop_on_signals
from manifests.status import status
from tests.datagen.farm.conftest import Run
from tests.datagen.farm.toy import ToyConfig, data_files, make_reference

CONFIG = ToyConfig(clips=14, clips_per_shard=4, pause_s=0.25)
_LONGEST_S = 60.0


def start(config: ToyConfig, tmp_path: Path, address: str) -> subprocess.Popen[str]:
    """A driver as the head of a process group, as a shell starts one."""
    file = tmp_path / "config.json"
    file.write_text(config.to_json())
    command = [sys.executable, "-m", "tests.datagen.farm.drive", str(tmp_path / "out"), str(file), address]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _LONGEST_S
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def begun(scratch: str) -> int:
    return len(list(Path(scratch).glob("begun-*")))


def test_a_killed_driver_loses_nothing(run: Run, cluster: Cluster, tmp_path: Path, scratch: str) -> None:
    config = dataclasses.replace(CONFIG, scratch=scratch)
    driver = start(config, tmp_path, cluster.address)
    wait_for(lambda: begun(scratch) >= 7)
    driver.kill()
    driver.wait(_LONGEST_S)
    before = status(str(tmp_path / "out"), clock=lambda: time.time() + 60)
    assert before.state == "killed"
    assert 0 < before.done < 14
    report = run(config, tmp_path / "out")
    assert report.rendered <= 14 - before.done
    assert data_files(tmp_path / "out") == data_files(make_reference(config, tmp_path / "reference"))


def test_ctrl_c_on_a_local_ray_stops_cleanly(run: Run, tmp_path: Path, scratch: str) -> None:
    config = dataclasses.replace(CONFIG, scratch=scratch)
    driver = start(config, tmp_path, "")
    wait_for(lambda: begun(scratch) >= 7)
    os.killpg(driver.pid, signal.SIGINT)
    _, errors = driver.communicate(timeout=_LONGEST_S)
    out = tmp_path / "out"
    assert driver.returncode == 130
    assert errors.splitlines() == [f"stopped; the same command goes on with {out}"]
    assert status(str(out)).state == "interrupted"
    assert not [path for path in data_files(out) if path.endswith(".tmp")]
    done = status(str(out)).done
    assert 0 < done < 14
    assert run(config, out).rendered == 14 - done
    assert data_files(out) == data_files(make_reference(config, tmp_path / "reference"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_either_signal_stops_a_wait_on_workers(cluster: Cluster, number: signal.Signals) -> None:
    @ray.remote(num_cpus=0)
    def sleep() -> None:
        time.sleep(_LONGEST_S)

    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    answer = sleep.remote()
    timer = threading.Timer(0.3, os.kill, (os.getpid(), number))
    began = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt), stop_on_signals():
        ray.wait([answer], timeout=_LONGEST_S)
    assert time.monotonic() - began < _LONGEST_S / 2
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    ray.cancel(answer, force=True)


def test_a_second_ctrl_c_ends_the_process_at_once() -> None:
    program = """
import os, signal, time
from datagen.farm.interrupt import stop_on_signals
with stop_on_signals():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
    except KeyboardInterrupt:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
"""
    done = subprocess.run([sys.executable, "-c", program], timeout=_LONGEST_S, check=False)
    assert done.returncode == 130


def test_an_address_where_no_ray_is_says_so(tmp_path: Path) -> None:
    driver = start(CONFIG, tmp_path, "127.0.0.1:1")
    _, errors = driver.communicate(timeout=_LONGEST_S)
    assert driver.returncode == 2
    assert errors.startswith("--address 127.0.0.1:1: cannot join a Ray cluster there (ConnectionRefusedError")
    assert not (tmp_path / "out").exists()
