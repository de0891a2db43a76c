from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from manifests import spool
from manifests.conventions import FORMAT_VERSION
from manifests.corpus import Corpus, write_corpus
from manifests.errors import UserError
from manifests.runlog import RunRecord, new_run_path, read_last_run, write_run
from manifests.shard import assemble
from manifests.status import duration, format_status, status
from manifests.storage import Storage
from tests.datagen.farm.toy import ToyConfig, clip_members

CONFIG = ToyConfig(clips=10, clips_per_shard=4)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """Shard 0 committed with one clip given up, two clips of shard 1 in the spool, one of them given up."""
    storage = Storage(str(tmp_path))
    layout = CONFIG.layout
    write_corpus(storage, Corpus(FORMAT_VERSION, "toy", 10, 4, CONFIG.config_hash, {}))
    for clip in (0, 1, 3, 4):
        spool.write_clip(storage, layout, clip, spool.pack(layout, clip, clip_members(CONFIG, clip)))
    spool.write_error(storage, layout, 2, "RuntimeError: bad")
    spool.write_error(storage, layout, 6, "worker process died")
    assemble(storage, layout, 0, CONFIG.config_hash)
    return storage


def record(storage: Storage, state: str, updated: float = 200.0) -> None:
    history = [(100.0, 2), (updated, 6)]
    write_run(
        storage,
        new_run_path(storage),
        RunRecord(100.0, updated, state, 2, 10, done=6, failures=4, errors=["e"], history=history),
    )


def test_counts_what_is_there(storage: Storage) -> None:
    found = status(storage.url)
    assert (found.clips, found.shards, found.state) == (10, 3, "new")
    assert (found.committed_shards, found.committed_clips, found.spooled_clips, found.done) == (1, 4, 2, 6)
    assert found.quarantined == 2
    assert found.errors == ("toy-000000002: RuntimeError: bad", "toy-000000006: worker process died")


def test_a_running_corpus_has_a_rate_and_an_end(storage: Storage) -> None:
    record(storage, "running")
    found = status(storage.url, clock=lambda: 205.0)
    assert (found.state, found.workers, found.failures) == ("running", 2, 4)
    assert found.clips_per_second == pytest.approx(0.04)
    assert found.seconds_left == pytest.approx(100.0)
    assert "0.04 clips/s with 2 workers, 1 min 40 s left" in format_status(found)


def test_a_run_that_fell_silent_was_killed(storage: Storage) -> None:
    record(storage, "running")
    found = status(storage.url, clock=lambda: 300.0)
    assert (found.state, found.seconds_left) == ("killed", None)
    assert "run the same `generate` command again" in format_status(found)


def test_the_newest_run_speaks(storage: Storage) -> None:
    record(storage, "failed")
    record(storage, "interrupted")
    assert status(storage.url, clock=lambda: 300.0).state == "interrupted"
    storage.write("log/run-0002.json", b"{ torn")
    last = read_last_run(storage)
    assert last is not None
    assert last.state == "interrupted"


def test_a_complete_corpus_is_finished_without_any_log(storage: Storage) -> None:
    layout = CONFIG.layout
    for clip in (5, 7, 8, 9):
        spool.write_clip(storage, layout, clip, spool.pack(layout, clip, clip_members(CONFIG, clip)))
    for shard in (1, 2):
        assemble(storage, layout, shard, CONFIG.config_hash)
    found = status(storage.url)
    assert (found.state, found.done, found.committed_shards, found.spooled_clips) == ("finished", 10, 3, 0)
    assert "10 of 10 clips (100.0%)" in format_status(found)


def test_works_in_an_object_store() -> None:
    remote = Storage("memory://test-status/out")
    write_corpus(remote, Corpus(FORMAT_VERSION, "toy", 10, 4, "abc", {}))
    spool.write_error(remote, CONFIG.layout, 6, "bad")
    found = status("memory://test-status/out")
    assert (found.done, found.quarantined, found.state) == (1, 1, "new")


def test_an_unknown_folder_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no corpus here"):
        status(str(tmp_path / "nowhere"))


def test_the_history_of_a_long_run_stays_short() -> None:
    record = RunRecord(0.0, 0.0, "running", 1, 10_000)
    for tick in range(10_000):
        record = dataclasses.replace(record, done=tick)
        record.note(float(tick))
    assert len(record.history) <= 240
    times = [time for time, _ in record.history]
    assert times == sorted(set(times))
    assert (times[0], times[-1]) == (0.0, 9999.0)


@pytest.mark.parametrize(
    ("seconds", "text"), [(8.4, "8 s"), (67, "1 min 7 s"), (3600, "1 h 0 min"), (180_000, "2 d 2 h")]
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text
