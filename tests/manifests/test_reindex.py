"""Manifests made again from shards."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from factorportrait import main
from manifests import reindex as module
from manifests import spool, tar
from manifests.conventions import FORMAT_VERSION
from manifests.corpus import Corpus, write_corpus
from manifests.errors import UserError
from manifests.manifest import read_manifest, write_part
from manifests.reader import CorpusReader, write_view
from manifests.reindex import LOST, format_reindex, reindex
from manifests.storage import Storage
from tests.conftest import Generated, data_hashes
from tests.datagen.farm.toy import ToyConfig, clip_members, make_reference

CONFIG = ToyConfig(clips=10, clips_per_shard=4)
"""Three shards of which the first two share a file of the manifest."""
COMPACTED, LAST_PART = "manifest/clips-000000-000001.parquet", "manifest/part-000002.parquet"


def make(folder: Path, given_up: dict[int, str] | None = None) -> Path:
    corpus = Corpus(FORMAT_VERSION, CONFIG.name, CONFIG.clips, CONFIG.clips_per_shard, CONFIG.config_hash, {})
    write_corpus(Storage(str(folder)), corpus)
    return make_reference(CONFIG, folder, given_up)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return make(tmp_path / "out")


def test_a_real_corpus_gets_back_its_manifest_byte_for_byte(corpus: Generated, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(corpus.out, copy)
    shutil.rmtree(copy / "manifest")
    report = reindex(str(copy))
    assert (report.kept, report.damaged, report.clips, report.lost, report.problems) == (0, 0, 4, 0, [])
    assert data_hashes(copy) == data_hashes(corpus.out)
    again = reindex(str(copy))
    assert (again.kept, again.shards) == (2, [])


@pytest.mark.parametrize("lost", [(COMPACTED,), (LAST_PART,), (COMPACTED, LAST_PART)])
def test_lost_files_come_back_as_they_were(out: Path, lost: tuple[str, ...]) -> None:
    before = data_hashes(out)
    for path in lost:
        (out / path).unlink()
    report = reindex(str(out))
    assert report.shards == [0, 1] * (COMPACTED in lost) + [2] * (LAST_PART in lost)
    assert data_hashes(out) == before


def test_a_corpus_may_lie_on_an_object_store(out: Path) -> None:
    there = Storage("memory://reindex/out")
    for path in data_hashes(out):
        there.write(path, (out / path).read_bytes())
    there.delete_folder("manifest")
    reindex(there.url)
    assert there.read(COMPACTED) == (out / COMPACTED).read_bytes()


def test_damaged_files_are_replaced(out: Path) -> None:
    before = data_hashes(out)
    chance = random.Random(1)
    damaged = 0
    for path in (COMPACTED, LAST_PART):
        data = (out / path).read_bytes()
        for _ in range(12):
            flipped = bytearray(data)
            flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            for bad in (bytes(flipped), data[: chance.randrange(len(data))]):
                (out / path).write_bytes(bad)
                try:
                    read_manifest(str(out))
                except UserError:
                    damaged += 1
                    assert reindex(str(out)).damaged == 1
                    assert data_hashes(out) == before
    assert damaged > 24


def test_a_damaged_file_that_nothing_replaces_is_set_aside(out: Path) -> None:
    """Whatever is wrong with it, its rows may be the only ones: its shard is of no use here."""
    damaged = (out / COMPACTED).read_bytes()[:-1]
    (out / COMPACTED).write_bytes(damaged)
    (out / "shards" / "toy-000001.tar").write_bytes(b"no tar")
    report = reindex(str(out))
    assert report.shards == [0]
    assert report.set_aside == [f"{COMPACTED}.damaged"]
    assert (out / f"{COMPACTED}.damaged").read_bytes() == damaged
    assert [row["index"] for row in read_manifest(str(out)).to_pylist()] == [0, 1, 2, 3, 8, 9]
    assert f"kept as {COMPACTED}.damaged" in format_reindex(report)
    assert main(["reindex", str(out)]) == 1  # the shard is still of no use


def test_rows_in_the_wrong_place_are_damage(out: Path) -> None:
    before = data_hashes(out)
    rows = read_manifest(str(out)).to_pylist()[8:]
    storage = Storage(str(out))
    for change in (
        [rows[0]],
        [rows[1], rows[0]],
        [rows[0], rows[0]],
        [rows[0], {**rows[1], "key": "toy-000000007"}],
        [rows[0], {**rows[1], "key": None}],
        [rows[0], {**rows[1], "shard": 1}],
        [rows[0], {**rows[1], "status": "fine"}],
        [rows[0], {**rows[1], "offset": -512}],
        [rows[0], {**rows[1], "index": 10}],
        [],
    ):
        write_part(storage, 2, change)
        assert reindex(str(out)).shards == [2]
        assert data_hashes(out) == before


def test_a_clip_that_was_given_up_is_not_forgotten(tmp_path: Path) -> None:
    out = make(tmp_path / "out", {5: "RuntimeError: bad"})
    assert reindex(str(out)).lost == 0
    before = read_manifest(str(out)).to_pylist()
    shutil.rmtree(out / "manifest")
    report = reindex(str(out))
    assert (report.clips, report.lost) == (9, 1)
    assert "1 clips of them have no sample" in format_reindex(report)
    before[5]["error"] = LOST
    assert read_manifest(str(out)).to_pylist() == before


def test_a_shard_that_is_cut_short_is_reported_and_left_alone(out: Path) -> None:
    shard = out / "shards" / "toy-000002.tar"
    data = shard.read_bytes()
    (out / LAST_PART).unlink()
    for length in (0, 1, 511, len(data) // 2, len(data) - 1024, len(data) - 1):
        shard.write_bytes(data[:length])
        report = reindex(str(out))
        assert report.shards == []
        assert [name for name, _ in report.problems] == ["toy-000002.tar"]
        assert sorted(os.listdir(out / "manifest")) == ["clips-000000-000001.parquet"]
        assert shard.read_bytes() == data[:length]


def test_a_shard_in_the_making_is_left_to_generate(out: Path) -> None:
    (out / LAST_PART).unlink()
    for clip in (8, 9):
        spool.write_clip(
            Storage(str(out)), CONFIG.layout, clip, spool.pack(CONFIG.layout, clip, clip_members(CONFIG, clip))
        )
    report = reindex(str(out))
    assert report.shards == []
    assert "in the making" in format_reindex(report)


def test_a_missing_shard_and_a_strange_file_are_reported(out: Path) -> None:
    (out / COMPACTED).write_bytes(b"")
    (out / "shards" / "toy-000001.tar").unlink()
    for name in ("toy-000003.tar", "toy-1.tar", "other-000000.tar", "notes.txt"):
        (out / "shards" / name).write_bytes(b"")
    report = reindex(str(out))
    assert report.shards == [0]
    assert dict(report.problems) == {
        "notes.txt": "no shard of this corpus",
        "other-000000.tar": "no shard of this corpus",
        "toy-000003.tar": "no shard of this corpus",
        "toy-1.tar": "no shard of this corpus",
        "toy-000001.tar": "missing, and its rows are lost as well; run generate",
    }
    assert [row["index"] for row in read_manifest(str(out)).to_pylist()] == [0, 1, 2, 3, 8, 9]


def test_a_manifest_of_more_shards_than_the_corpus_has_is_left_alone(out: Path) -> None:
    shutil.copy(out / LAST_PART, out / "manifest" / "part-000007.parquet")
    before = data_hashes(out)
    assert "part-000007.parquet" in dict(reindex(str(out)).problems)
    assert data_hashes(out) == before


def _entry(name: str, data: bytes) -> bytes:
    return tar.header(name, len(data)) + data + bytes(tar.padding(len(data)))


def _foreign(name: str, **fields: object) -> bytes:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.USTAR_FORMAT)


def _spec(clip: int, **fields: object) -> bytes:
    spec = json.loads(next(member.data for member in clip_members(CONFIG, clip) if member.name == "spec.json"))
    return json.dumps({**spec, **fields}).encode()


class _Bomb:
    """Unpickled, it makes a file."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, ("pwned",)


