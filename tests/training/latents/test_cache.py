"""What a cache holds, that it goes on where it was stopped, and that nothing but its inputs shapes its bytes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import webdataset

from datagen.geometry.cameras import world_normals_to_camera
from manifests.errors import UserError
from tests.conftest import Generated
from tests.training.latents.conftest import WINDOWS, hashes
from training.codec.load import load_codec
from training.data.clips import Clips
from training.expression.crop import crop_faces
from training.expression.load import load_encoder
from training.latents.cache import CacheReport, cache_latents
from training.latents.read import LatentClips

Cache = tuple[Path, CacheReport]


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("kind", ["patches", "wan"])
def test_latents_are_those_of_encoding_on_the_fly(
    kind: str, corpus: Generated, codec: str, video_codec: str, cache: Cache, tmp_path: Path
) -> None:
    out, folder = cache[0], codec
    if kind == "wan":
        out, folder = tmp_path / "latents", video_codec
        cache_latents(str(corpus.out), str(out), codec=folder)
    latents, clips, model = LatentClips(str(out)), Clips(str(corpus.out), split=None), load_codec(folder)
    assert [latents.key(i) for i in range(len(latents))] == [clips.key(i) for i in range(len(clips))]
    assert latents.windows(0) == (1 if kind == "wan" else 2)
    for i in range(len(clips)):
        for view in range(2):
            for window in range(latents.windows(i)):
                cached = latents.read(i, view, window)
                (truth,) = clips.windows(i, [(view, cached.frames)])
                assert cached.key == truth.key
                assert truth.rgb is not None
                assert truth.pose_normals is not None
                video = torch.from_numpy(truth.rgb).permute(3, 0, 1, 2).float() / 127.5 - 1
                turned = world_normals_to_camera(truth.pose_normals, truth.world_to_camera)
                normals = torch.from_numpy(turned).permute(3, 0, 1, 2).contiguous()
                assert cached.video.dtype == torch.float16
                assert torch.equal(cached.video, model.encode(video[None])[0].half())
                assert torch.equal(cached.normals, model.encode(normals[None])[0].half())
                assert cached.expression is None
                # A window's first slot is a portrait's latents.
                torch.testing.assert_close(cached.video[:, 0].float(), model.encode(video[None, :, :1])[0, :, 0],
                                           atol=2e-3, rtol=1e-3)  # fmt: skip


def test_report(cache: Cache) -> None:
    out, report = cache
    assert (report.clips, report.shards, report.written) == (4, 2, 2)
    assert report.bytes == sum(path.stat().st_size - 1024 for path in (out / "shards").iterdir())
    assert sorted(hashes(out)) == [
        "cache.json",
        "manifest/part-000000.parquet",
        "manifest/part-000001.parquet",
        "shards/tiny-000000.tar",
        "shards/tiny-000001.tar",
    ]


def test_shards_are_plain_webdatasets(cache: Cache, corpus: Generated) -> None:
    out = cache[0]
    samples = list(webdataset.WebDataset(str(out / "shards" / "tiny-000000.tar"), shardshuffle=False).decode())
    assert [sample["__key__"] for sample in samples] == [row["key"] for row in corpus.rows()[:3]]
    array = samples[1]["v01.video.npy"]
    assert (array.shape, array.dtype) == ((2, 6, 2, 8, 10), np.float16)
    np.testing.assert_array_equal(array[1], LatentClips(str(out)).read(1, 1, 1).video.numpy())


def test_run_again_it_does_nothing(cache: Cache, corpus: Generated, codec: str) -> None:
    out, _ = cache
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    again = cache_latents(str(corpus.out), str(out), codec=codec, **WINDOWS)
    assert (again.clips, again.written, again.bytes) == (4, 0, 0)
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}


def test_killed_it_goes_on_and_the_bytes_are_equal(cache: Cache, corpus: Generated, codec: str, tmp_path: Path) -> None:
    code = f"""
import os, signal
from training.expression.crop import crop_faces
from training.expression.load import load_encoder
from training.latents.cache import cache_latents
def progress(done, total, words):
    if done == 1:
        os.kill(os.getpid(), signal.SIGKILL)
