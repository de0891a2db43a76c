from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import pytest

from manifests import spool, tar
from manifests.clip import Member
from manifests.errors import UserError
from manifests.layout import part_path, spool_folder
from manifests.manifest import committed_shards, compact, iter_manifest, manifest_files, read_manifest
from manifests.shard import DamagedFragmentError, assemble
from manifests.storage import Storage
from manifests.table import SCHEMA, write_rows
from tests.datagen.farm.toy import ToyConfig, clip_members, data_files, make_reference
from tests.manifests.crashes import crash_everywhere

CONFIG = ToyConfig(clips=10, clips_per_shard=4)
LAYOUT = CONFIG.layout


def fill_spool(storage: Storage, shard: int, config: ToyConfig = CONFIG) -> None:
    for clip in config.layout.clips_of(shard):
        pieces = spool.pack(config.layout, clip, clip_members(config, clip))
        spool.write_clip(storage, config.layout, clip, pieces)


def test_rows_point_at_the_bytes(tmp_path: Path) -> None:
    out = make_reference(CONFIG, tmp_path / "out", {6: "RuntimeError: bad"})
    rows = read_manifest(str(out)).to_pylist()
    assert [row["index"] for row in rows] == list(range(10))
    for row in rows:
        if row["index"] == 6:
            assert (row["status"], row["error"], row["members"]) == ("quarantined", "RuntimeError: bad", None)
            assert (row["key"], row["shard"], row["config_hash"]) == ("toy-000000006", 1, CONFIG.config_hash)
            continue
        shard = (out / LAYOUT.shard_path(row["shard"])).read_bytes()
        members = clip_members(CONFIG, row["index"])
        for stored, member in zip(row["members"], members, strict=True):
            assert stored["name"] == member.name
            assert shard[stored["offset"] :][: stored["size"]] == member.data
            assert stored["sha256"] == hashlib.sha256(member.data).hexdigest()
        sample = shard[row["offset"] :][: row["size"]] + tar.END
        names = [entry.name for entry in tar.entries(io.BytesIO(sample), len(sample))]
        assert names == [f"{row['key']}.{member.name}" for member in members]
        spec = json.loads(members[0].data)
        assert (row["status"], row["error"]) == ("ok", None)
        assert (row["identity"], row["split"], row["recipe"]) == (
            spec["identity"],
            spec["split"],
            spec["recipe"],
        )
        assert (row["head"], row["head_sha256"]) == (spec["head"]["name"], spec["head"]["sha256"])
        assert {name: row[name] for name in spec["summary"]} == spec["summary"]