@pytest.mark.parametrize(
    "content",
    [
        _foreign("../../toy-000000008.spec.json"),
        _foreign("/etc/passwd"),
        _foreign("toy-000000008.spec.json", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        _foreign("toy-000000008.spec.json", type=tarfile.LNKTYPE, linkname="toy-000000009.spec.json"),
        _foreign("toy-000000008.spec.json", size=1 << 32),
        _foreign("toy-000000008.spec.json", type=tarfile.GNUTYPE_SPARSE),
        _entry("toy-000000008.spec.json", pickle.dumps(_Bomb())),
        _entry("toy-000000008.spec.json", b"[" * 100_000),
        _entry("toy-000000008.spec.json", b'{"seed": ' + b"9" * 10_000 + b"}"),
        _entry("toy-000000008.spec.json", b" " * (2 << 20) + _spec(8)),
        _entry("toy-000000008.spec.json", b"{}"),
        _entry("toy-000000008.spec.json", b"[]"),
        _entry("toy-000000008.spec.json", _spec(9)),
        _entry("toy-000000008.spec.json", _spec(8, corpus="other")),
        _entry("toy-000000008.spec.json", _spec(8, config_hash="0" * 64)),
        _entry("toy-000000008.spec.json", _spec(8, frames="many")),
        _entry("toy-000000008.spec.json", _spec(8, frames=1 << 40)),
        _entry("toy-000000008.spec.json", _spec(8, template="\ud800")),
        _entry("toy-000000008.motion.npz", b""),
        _entry("toy-000000000.spec.json", _spec(0)),
        _entry("toy-8.spec.json", _spec(8)),
        _entry("toy-0000000008.spec.json", _spec(8)),
        _entry("toy-000000008", b""),
        _entry("toy-000000009.spec.json", _spec(9)) + _entry("toy-000000008.spec.json", _spec(8)),
        _entry("toy-000000008.spec.json", _spec(8)) * 2,
        b"\xff" * 512,
    ],
)
def test_a_hostile_shard_is_not_indexed(
    out: Path, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (out / LAST_PART).unlink()
    (out / "shards" / "toy-000002.tar").write_bytes(content + tar.END)
    report = reindex(str(out))
    assert report.shards == []
    assert [name for name, _ in report.problems] == ["toy-000002.tar"]
    assert all(line.isprintable() for line in format_reindex(report).split("\n"))
    assert sorted(os.listdir(out / "manifest")) == ["clips-000000-000001.parquet"]
    assert os.listdir(tmp_path) == ["out"]


def test_declared_sizes_take_no_memory(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (out / LAST_PART).unlink()
    monkeypatch.setattr(module, "MOST_ENTRIES", 3)
    assert "more than 3 entries" in reindex(str(out)).problems[0][1]
    written = json.loads((out / "corpus.json").read_text())
    (out / "corpus.json").write_text(json.dumps({**written, "clips": 10**9, "clips_per_shard": 10**9}))
    shutil.rmtree(out / "manifest")
    report = reindex(str(out))
    assert report.shards == []
    assert "more than 100000 clips" in dict(report.problems)["toy-000000.tar"]


def test_what_can_not_be_reindexed_is_said(out: Path, tmp_path: Path) -> None:
    view = Storage(str(tmp_path / "view"))
    write_view(view, [str(out)])
    with pytest.raises(UserError, match="is a view"):
        reindex(view.url)
    with pytest.raises(UserError, match="no corpus here"):
        reindex(str(tmp_path / "nothing"))
    assert len(list(CorpusReader(view.url).rows(["key"]))) == 10


def test_a_shard_is_only_read(out: Path) -> None:
    shutil.rmtree(out / "manifest")
    for shard in (out / "shards").iterdir():
        shard.chmod(0o444)
    with tarfile.open(fileobj=io.BytesIO((out / "shards" / "toy-000000.tar").read_bytes())) as archive:
        names = archive.getnames()
    reindex(str(out))
    row = read_manifest(str(out)).to_pylist()[0]
    assert [f"{row['key']}.{member['name']}" for member in row["members"]] == names[: len(row["members"])]
