"""Reading latents back: what is asked for wrongly, and what is damaged."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from manifests.errors import UserError
from tests.conftest import Generated
from training.latents.cache import CacheReport
from training.latents.members import STORED, npy_bytes, npy_size, row_place
from training.latents.read import LatentClips

Cache = tuple[Path, CacheReport]


@pytest.fixture
def latents(cache: Cache) -> LatentClips:
    return LatentClips(str(cache[0]))


def test_clips_are_found_by_key(latents: LatentClips, corpus: Generated) -> None:
    for i, row in enumerate(corpus.rows()):
        assert latents.find(row["key"]) == i
    for key in ("tiny-000000009", "other-000000001", "tiny-1", f"tiny-{10**30}", "tiny-x", "tiny", ""):
        with pytest.raises(UserError, match="holds no latents of it"):
            latents.find(key)


def test_a_split_of_a_cache_of_all(cache: Cache, corpus: Generated) -> None:
    part = LatentClips(str(cache[0]), split="test")
    assert [part.key(i) for i in range(len(part))] == [r["key"] for r in corpus.rows() if r["split"] == "test"]
    whole = LatentClips(str(cache[0]))
    assert torch.equal(part.read(0, 1, 1).video, whole.read(whole.find(part.key(0)), 1, 1).video)


@pytest.mark.parametrize(("view", "window"), [(-1, 0), (2, 0), (0, -1), (0, 2)])
def test_windows_that_are_not_there(view: int, window: int, latents: LatentClips) -> None:
    with pytest.raises(UserError, match=f"view {view}, window {window} asked for, it has 2 views of 2 windows"):
        latents.read(0, view, window)


def test_pickled_and_forked(latents: LatentClips) -> None:
    latents.read(3, 0, 0)
    copy = pickle.loads(pickle.dumps(latents))
    assert torch.equal(copy.read(3, 1, 1).normals, latents.read(3, 1, 1).normals)
    child = os.fork()
    if child == 0:
        os._exit(0 if latents.read(3, 1, 1).key.endswith(".v01[2:4]") else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_tensors_are_the_callers(latents: LatentClips) -> None:
    first = latents.read(0, 0, 0)
    kept = first.video.clone()
    first.video.zero_()
    assert torch.equal(latents.read(0, 0, 0).video, kept)


def test_no_cache(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no latents here \(no cache.json\)"):
        LatentClips(str(tmp_path))


@pytest.mark.parametrize(
    "changes",
    [
        {"clips": 0},
        {"clips_per_shard": "3"},
        {"channels": 1 << 40},
        {"rows": True},
        {"corpus": "../x"},
        {"corpus": None},
        {"split": "other"},
        {"code_size": 5},
        {"more": 1},
        {"format_version": None},
    ],
)
def test_a_record_that_lies(changes: dict[str, Any], cache: Cache, tmp_path: Path) -> None:
    out = shutil.copytree(cache[0], tmp_path / "out")
    record = json.loads((out / "cache.json").read_text())
    (out / "cache.json").write_text(json.dumps({**record, **changes}))
    with pytest.raises(UserError, match=r"cache.json is damaged"):
        LatentClips(str(out))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": 1}', "[" * 100_000])
def test_a_record_that_is_none(text: str, cache: Cache, tmp_path: Path) -> None:
    out = shutil.copytree(cache[0], tmp_path / "out")
    (out / "cache.json").write_text(text)
    with pytest.raises(UserError, match=r"cache.json is damaged"):
        LatentClips(str(out))


def test_members_of_another_size(cache: Cache, tmp_path: Path) -> None:
    out = shutil.copytree(cache[0], tmp_path / "out")
    record = json.loads((out / "cache.json").read_text())
    (out / "cache.json").write_text(json.dumps({**record, "columns": record["columns"] * 1000}))
    with pytest.raises(UserError, match=r"v00\.video\.npy: is of \d+ bytes, not \d+; delete"):
        LatentClips(str(out)).read(0, 0, 0)


def test_a_shard_that_is_cut_short(cache: Cache, tmp_path: Path) -> None:
    out = shutil.copytree(cache[0], tmp_path / "out")
    shard = out / "shards" / "tiny-000001.tar"
    shard.write_bytes(shard.read_bytes()[:2000])
    with pytest.raises(UserError, match=r"tiny-000001.tar ends within"):
        LatentClips(str(out)).read(3, 1, 1)
    shard.unlink()
    with pytest.raises(UserError, match=r"tiny-000001.tar is missing"):
        LatentClips(str(out)).read(3, 1, 1)


@pytest.mark.parametrize("shape", [(3, 2), (10, 64, 21, 64, 64)])
def test_places_in_an_npy(shape: tuple[int, ...]) -> None:
    array = np.zeros(shape, STORED) if len(shape) > 2 else np.arange(6, dtype=STORED).reshape(shape)
    data = npy_bytes(array)
    assert len(data) == npy_size(shape)
    offset, size = row_place(shape, 2)
    assert data[offset : offset + size] == array[2].tobytes()
