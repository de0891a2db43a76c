"""A whole corpus, made the way a user makes one: its bytes, its shape, and readers that know nothing of us."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import webdataset as wds
from ray.cluster_utils import Cluster
from scipy.ndimage import binary_dilation

from datagen.config import load_config
from datagen.heads.importer import import_head
from datagen.heads.store import heads_folder
from datagen.pipeline import Pipeline
from manifests.conventions import RECIPES, SEGMENTATION_CLASSES, WORN_CLASSES
from manifests.decode import decode
from tests.conftest import CONFIG, Generated, data_hashes, finish, start_generate
from tests.datagen.heads.foreign_files import chumpy_pickle, flame_like, write_flame_landmarks

POLL_S, PATIENCE_S = 0.05, 300


def test_one_worker_makes_the_bytes_that_two_make(corpus: Generated, tmp_path: Path) -> None:
    finish(start_generate(tmp_path / "out", "--workers", "1"))
    assert data_hashes(tmp_path / "out") == data_hashes(corpus.out)


def test_a_killed_worker_and_then_a_killed_driver_leave_no_trace(corpus: Generated, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = start_generate(out, "--workers", "1")
    _wait_for(run, lambda: _rendering(run) is not None)
    victim = _rendering(run)
    assert victim is not None
    victim.send_signal(signal.SIGKILL)
    _wait_for(run, lambda: any(out.glob("spool/*/*.tar")))
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert not any(out.glob("manifest/*.parquet"))
    finish(start_generate(out, "--workers", "2"))
    assert data_hashes(out) == data_hashes(corpus.out)


def test_a_cluster_that_loses_a_node_makes_the_same_bytes(
    corpus: Generated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its nodes have no head in their caches: the driver's travels to them."""
    out, nodes_cache = tmp_path / "out", tmp_path / "cache"
    drivers_cache = str(heads_folder().parent)
    monkeypatch.setenv("FACTORPORTRAIT_CACHE", str(nodes_cache))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        leaving = cluster.add_node(num_cpus=1)
        run = start_generate(out, "--address", cluster.address, FACTORPORTRAIT_CACHE=drivers_cache)
        _wait_for(run, lambda: any(out.glob("spool/*/*.tar")))
        cluster.remove_node(leaving)
        finish(run)
    finally:
        cluster.shutdown()
    assert data_hashes(out) == data_hashes(corpus.out)
    assert [path.name for path in (nodes_cache / "heads").iterdir()] == [".by-hash"]


def test_more_clips_leave_the_earlier_ones_as_they_were(corpus: Generated, tmp_path: Path) -> None:
    out = tmp_path / "out"
    finish(start_generate(out, "--clips", "2"))
    finish(start_generate(out))
    assert data_hashes(out) == data_hashes(corpus.out)


def test_the_command_says_where_everything_lies(corpus: Generated) -> None:
    for name in ("shards", "manifest", "contact_sheet.png"):
        assert str(corpus.out / name) in corpus.output
        assert (corpus.out / name).exists()


def test_the_manifest_has_every_clip_once_and_all_recipes(corpus: Generated) -> None:
    rows = corpus.rows()
    assert [row["index"] for row in rows] == [0, 1, 2, 3]
    assert {row["status"] for row in rows} == {"ok"}
    assert {row["recipe"] for row in rows} == set(RECIPES)
    split_of = {(row["identity"], row["split"]) for row in rows}
    assert len(split_of) == 2
    assert {split for _, split in split_of} == {"train", "test"}


def test_unmodified_webdataset_reads_the_shards(corpus: Generated) -> None:
    shards = sorted(str(path) for path in (corpus.out / "shards").iterdir())
    samples = list(wds.WebDataset(shards, shardshuffle=False).decode())
    assert [sample["__key__"] for sample in samples] == [f"tiny-{clip:09d}" for clip in range(4)]
    for sample in samples:
        assert sample["spec.json"]["frames"] == 5
        assert sample["cameras.npz"]["world_to_camera"].shape == (2, 5, 4, 4)
        assert isinstance(sample["v01.rgb.mp4"], bytes)


