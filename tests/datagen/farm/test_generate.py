from __future__ import annotations

import dataclasses
import json
import threading
import time
from pathlib import Path

import pytest
import webdataset as wds
from ray.cluster_utils import Cluster

from datagen.farm.driver import FarmSettings
from manifests.clip import RenderSettings
from manifests.errors import UserError
from manifests.manifest import read_manifest
from manifests.status import status
from tests.datagen.farm.conftest import Run, SmallDisk
from tests.datagen.farm.toy import ToyConfig, data_files, make_reference

CONFIG = ToyConfig(clips=10, clips_per_shard=4)
"""Three shards, the last not full."""


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return data_files(make_reference(CONFIG, tmp_path_factory.mktemp("reference")))


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers_gives_the_same_bytes(
    run: Run, tmp_path: Path, reference: dict[str, str], workers: int
) -> None:
    report = run(CONFIG, tmp_path / "out", workers)
    assert (report.rendered, report.quarantined, report.failures) == (10, 0, 0)
    assert data_files(tmp_path / "out") == reference
    again = run(CONFIG, tmp_path / "out", workers)
    assert again.rendered == 0
    assert data_files(tmp_path / "out") == reference


def test_killed_workers_and_passing_errors_leave_no_trace(
    run: Run, tmp_path: Path, scratch: str, reference: dict[str, str]
) -> None:
    faults = {0: "kill-once", 5: "raise-once", 6: "segfault-once", 9: "exit-once"}
    report = run(dataclasses.replace(CONFIG, faults=faults, scratch=scratch), tmp_path / "out")
    assert (report.quarantined, report.failures) == (0, 4)
    assert data_files(tmp_path / "out") == reference
    index = read_manifest(str(tmp_path / "out"), ["index"])["index"].to_pylist()
    assert index == list(range(10))


def test_clips_that_always_fail_are_given_up_and_the_rest_completes(run: Run, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, faults={2: "segfault", 3: "raise", 9: "exit"})
    report = run(config, tmp_path / "out")
    assert (report.rendered, report.quarantined, report.failures) == (7, 3, 9)
    errors = {
        2: "worker process died",
        3: "RuntimeError: clip 3 is bad at 0x… in x.exr",
        9: "SystemExit: 3",
    }
    assert data_files(tmp_path / "out") == data_files(make_reference(CONFIG, tmp_path / "reference", errors))
    rows = read_manifest(str(tmp_path / "out"), ["index", "error"]).to_pylist()
    assert {row["index"]: row["error"] for row in rows if row["error"]} == errors
    assert status(str(tmp_path / "out")).quarantined == 3


def test_webdataset_reads_the_shards_as_they_are(run: Run, tmp_path: Path) -> None:
    run(CONFIG, tmp_path / "out")
    shards = sorted(str(path) for path in (tmp_path / "out" / "shards").iterdir())
    samples = list(wds.WebDataset(shards, shardshuffle=False).decode())
    assert [sample["__key__"] for sample in samples] == [f"toy-{clip:09d}" for clip in range(10)]
    for clip, sample in enumerate(samples):
        assert sample["spec.json"]["index"] == clip
        assert (sample["motion.npz"]["expression"] == clip).all()
        assert len(sample["v00.rgb.mp4"]) == CONFIG.size + clip


def test_worn_workers_are_replaced_and_that_is_no_failure(run: Run, tmp_path: Path, scratch: str) -> None:
    config = dataclasses.replace(CONFIG, clips=4, scratch=scratch)
    report = run(config, tmp_path / "out", 1, FarmSettings(clips_per_worker=1))
    assert report.failures == 0
    assert len(list(Path(scratch).glob("process-*"))) == 5  # one a clip, and one for the shard


def test_a_worker_that_takes_too_much_memory_is_replaced(run: Run, tmp_path: Path, scratch: str) -> None:
    config = dataclasses.replace(CONFIG, clips=4, faults={1: "grow"}, scratch=scratch)
    report = run(config, tmp_path / "out", 1, FarmSettings(worker_memory_gb=0.4))
    assert (report.rendered, report.failures) == (4, 0)
    assert len(list(Path(scratch).glob("process-*"))) == 2


def test_a_clip_without_end_is_given_up(run: Run, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, clips=3, faults={1: "hang"})
    # Long enough for a loaded machine to assemble the shard, to which the limit holds as well.
    report = run(config, tmp_path / "out", 2, FarmSettings(clip_timeout_s=12.0, max_attempts=1))
    assert (report.rendered, report.quarantined) == (2, 1)
    assert status(str(tmp_path / "out")).errors == ("toy-000000001: no end after 12 s",)


@pytest.mark.parametrize("workers", [0, -1])
def test_no_workers_is_an_error(run: Run, tmp_path: Path, workers: int) -> None:
    with pytest.raises(UserError, match=rf"--workers {workers}: needs to be 1 or more"):
        run(CONFIG, tmp_path / "out", workers)


def test_workers_that_find_no_room_hold_nothing_up(run: Run, tmp_path: Path, reference: dict[str, str]) -> None:
    run(CONFIG, tmp_path / "out", 6)
    assert data_files(tmp_path / "out") == reference


