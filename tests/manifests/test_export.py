"""Subsets as corpora of their own."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import webdataset as wds
import wids
from PIL import Image

from manifests import export as module
from manifests.conventions import FORMAT_VERSION
from manifests.corpus import Corpus, check_output, read_corpus, write_corpus
from manifests.decode import decode
from manifests.errors import UserError
from manifests.export import export, format_export
from manifests.layout import part_path
from manifests.manifest import read_manifest, read_part, write_part
from manifests.merge import merge
from manifests.reader import CorpusReader
from manifests.reindex import reindex
from manifests.select import select
from manifests.status import format_status, status
from manifests.storage import Storage
from manifests.table import SCHEMA
from tests.conftest import Generated, data_hashes, start_generate
from tests.datagen.farm.toy import ToyConfig, make_reference

CONFIG = ToyConfig(clips=10, clips_per_shard=4)


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    out = tmp_path / "toy"
    write_corpus(
        Storage(str(out)), Corpus(FORMAT_VERSION, CONFIG.name, CONFIG.clips, 4, CONFIG.config_hash, {"seed": 7})
    )
    return make_reference(CONFIG, out, {5: "RuntimeError: bad"})


def samples(out: str) -> dict[str, dict[str, bytes]]:
    reader = CorpusReader(out)
    return {row["key"]: reader.members(row) for row in reader.rows() if row["status"] == "ok"}


@pytest.fixture(scope="module")
def exported(corpus: Generated, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of the real corpus, of different shards."""
    out = tmp_path_factory.mktemp("exported") / "out"
    report = export(str(corpus.out), str(out), where="index IN (1, 3)")
    assert (report.clips, report.shards, report.elsewhere) == (2, 2, 0)
    assert f"{out}/README.md" in format_export(report)
    return out


def test_clips_keep_their_keys_shards_and_bytes(corpus: Generated, exported: Path) -> None:
    whole = samples(str(corpus.out))
    assert samples(str(exported)) == {key: whole[key] for key in ("tiny-000000001", "tiny-000000003")}
    moved = ("offset", "size", "members")
    rows = [{name: row[name] for name in SCHEMA.names if name not in moved} for row in corpus.rows()]
    kept = [{name: row[name] for name in rows[0]} for row in read_manifest(str(exported)).to_pylist()]
    assert kept == [rows[1], rows[3]]
    assert sorted(os.listdir(exported)) == [
        "NOTICE", "README.md", "contact_sheet.png", "corpus.json", "manifest", "shards", "wids.json",
    ]  # fmt: skip


def test_unmodified_webdataset_reads_it(exported: Path, corpus: Generated) -> None:
    shards = [str(path) for path in sorted((exported / "shards").iterdir())]
    found = list(wds.WebDataset(shards, shardshuffle=False))
    assert [sample["__key__"] for sample in found] == ["tiny-000000001", "tiny-000000003"]
    depth = decode("v01.depth.mkv", found[1]["v01.depth.mkv"])
    assert (depth == corpus.sample(corpus.rows()[3])["v01.depth.mkv"]).all()


