from __future__ import annotations

import io
from pathlib import Path

from datagen.farm.progress import Reporter, display
from datagen.farm.worker import describe
from manifests.runlog import read_last_run
from manifests.storage import Storage


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_record_is_written_at_most_every_five_seconds(tmp_path: Path) -> None:
    clock, storage = Clock(), Storage(str(tmp_path))
    reporter = Reporter(storage, 100, 0, clock)
    seen = set()
    for second in range(20):
        clock.now = 1000.0 + second
        reporter.tick(second, workers=2)
        record = read_last_run(storage)
        assert record is not None
        seen.add(record.done)
    assert seen == {0, 5, 10, 15}
    reporter.end("finished")
    last = read_last_run(storage)
    assert last is not None
    assert (last.state, last.done, last.updated) == ("finished", 19, 1019.0)


def test_without_a_terminal_a_line_comes_every_ten_seconds(tmp_path: Path) -> None:
    clock, stream = Clock(), io.StringIO()
    reporter = Reporter(Storage(str(tmp_path)), 100, 0, clock)
    reporter.failed("toy-000000001: RuntimeError: bad")
    with display(stream, clock) as show:
        for second in range(25):
            clock.now = 1000.0 + second
            reporter.tick(2 * second, workers=3)
            show(reporter)
    failures = "3 workers, 1 failed attempts, 0 clips given up"
    assert stream.getvalue().splitlines() == [
        f"20 of 100 clips, 2 clips/s, 40 s left, {failures}",
        f"40 of 100 clips, 2 clips/s, 30 s left, {failures}",
    ]


def test_a_full_disk_is_not_the_reporters_business(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    reporter = Reporter(Storage(str(tmp_path / "out")), 100, 0, Clock())
    (tmp_path / "out").write_text("in the way of every write")
    reporter.tick(1, workers=1)
    reporter.end("failed")


def test_errors_read_the_same_wherever_and_whenever_they_happen() -> None:
    one = describe(RuntimeError("no  mesh\nat 0x7f12ab in /home/ann/.cache/heads/a.npz, pid 4711"))
    two = describe(RuntimeError("no mesh at 0x55aa01 in /root/heads/a.npz, pid 12"))
    assert one == two == "RuntimeError: no mesh at 0x… in a.npz, pid …"
    assert describe(MemoryError()) == "MemoryError"
    assert len(describe(ValueError("x" * 10_000))) < 500