def test_a_machine_that_goes_takes_no_clip_with_it(run: Run, cluster: Cluster, tmp_path: Path, scratch: str) -> None:
    config = dataclasses.replace(CONFIG, clips=16, pause_s=0.5, scratch=scratch)
    node = cluster.add_node(num_cpus=1)

    def in_mid_clip() -> bool:
        here = [path.name.split("-")[1] for path in Path(scratch).glob(f"begun-*-on-{node.node_id}")]
        return any(not (Path(scratch) / f"through-{clip}").exists() for clip in here)

    def remove_node() -> None:
        while not in_mid_clip():
            time.sleep(0.01)
        cluster.remove_node(node, allow_graceful=False)

    remover = threading.Thread(target=remove_node, daemon=True)
    remover.start()
    report = run(config, tmp_path / "out", 3)
    remover.join(30)
    assert not remover.is_alive()
    assert report.quarantined == 0
    assert report.failures >= 1
    assert data_files(tmp_path / "out") == data_files(make_reference(config, tmp_path / "reference"))


def test_more_clips_go_behind_those_that_are_there(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    small = dataclasses.replace(CONFIG, clips=6, faults={5: "raise"})
    run(small, out)
    first = (out / "shards" / "toy-000000.tar").read_bytes()
    report = run(CONFIG, out)
    assert report.rendered == 4
    assert (out / "shards" / "toy-000000.tar").read_bytes() == first
    errors = {5: "RuntimeError: clip 5 is bad at 0x… in x.exr"}
    assert data_files(out) == data_files(make_reference(CONFIG, tmp_path / "reference", errors))
    with pytest.raises(UserError, match="clips: 6 is fewer than the 10"):
        run(small, out)


def test_a_full_disk_stops_the_run_and_the_next_one_goes_on(run: Run, small_disk: SmallDisk, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, size=30_000)
    out = small_disk.folder / "out"
    limited = config if small_disk.mounted else dataclasses.replace(config, disk_bytes=150_000)
    with pytest.raises(UserError, match=r"is full: free space and run the same command again"):
        run(limited, out)
    assert 0 < status(str(out)).done < 10
    if small_disk.mounted:
        small_disk.remount("size=10m")
    report = run(config, out)
    assert 0 < report.rendered < 10
    assert data_files(out) == data_files(make_reference(config, tmp_path / "reference"))


def test_output_that_cannot_be_written_is_named(run: Run, small_disk: SmallDisk, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match=r"file/out cannot be written \(it is a file"):
        run(CONFIG, tmp_path / "file" / "out")
    assert (tmp_path / "file").read_text() == "mine"
    if small_disk.mounted:
        small_disk.remount("ro")
        with pytest.raises(UserError, match=r"disk/out cannot be written \(Read-only file system\)"):
            run(CONFIG, small_disk.folder / "out")


def test_another_configuration_leaves_the_folder_alone(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(dataclasses.replace(CONFIG, clips=2), out)
    before = data_files(out), (out / "corpus.json").read_bytes()
    with pytest.raises(UserError, match=r"another configuration \(seed: 7 there, 8 now\); choose another"):
        run(dataclasses.replace(CONFIG, clips=2, seed=8), out)
    assert (data_files(out), (out / "corpus.json").read_bytes()) == before


def test_a_folder_with_other_things_stays_as_it_is(run: Run, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match=r"not empty and holds no corpus \(thesis.tex\); choose another"):
        run(CONFIG, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_absent_gpu_is_an_error(run: Run, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, render=RenderSettings(device="cuda"))
    with pytest.raises(UserError, match=r"render.device: cuda needs a GPU and there is none here"):
        run(config, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_pipeline_that_cannot_start_says_why(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a worker cannot start on .*: RuntimeError: no pictures today"):
        run(dataclasses.replace(CONFIG, faults={0: "start"}), tmp_path / "out")
    assert run(CONFIG, tmp_path / "out").rendered == 10


def test_when_nothing_ever_works_no_corpus_of_errors_is_left(run: Run, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, clips=20, faults=dict.fromkeys(range(20), "raise"))
    with pytest.raises(UserError, match=r"all of the first 10 clips failed.*RuntimeError: clip"):
        run(config, tmp_path / "out")
    assert data_files(tmp_path / "out") == {}


def test_a_second_driver_is_kept_out(run: Run, tmp_path: Path) -> None:
    from manifests.storage import Storage

    with Storage(str(tmp_path / "out")).lock(), pytest.raises(UserError, match="another run is writing"):
        run(CONFIG, tmp_path / "out")


def test_the_log_tells_what_happened(run: Run, tmp_path: Path) -> None:
    run(dataclasses.replace(CONFIG, clips=4, faults={1: "raise"}), tmp_path / "out")
    (log,) = (tmp_path / "out" / "log").iterdir()
    record = json.loads(log.read_text())
    assert (record["state"], record["done"], record["quarantined"], record["failures"]) == (
        "finished",
        4,
        1,
        3,
    )