def test_a_shard_is_its_clips_and_nothing_else(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    fill_spool(storage, 0)
    fragments = [storage.read(LAYOUT.fragment_path(clip)) for clip in range(4)]
    assemble(storage, LAYOUT, 0, CONFIG.config_hash)
    assert storage.read(LAYOUT.shard_path(0)) == b"".join(part[: -len(tar.END)] for part in fragments) + tar.END
    assert not storage.exists(spool_folder(0))
    assert list(committed_shards(storage, LAYOUT)) == [1, 0, 0]


@pytest.mark.parametrize(
    "members",
    [
        [Member("motion.npz", b"")],
        [Member("spec.json", b"{}")],
        [Member("spec.json", b"no json")],
        [*clip_members(CONFIG, 0), Member("motion.npz", b"")],
        [*clip_members(CONFIG, 0), Member("../x", b"")],
    ],
)
def test_a_sample_without_sense_is_not_spooled(members: list[Member]) -> None:
    with pytest.raises(ValueError, match=r"spec\.json|name|Expecting"):
        spool.pack(LAYOUT, 0, members)


@pytest.mark.parametrize("damage", [b"", b"garbage" * 100])
def test_a_damaged_fragment_is_thrown_out_to_be_made_again(tmp_path: Path, damage: bytes) -> None:
    storage = Storage(str(tmp_path))
    fill_spool(storage, 1)
    storage.write(LAYOUT.fragment_path(5), damage)
    with pytest.raises(DamagedFragmentError) as caught:
        assemble(storage, LAYOUT, 1, CONFIG.config_hash)
    assert caught.value.clip == 5
    assert spool.read_spool(storage, LAYOUT, 1).clips == {4, 6, 7}
    assert not storage.exists(LAYOUT.shard_path(1))
    assert not storage.exists(part_path(1))


def test_another_clips_bytes_under_this_clips_name_are_damage(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    fill_spool(storage, 1)
    storage.write(LAYOUT.fragment_path(5), storage.read(LAYOUT.fragment_path(6)))
    with pytest.raises(DamagedFragmentError):
        assemble(storage, LAYOUT, 1, CONFIG.config_hash)


def test_a_spool_that_a_quicker_writer_cleared_is_fine(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    fill_spool(storage, 0)
    assemble(storage, LAYOUT, 0, CONFIG.config_hash)
    before = data_files(tmp_path)
    assemble(storage, LAYOUT, 0, CONFIG.config_hash)
    assert data_files(tmp_path) == before


def test_compaction_keeps_the_rows_and_a_shard_that_may_grow(tmp_path: Path) -> None:
    make_reference(CONFIG, tmp_path)
    storage = Storage(str(tmp_path))
    assert storage.names("manifest") == ["clips-000000-000001.parquet", "part-000002.parquet"]
    everything = read_manifest(storage)
    assert everything["index"].to_pylist() == list(range(10))
    assert read_manifest(storage, ["shard", "key"]).column_names == ["shard", "key"]
    before = data_files(tmp_path)
    compact(storage, LAYOUT)
    assert data_files(tmp_path) == before


def test_parts_beside_the_file_that_holds_them_are_not_read_twice(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    for shard in range(3):
        fill_spool(storage, shard)
        assemble(storage, LAYOUT, shard, CONFIG.config_hash)
    parts = {name: storage.read(f"manifest/{name}") for name in storage.names("manifest")}
    compact(storage, LAYOUT)
    for name, data in parts.items():
        storage.write(f"manifest/{name}", data)
    assert [item.path.split("/")[1] for item in manifest_files(storage)] == [
        "clips-000000-000001.parquet",
        "part-000002.parquet",
    ]
    assert read_manifest(storage)["index"].to_pylist() == list(range(10))


def test_a_corpus_in_an_object_store_has_the_same_bytes(tmp_path: Path) -> None:
    out = make_reference(CONFIG, tmp_path / "out")
    remote = Storage("memory://test-shard/out")
    for shard in range(3):
        fill_spool(remote, shard)
        assemble(remote, LAYOUT, shard, CONFIG.config_hash)
    compact(remote, LAYOUT)
    for path in data_files(out):
        assert remote.read(path) == (out / path).read_bytes()
    assert remote.names("spool") == []
    assert read_manifest("memory://test-shard/out") == read_manifest(str(out))


def assemble_all(storage: Storage) -> None:
    for shard in range(3):
        if not committed_shards(storage, LAYOUT)[shard]:
            assemble(storage, LAYOUT, shard, CONFIG.config_hash)
    compact(storage, LAYOUT)


def test_a_crash_at_any_step_of_commit_and_compaction_is_made_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = data_files(make_reference(CONFIG, tmp_path / "reference"))

    def prepare(storage: Storage) -> None:
        for shard in range(3):
            fill_spool(storage, shard)

    steps = crash_everywhere(tmp_path, monkeypatch, prepare, assemble_all, reference)
    assert steps == 3 * 3 + 3  # tar, part and spool of each shard; the compacted file, two parts


def test_a_small_file_of_endless_text_is_refused(tmp_path: Path) -> None:
    """A dictionary lets a file repeat a text as often as it likes."""
    row = dict.fromkeys(SCHEMA.names) | {"index": 0, "key": "x" * 60_000, "shard": 0, "status": "ok"}
    storage = Storage(str(tmp_path))
    storage.write("manifest/part-000000.parquet", write_rows([row] * 5_000))
    assert storage.size("manifest/part-000000.parquet") < 100_000
    with pytest.raises(UserError, match=r"part-000000\.parquet is damaged \(300000000 bytes of text"):
        list(iter_manifest(storage))