def test_a_sample_holds_what_the_format_says(corpus: Generated) -> None:
    views, frames, height, width = 2, 5, 64, 80
    for row in corpus.rows():
        sample = corpus.sample(row)
        assert sample["landmarks.npz"]["points"].shape == (frames, 70, 3)
        assert sample["landmarks.npz"]["pixels"].shape == (views, frames, 70, 2)
        assert sample["motion.npz"]["expression"].shape == (frames, 86)
        for view in range(views):
            arrays = {name.split(".")[1]: value for name, value in sample.items() if name.startswith(f"v{view:02d}")}
            assert {name: array.shape[1:] for name, array in arrays.items()} == {
                "rgb": (height, width, 3),
                "alpha": (height, width),
                "pose_normals": (height, width, 3),
                "depth": (height, width),
                "normals": (height, width, 3),
                "segmentation": (height, width),
                "uv": (height, width, 2),
                "flow": (height, width, 2),
            }
            assert {len(array) for array in arrays.values()} == {frames}
            assert arrays["rgb"].std() > 10


@pytest.mark.parametrize("head", ["open-body", "licensed"])
def test_heads_of_every_format_go_through_the_same_pipeline(
    head: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The open body in SMPL-X's format; and a pickle in FLAME's, with neither names for its expressions nor
    texture coordinates."""
    wanted = {"head": head, "frames": "1", "views": "1", "resolution": "[64, 64]", "render.samples": "2"}
    kind, labels = "smplx", ["depth", "normals", "segmentation", "uv", "flow"]
    if head == "licensed":
        _import_stand_in(head, tmp_path, monkeypatch)
        kind, labels = "flame", ["depth", "segmentation"]
        wanted["labels"] = f"[{', '.join(labels)}]"
    config = load_config(CONFIG, wanted)
    sample = {member.name: decode(member.name, member.data) for member in Pipeline(config.to_json()).members(0)}

    made_of = sample["spec.json"]["head"]
    assert (made_of["name"], made_of["kind"]) == (head, kind)
    assert {f"v00.{label}.mkv" for label in labels} < set(sample)
    alpha = sample["v00.alpha.mkv"][0] > 127
    assert alpha.shape == (64, 64)
    assert 0.1 < alpha.mean() < 0.8
    assert not alpha[:2].any()
    colour = sample["v00.rgb.mp4"][0].astype(float)
    assert np.abs(colour[alpha].mean(axis=0) - colour[~alpha].mean(axis=0)).max() > 10
    worn = np.isin(sample["v00.segmentation.mkv"][0], [SEGMENTATION_CLASSES.index(name) for name in WORN_CLASSES])
    assert (alpha & ~worn).mean() > 0.05
    assert (sample["v00.depth.mkv"][0][alpha & ~worn] > 0).mean() > 0.95
    assert (sample["v00.segmentation.mkv"][0] > 0).mean() == alpha.mean()
    column, row = np.floor(sample["landmarks.npz"]["pixels"][0, 0]).astype(int).T
    assert ((column >= 0) & (column < 64) & (row >= 0) & (row < 64)).all()
    assert binary_dilation(alpha, np.ones((3, 3)))[row, column].all()


def _import_stand_in(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head of nobody's face in FLAME's own files, imported into a cache of its own."""
    monkeypatch.setenv("FACTORPORTRAIT_CACHE", str(folder / "cache"))
    arrays = flame_like()
    (folder / "generic_model.pkl").write_bytes(chumpy_pickle(arrays))
    landmarks = write_flame_landmarks(folder, len(arrays["f"]))
    info = import_head(str(folder / "generic_model.pkl"), name, landmarks=str(landmarks), licence="none")
    assert info.expression_names == ()


def _wait_for(run: subprocess.Popen[str], done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert run.poll() is None, run.communicate()[1]
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(POLL_S)


def _rendering(run: subprocess.Popen[str]) -> psutil.Process | None:
    """The run's worker process that has a clip in its hands, as Ray names it."""
    for process in psutil.Process(run.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "".join(process.cmdline()).startswith("ray::Worker.render"):
                return process
    return None
