"""Throughput from the records of runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from manifests.report.runs import read_runs, throughput
from manifests.runlog import RunRecord, new_run_path, write_run
from manifests.storage import Storage


def record(started: float, *history: tuple[float, int]) -> RunRecord:
    return RunRecord(started, history[-1][0], "finished", 2, 100, history[-1][1], history=list(history))


def test_runs_follow_each_other_without_the_time_between(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    for run in (record(0, (0, 0), (3600, 30)), record(90_000, (90_000, 30), (97_200, 100))):
        write_run(storage, new_run_path(storage), run)
    runs = read_runs(storage)
    assert [(run.clips, run.seconds) for run in runs] == [(30, 3600), (70, 7200)]
    measured = throughput(runs)
    assert measured is not None
    assert measured.breaks == (1.0,)
    assert (measured.hours[-1], measured.clips[-1]) == (3, 100)
    assert measured.rate[0] == pytest.approx(30)
    assert measured.rate[-1] == pytest.approx(35)


@pytest.mark.parametrize(
    "change",
    [
        {"started": float("nan")},
        {"updated": 1e300},
        {"workers": -1},
        {"history": [["now", 3]]},
        {"history": [[1, 10**400]]},
        {"history": {"a": 1}},
        {"quarantined": "many"},
    ],
)
def test_a_record_that_cannot_be_is_left_out(tmp_path: Path, change: dict[str, Any]) -> None:
    storage = Storage(str(tmp_path))
    sound = {"started": 0, "updated": 9, "state": "finished", "workers": 1, "quarantined": 0, "failures": 0}
    storage.write("log/run-0000.json", json.dumps({**sound, "history": [[0, 0], [9, 3]]}).encode())
    storage.write("log/run-0001.json", json.dumps({**sound, "history": [], **change}).encode())
    storage.write("log/run-0002.json", b"[" * 100_000)
    storage.write("log/run-notes.json", b"{}")
    assert [run.clips for run in read_runs(storage)] == [3]


def test_no_speed_without_time_or_clips() -> None:
    assert throughput([]) is None