cache_latents({str(corpus.out)!r}, {str(tmp_path / "out")!r}, codec={codec!r}, progress=progress, **{WINDOWS})
"""
    process = subprocess.run([sys.executable, "-c", code], check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert process.returncode == -signal.SIGKILL
    out = tmp_path / "out"
    assert sorted(path.name for path in (out / "manifest").iterdir()) == ["part-000000.parquet"]
    # And killed once more with a tar in its place, not yet committed, and another half written.
    (out / "shards" / "tiny-000001.tar").write_bytes(b"half")
    (out / "shards" / ".tiny-000001.tar.0123.tmp").write_bytes(b"half")
    kept = (out / "shards" / "tiny-000000.tar").stat()
    report = cache_latents(str(corpus.out), str(out), codec=codec, **WINDOWS)
    assert report.written == 1
    assert (out / "shards" / "tiny-000000.tar").stat().st_ino == kept.st_ino
    assert hashes(out) == hashes(cache[0])


def test_ray_gives_equal_bytes(cache: Cache, corpus: Generated, codec: str, tmp_path: Path) -> None:
    told: list[float] = []
    report = cache_latents(
        str(corpus.out), str(tmp_path / "out"), codec=codec, workers=2, **WINDOWS,
        progress=lambda done, total, words: told.append(done / total),
    )  # fmt: skip
    assert report.written == 2
    assert told == [0, 0.5, 1]
    assert hashes(tmp_path / "out") == hashes(cache[0])


def test_threads_do_not_matter(cache: Cache, corpus: Generated, codec: str, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        cache_latents(str(corpus.out), str(tmp_path / "out"), codec=codec, **WINDOWS)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert hashes(tmp_path / "out") == hashes(cache[0])


def test_a_corpus_that_grew_is_caught_up_with(cache: Cache, corpus: Generated, codec: str, tmp_path: Path) -> None:
    growing = shutil.copytree(corpus.out, tmp_path / "corpus")
    later = (growing / "manifest" / "part-000001.parquet").rename(tmp_path / "part")
    first = cache_latents(str(growing), str(tmp_path / "out"), codec=codec, **WINDOWS)
    assert (first.clips, first.shards) == (3, 1)
    later.rename(growing / "manifest" / "part-000001.parquet")
    second = cache_latents(str(growing), str(tmp_path / "out"), codec=codec, **WINDOWS)
    assert (second.clips, second.shards, second.written) == (4, 2, 1)
    assert hashes(tmp_path / "out") == hashes(cache[0])


def test_shards_with_other_clips_than_wanted_are_made_anew(
    cache: Cache, corpus: Generated, codec: str, tmp_path: Path
) -> None:
    out = shutil.copytree(cache[0], tmp_path / "out")
    shutil.copy(out / "manifest" / "part-000001.parquet", out / "manifest" / "part-000000.parquet")
    assert cache_latents(str(corpus.out), str(out), codec=codec, **WINDOWS).written == 1
    (out / "manifest" / "part-000001.parquet").write_bytes(b"damaged")
    assert cache_latents(str(corpus.out), str(out), codec=codec, **WINDOWS).written == 1
    assert hashes(out) == hashes(cache[0])


def test_one_split(corpus: Generated, codec: str, tmp_path: Path) -> None:
    cache_latents(str(corpus.out), str(tmp_path / "out"), codec=codec, split="test", frames=5)
    latents = LatentClips(str(tmp_path / "out"))
    wanted = [row["key"] for row in corpus.rows() if row["split"] == "test"]
    assert [latents.key(i) for i in range(len(latents))] == wanted
    assert 0 < len(wanted) < 4
    with pytest.raises(UserError, match=r"holds latents with split test, wanted is train; choose another folder"):
        cache_latents(str(corpus.out), str(tmp_path / "out"), codec=codec, split="train", frames=5)


def test_windows_with_steps(corpus: Generated, codec: str, tmp_path: Path) -> None:
    cache_latents(str(corpus.out), str(tmp_path / "out"), codec=codec, frames=2, step=3, stride=1)
    latents = LatentClips(str(tmp_path / "out"))
    assert [latents.read(0, 0, window).frames for window in range(latents.windows(0))] == [
        range(0, 4, 3),
        range(1, 5, 3),
    ]
    (truth,) = Clips(str(corpus.out), split=None).windows(0, [(0, range(1, 5, 3))])
    assert latents.read(0, 0, 1).key == truth.key


@pytest.mark.usefixtures("one_thread")
def test_expression_codes(cache: Cache, corpus: Generated, codec: str, encoder: str, tmp_path: Path) -> None:
    out, model = tmp_path / "out", load_encoder(encoder)
    cache_latents(str(corpus.out), str(out), codec=codec, expression=encoder, frames=2, step=2, stride=1)
    latents, clips = LatentClips(str(out)), Clips(str(corpus.out), split=None)
    (truth,) = clips.windows(2, [(1, range(5))])
    assert truth.rgb is not None
    video = torch.from_numpy(truth.rgb).permute(3, 0, 1, 2).float() / 127.5 - 1
    codes = model.encode(crop_faces(video[None], torch.from_numpy(truth.landmarks)[None], 16)[0]).half()
    assert len(torch.unique(codes, dim=0)) == 5
    for window in range(3):
        found = latents.read(2, 1, window).expression
        assert found is not None
        assert torch.equal(found, codes[[window, window + 2]])
    latents.check(load_codec(codec), model)
    with pytest.raises(UserError, match=f"holds latents with expression {model.digest}, wanted is None"):
        cache_latents(str(corpus.out), str(out), codec=codec, frames=2, step=2, stride=1)
    with pytest.raises(UserError, match="holds no expression codes"):
        LatentClips(str(cache[0])).check(load_codec(codec), model)


def test_a_model_that_changes_on_the_way_is_noticed(
    corpus: Generated, codec: str, other_codec: str, tmp_path: Path
) -> None:
    mine = shutil.copytree(codec, tmp_path / "codec")

    def exchange(done: float, total: float, words: str) -> None:
        shutil.copytree(other_codec, mine, dirs_exist_ok=True)

    with pytest.raises(UserError, match=r"here it is [0-9a-f]{16}, where the run began [0-9a-f]{16}"):
        cache_latents(str(corpus.out), str(tmp_path / "out"), codec=str(mine), progress=exchange)


def test_a_cache_of_another_codec_is_refused(cache: Cache, corpus: Generated, codec: str, other_codec: str) -> None:
    out = cache[0]
    before = hashes(out)
    first, second = load_codec(codec).digest, load_codec(other_codec).digest
    with pytest.raises(UserError, match=f"holds latents with codec {first}, wanted is {second}"):
        cache_latents(str(corpus.out), str(out), codec=other_codec, **WINDOWS)
    with pytest.raises(UserError, match=f"was made with codec {first[:16]}, here is {second[:16]}"):
        LatentClips(str(out)).check(load_codec(other_codec))
    LatentClips(str(out)).check(load_codec(codec))
    assert hashes(out) == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"frames": 1}, "frames 2, wanted is 1"),
        ({"stride": 1}, "stride 2, wanted is 1"),
        ({"step": 2}, "step 1, wanted is 2"),
    ],
)
def test_a_cache_of_other_windows_is_refused(
    changes: dict[str, int], said: str, cache: Cache, corpus: Generated, codec: str
) -> None:
    with pytest.raises(UserError, match=said):
        cache_latents(str(corpus.out), str(cache[0]), codec=codec, **{**WINDOWS, **changes})


def test_a_cache_of_another_corpus_or_format_is_refused(
    cache: Cache, corpus: Generated, codec: str, tmp_path: Path
) -> None:
    out = shutil.copytree(cache[0], tmp_path / "out")
    text = (out / "cache.json").read_text()
    mine = Clips(str(corpus.out), split=None)._reader().sources[0].corpus.config_hash
    (out / "cache.json").write_text(text.replace(mine, "f" * 64))
    with pytest.raises(UserError, match=f"config_hash {'f' * 64}, wanted is {mine}"):
        cache_latents(str(corpus.out), str(out), codec=codec, **WINDOWS)
    (out / "cache.json").write_text(text.replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(UserError, match="holds latents of format 2, this program reads 1"):
        cache_latents(str(corpus.out), str(out), codec=codec, **WINDOWS)


def test_a_place_that_is_taken(corpus: Generated, codec: str, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match=r"is not empty and holds no latents \(mine.txt\)"):
        cache_latents(str(corpus.out), str(tmp_path), codec=codec, **WINDOWS)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"frames": 4}, r"frames: 4 do not fit the codec, which takes 4k \+ 1; use 1 of them"),
        ({"frames": 9}, r"frames: 9 .* are asked for"),
        ({"frames": 0}, "frames: 0 given"),
        ({"stride": 0}, "stride: 0 given"),
        ({"step": 0}, "step: 0 given"),
        ({"workers": 0}, "workers: 0 given"),
        ({"split": "all"}, "split: 'all' is none"),
        ({"split": "validation"}, "split 'validation' holds none"),
        ({"device": "cuda"}, "device: cuda is not here"),
        ({"workers": 2, "address": "127.0.0.1:1"}, "cannot join a Ray cluster there"),
    ],
)
def test_settings_that_cannot_be(
    settings: dict[str, object], said: str, corpus: Generated, video_codec: str, tmp_path: Path
) -> None:
    if settings.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UserError, match=said):
        cache_latents(str(corpus.out), str(tmp_path / "out"), codec=video_codec, **settings)  # type: ignore[arg-type]


def test_a_damaged_clip_is_left_out_until_it_is_whole_again(
    cache: Cache, corpus: Generated, codec: str, tmp_path: Path
) -> None:
    damaged = shutil.copytree(corpus.out, tmp_path / "corpus")
    row = corpus.rows()[1]
    place = next(member for member in row["members"] if member["name"] == "v01.rgb.mp4")
    shard = damaged / "shards" / "tiny-000000.tar"
    whole = shard.read_bytes()
    data = bytearray(whole)
    data[place["offset"] : place["offset"] + place["size"]] = bytes(place["size"])
    shard.write_bytes(data)
    out = tmp_path / "out"
    report = cache_latents(str(damaged), str(out), codec=codec, **WINDOWS)
    assert (report.clips, report.written, len(report.left_out)) == (4, 2, 1)
    assert report.left_out[0].startswith(f"{row['key']}: {row['key']}.v01")
    assert "latents of 3 clips in 2 shards" in str(report)
    assert report.left_out[0] in str(report)
    latents = LatentClips(str(out))
    assert len(latents) == 3
    assert latents.left_out() == {row["key"]}
    with pytest.raises(UserError, match="holds no latents of it"):
        latents.find(row["key"])
    samples = webdataset.WebDataset(str(out / "shards" / "tiny-000000.tar"), shardshuffle=False)
    assert row["key"] not in [sample["__key__"] for sample in samples]  # nothing half of it

    shard.write_bytes(whole)
    assert cache_latents(str(damaged), str(out), codec=codec, **WINDOWS).written == 1
    assert hashes(out) == hashes(cache[0])


def test_a_corpus_of_which_nothing_can_be_read(corpus: Generated, codec: str, tmp_path: Path) -> None:
    damaged = shutil.copytree(corpus.out, tmp_path / "corpus")
    for shard in (damaged / "shards").iterdir():
        shard.write_bytes(bytes(shard.stat().st_size))
    with pytest.raises(UserError, match="no clip can be read, the first: tiny-"):
        cache_latents(str(damaged), str(tmp_path / "out"), codec=codec, **WINDOWS)


def test_a_cluster_may_have_what_this_machine_lacks(corpus: Generated, codec: str, tmp_path: Path) -> None:
    for device, said in (("cuda", "cannot join a Ray cluster"), ("cuda:1", "device: cuda:1 given; give cpu or cuda")):
        with pytest.raises(UserError, match=said):
            cache_latents(
                str(corpus.out), str(tmp_path / "out"), codec=codec, device=device, address="127.0.0.1:1", **WINDOWS
            )