def test_unmodified_wids_reads_its_index(
    exported: Path, corpus: Generated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").mkdir()
    monkeypatch.setenv("WIDS_CACHE", str(tmp_path / "cache"))
    for index in (str(exported / "wids.json"), os.path.relpath(exported / "wids.json")):
        with_index = wids.ShardListDataset(index, transformations=[])
        assert len(with_index) == 2
        assert with_index.dataset_name == "tiny"
        sample = with_index[1]
        assert sample["__key__"] == "tiny-000000003"
        motion = decode("motion.npz", sample[".motion.npz"].read())
        assert (motion["expression"] == corpus.sample(corpus.rows()[3])["motion.npz"]["expression"]).all()
    for shard in json.loads((exported / "wids.json").read_text())["shardlist"]:
        assert (exported / shard["url"]).stat().st_size == shard["filesize"]


def test_pictures_of_any_size_are_not_drawn(corpus: Generated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manifests.contact_sheet.MOST_SHEET_BYTES", 1)
    export(str(corpus.out), str(tmp_path / "one"))
    with (
        Image.open(tmp_path / "one" / "contact_sheet.png") as one,
        Image.open(corpus.out / "contact_sheet.png") as all4,
    ):
        assert one.width == all4.width
        assert one.height < all4.height / 2
    monkeypatch.setattr("manifests.contact_sheet.MOST_PICTURE_BYTES", 1000)
    export(str(corpus.out), str(tmp_path / "none"))
    assert not (tmp_path / "none" / "contact_sheet.png").exists()
    assert "![" not in (tmp_path / "none" / "README.md").read_text()


def test_a_subset_says_that_it_is_one(corpus: Generated, exported: Path) -> None:
    there = read_corpus(Storage(str(exported)))
    keys = b"tiny-000000001\ntiny-000000003\n"
    assert there.subset is not None
    assert dataclasses.astuple(there.subset) == (2, 2, hashlib.sha256(keys).hexdigest(), "index IN (1, 3)")
    whole = read_corpus(Storage(str(corpus.out)))
    assert dataclasses.replace(there, subset=None) == whole
    assert "subset" not in json.loads((corpus.out / "corpus.json").read_text())
    found = status(str(exported))
    assert (found.state, found.done, found.clips, found.committed_shards, found.shards) == ("exported", 2, 2, 2, 2)
    assert "generate" not in format_status(found)


def test_generate_into_a_subset_is_refused(exported: Path) -> None:
    before = data_hashes(exported)
    process = start_generate(exported)
    _, errors = process.communicate()
    assert process.returncode == 2
    assert "holds a subset of tiny made by export" in errors
    assert data_hashes(exported) == before
    with pytest.raises(UserError, match="cannot grow"):
        check_output(Storage(str(exported)), read_corpus(Storage(str(exported))))


def test_a_lost_manifest_of_a_subset_comes_back(exported: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(exported, out)
    shutil.rmtree(out / "manifest")
    assert reindex(str(out)).problems == []
    assert data_hashes(out) == data_hashes(exported)


def test_everything_that_has_a_sample_or_a_list_of_it(toy: Path, tmp_path: Path) -> None:
    whole = samples(str(toy))
    report = export(str(toy), str(tmp_path / "all"))
    assert (report.clips, report.shards) == (9, 3)
    assert samples(str(tmp_path / "all")) == whole
    for ending in ("txt", "parquet"):
        listed = str(tmp_path / f"list.{ending}")
        select(str(toy), "index > 6", listed)
        out = str(tmp_path / ending)
        export(str(toy), out, listed=listed)
        assert list(samples(out)) == [CONFIG.layout.key(index) for index in (7, 8, 9)]
        assert sorted(os.listdir(f"{out}/shards")) == ["toy-000001.tar", "toy-000002.tar"]
    assert data_hashes(tmp_path / "txt") == data_hashes(tmp_path / "parquet")


def test_a_subset_of_a_subset_and_object_stores(toy: Path, tmp_path: Path) -> None:
    there = "memory://export/some"
    export(str(toy), there, where="index < 7")
    export(there, str(tmp_path / "fewer"), where="index IN (2, 6)")
    export(str(toy), str(tmp_path / "direct"), where="index IN (2, 6)")
    assert data_hashes(tmp_path / "fewer") == data_hashes(tmp_path / "direct")


def test_a_list_may_name_clips_of_other_corpora(toy: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("other-000000001\ntoy-000000001\nother-toy-000000002\n")
    report = export(str(toy), str(tmp_path / "out"), listed=str(listed))
    assert (report.clips, report.elsewhere) == (1, 2)
    assert "2 clips of the list that belong to other corpora" in format_export(report)


def test_interrupted_it_goes_on(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Storage.stream
    written = 0

    def counted(self: Storage, path: str) -> Any:
        nonlocal written
        written += 1
        if written == stop:
            raise KeyboardInterrupt
        return write(self, path)

    monkeypatch.setattr(Storage, "stream", counted)
    stop = 0
    export(str(toy), str(tmp_path / "whole"), where="index <> 2")
    for stop in range(1, written + 1):
        out = tmp_path / f"out-{stop}"
        written = 0
        with pytest.raises(KeyboardInterrupt):
            export(str(toy), str(out), where="index <> 2")
        if stop == 4:
            found = status(str(out))
            assert (found.state, found.done, found.clips) == ("half exported", 3, 8)
            assert "run the same `export` command again" in format_status(found)
        written = stop
        export(str(toy), str(out), where="index <> 2")
        assert data_hashes(out) == data_hashes(tmp_path / "whole")
    with pytest.raises(UserError, match="another corpus or another subset"):
        export(str(toy), str(out), where="index <> 3")


def test_what_can_not_be_exported_is_said(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").write_text("x")
    (tmp_path / "link").symlink_to(toy)
    merge([str(toy)], str(tmp_path / "view"))
    lists = {"none.txt": "", "other.txt": "other-000000001\n", "gone.txt": "toy-000000005\ntoy-000000001\n"}
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
    new = str(tmp_path / "new")
    for source, out, choice, message in (
        (toy, f"{toy}/inside", {}, "lie within each other"),
        (toy, toy, {}, "lie within each other"),
        (toy, tmp_path, {}, "lie within each other"),
        (toy, tmp_path / "link" / "x", {}, "lie within each other"),
        (toy, tmp_path / "full", {}, r"not empty \(precious\)"),
        (tmp_path / "view", new, {}, "is a view"),
        (tmp_path / "nothing", new, {}, "no corpus here"),
        (toy, new, {"where": "index > 99"}, "no clip for which"),
        (toy, new, {"where": "nothing = 1"}, "SQL: "),
        (toy, new, {"where": "true", "listed": "x"}, "give one of them"),
        (toy, new, {"listed": str(tmp_path / "none.txt")}, "holds no clip of"),
        (toy, new, {"listed": str(tmp_path / "other.txt")}, "holds no clip of"),
        (toy, new, {"listed": str(tmp_path / "gone.txt")}, "1 of its clips have no sample .* toy-000000005"),
    ):
        with pytest.raises(UserError, match=message):
            export(str(source), str(out), **choice)
    assert not Path(new).exists()
    assert os.listdir(tmp_path / "full") == ["precious"]


def test_a_flipped_byte_is_not_copied(toy: Path, tmp_path: Path) -> None:
    member = CorpusReader(str(toy)).row("toy-000000006")["members"][-1]
    with (toy / "shards" / "toy-000001.tar").open("r+b") as shard:
        shard.seek(member["offset"] + 700)
        byte = shard.read(1)[0]
        shard.seek(member["offset"] + 700)
        shard.write(bytes([byte ^ 1]))
    with pytest.raises(UserError, match=r"toy-000000006.*v00\.rgb\.mp4 are not those that were written"):
        export(str(toy), str(tmp_path / "out"))
    assert os.listdir(tmp_path / "out" / "shards") == ["toy-000000.tar"]
    export(str(toy), str(tmp_path / "sound"), where="index <> 6")
    (toy / "shards" / "toy-000001.tar").write_bytes(b"")
    with pytest.raises(UserError, match="cut short"):
        export(str(toy), str(tmp_path / "other"))
    (toy / "shards" / "toy-000001.tar").unlink()
    with pytest.raises(UserError, match=r"toy-000001\.tar is missing"):
        export(str(toy), str(tmp_path / "third"))


def _member(name: str, offset: int, size: int) -> dict[str, Any]:
    return {"name": name, "offset": offset, "size": size, "sha256": "0" * 64}


@pytest.mark.parametrize(
    "change",
    [
        {"key": "toy-000000008"},
        {"key": "../../toy-000000009"},
        {"key": None},
        {"shard": 0},
        {"index": 8},
        {"index": 10**12},
        {"index": None},
        {"offset": None},
        {"offset": 0},
        {"offset": -512},
        {"offset": 2**63 - 1},
        {"size": 2**63 - 1},
        {"size": None},
        {"members": None},
        {"members": []},
        {"members": [None]},
        {"members": [_member("../../x", 512, 1)]},
        {"members": [_member("a/b", 512, 1)]},
        {"members": [_member("x", 512, 2**62)]},
        {"members": [_member("x", 512, -1)]},
        {"members": [_member("x", 512, 0), _member("x", 1024, 0)]},
        {"members": [_member("x", 0, 100)] * 1000},
    ],
)
def test_rows_of_a_stranger_copy_nothing(toy: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    """Neither out of place, nor twice, nor beyond the shard's end; members are placed behind the row's offset."""
    storage = Storage(str(toy))
    rows = read_part(storage, 2)
    start = rows[1]["offset"]
    members = [
        member and {**member, "offset": member["offset"] + start} for member in change.get("members") or []
    ] or change.get("members", rows[1]["members"])
    write_part(storage, 2, [rows[0], {**rows[1], **change, "members": members}])
    with pytest.raises(UserError) as caught:
        export(str(toy), str(tmp_path / "out"))
    assert str(caught.value).isprintable()
    assert set(os.listdir(tmp_path)) <= {"toy", "out"}
    if (tmp_path / "out").exists():
        assert sorted(os.listdir(tmp_path / "out" / "shards")) == ["toy-000000.tar", "toy-000001.tar"]


def test_memory_holds_few_rows(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(str(toy), str(tmp_path / "many"))
    monkeypatch.setattr(module, "_ROWS_HELD", 1)
    monkeypatch.setattr("manifests.rows.ROWS", 1)
    export(str(toy), str(tmp_path / "one"))
    assert data_hashes(tmp_path / "one") == data_hashes(tmp_path / "many")
    assert not (tmp_path / "one" / part_path(0)).exists()


@pytest.mark.parametrize(
    "subset", [3, [], {}, {"clips": 1}, {"clips": "1", "shards": 1, "keys_sha256": "", "where": ""}]
)
def test_a_damaged_subset_is_said(toy: Path, subset: object) -> None:
    text = json.loads((toy / "corpus.json").read_text())
    (toy / "corpus.json").write_text(json.dumps({**text, "subset": subset}))
    with pytest.raises(UserError, match="damaged"):
        read_corpus(Storage(str(toy)))
