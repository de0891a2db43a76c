"""Dataset cards and notices."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from manifests import card as module
from manifests.card import card, notice
from manifests.conventions import FORMAT_VERSION
from manifests.corpus import Corpus, write_corpus
from manifests.licences import Asset, assets, corpus_assets
from manifests.manifest import write_part
from manifests.reader import CorpusReader
from manifests.storage import Storage
from tests.conftest import Generated
from tests.datagen.farm.toy import ToyConfig, make_reference
from tests.manifests.rows import clip

CONFIG = ToyConfig(clips=6, clips_per_shard=3)


def make(out: Path, change: dict[str, Any] | None = None, **fields: Any) -> CorpusReader:
    """Real shards; rows with some columns changed."""
    storage = Storage(str(out))
    given = {"config": {}, "software": {"bpy": "4.5"}, **fields}
    write_corpus(
        storage, Corpus(FORMAT_VERSION, "toy", CONFIG.clips, CONFIG.clips_per_shard, CONFIG.config_hash, **given)
    )
    make_reference(CONFIG, out)
    if change is not None:
        rows = list(CorpusReader(storage).rows())
        storage.delete_folder("manifest")
        for shard in range(2):
            write_part(storage, shard, [{**row, **change} for row in rows if row["shard"] == shard])
    return CorpusReader(storage)


def header(text: str) -> dict[str, Any]:
    """The YAML between the first two lines of dashes, as the hub reads it."""
    assert text.startswith("---\n")
    fields: dict[str, Any] = yaml.safe_load(text[4 : text.index("\n---\n")])
    return fields


def test_the_card_of_a_real_corpus(corpus: Generated) -> None:
    reader = CorpusReader(str(corpus.out))
    text = card(reader, "contact_sheet.png")
    fields = header(text)
    assert fields["pretty_name"] == "tiny"
    assert (fields["license"], fields["license_name"], fields["license_link"]) == ("other", "see-notice", "NOTICE")
    assert fields["size_categories"] == ["n<1K"]
    assert {"image-to-video", "depth-estimation", "image-segmentation"} <= set(fields["task_categories"])
    assert "webdataset" in fields["tags"]
    assert [config["config_name"] for config in fields["configs"]] == ["clips", "manifest"]
    rows = corpus.rows()
    for column in ("split", "recipe", "template"):
        values = [row[column] for row in rows]
        for value in set(values):
            identities = len({row["identity"] for row in rows if row[column] == value})
            shown = value.replace("_", "\\_")
            assert f"| {shown} | {values.count(value)} | {identities} |" in text
    head = rows[0]["head_sha256"]
    for fact in (
        "4 clips of synthetic people",
        f"| head | open | {head} | CC0-1.0 |",
        f"SHA-256 {rows[0]['config_hash']}",
        "| 40, 3 s of video, all views counted |",
        "| resolution | 80 × 64 pixels |",
        "| seed | 5 |",
        "non-commercial scientific research",
        "![Some clips](contact_sheet.png)",
        "vNN.flow.mkv",
    ):
        assert fact in text
    assert card(reader, "contact_sheet.png") == text


def test_people_are_counted_by_what_they_were_drawn_as(tmp_path: Path) -> None:
    reader = make(tmp_path / "out")
    people = [
        (20.0, 0.1, "asian", 0.0),
        (34.9, 0.3, "asian", 0.25),
        (35.0, 0.5, "african", 0.6),
        (79.9, 1.0, "european", 1.0),
        (80.0, 0.7, "european", 0.9),
        (None, None, None, None),
    ]
    rows = [
        {**row, "age_years": age, "gender": gender, "ancestry": ancestry, "melanin": melanin}
        for row, (age, gender, ancestry, melanin) in zip(reader.rows(), people, strict=True)
    ]
    Storage(reader.url).delete_folder("manifest")
    for shard in range(2):
        write_part(Storage(reader.url), shard, [row for row in rows if row["shard"] == shard])
    section = card(reader).partition("## People\n")[2].partition("\n## ")[0]
    counts = dict(re.findall(r"^\| ([^|]*[^-| ]) \| (\d+) \|", section, re.M))
    assert counts.pop("not known") == "1"
    assert counts == {
        "20 to 35 years": "2", "35 to 55 years": "1", "55 to 80 years": "1", "beyond": "1",
        "feminine": "1", "between": "2", "masculine": "2",
        "asian": "2", "african": "1", "european": "2",
        "0 to 0.25": "1", "0.25 to 0.5": "1", "0.5 to 0.75": "1", "0.75 to 1": "2",
    }  # fmt: skip


def test_labels_that_are_not_there_are_not_promised(tmp_path: Path) -> None:
    reader = make(tmp_path / "out", {"labels": ["depth"]})
    text = card(reader)
    assert "vNN.depth.mkv" in text
    assert "vNN.flow.mkv" not in text
    assert "image-segmentation" not in header(text)["task_categories"]
    assert "![" not in text


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (["train"] * 6, [{"split": "train", "path": "shards/*.tar"}]),
        (["train", "test"] * 3, [{"split": "mixed", "path": "shards/*.tar"}]),
        (
            ["test"] * 3 + ["train"] * 3,
            [
                {"split": "train", "path": ["shards/toy-000001.tar"]},
                {"split": "test", "path": ["shards/toy-000000.tar"]},
            ],
        ),
        (["evil: [x"] * 6, [{"split": "mixed", "path": "shards/*.tar"}]),
        (["train"] * 3 + ["all"] * 3, [{"split": "mixed", "path": "shards/*.tar"}]),
    ],
)
def test_splits_are_told_apart_where_shards_are(tmp_path: Path, splits: list[str], expected: list[Any]) -> None:
    reader = make(tmp_path / "out")
    rows = list(reader.rows())
    Storage(reader.url).delete_folder("manifest")
    for shard in range(2):
        changed = [{**row, "split": split} for row, split in zip(rows, splits, strict=True) if row["shard"] == shard]
        write_part(Storage(reader.url), shard, changed)
    assert header(card(reader))["configs"][0]["data_files"] == expected


def test_many_shards_are_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = make(tmp_path / "out", None)
    rows = [{**row, "split": "test" if row["shard"] else "train"} for row in reader.rows()]
    Storage(reader.url).delete_folder("manifest")
    for shard in range(2):
        write_part(Storage(reader.url), shard, [row for row in rows if row["shard"] == shard])
    monkeypatch.setattr(module, "MOST_LISTED_SHARDS", 1)
    assert header(card(reader))["configs"][0]["data_files"] == [{"split": "mixed", "path": "shards/*.tar"}]


EVIL = "x\n---\nlicense: mit\n<script>alert(1)</script> | `rm` [a](b) ![c](d) \x1b[2J"


def test_texts_of_a_stranger_stay_texts(tmp_path: Path) -> None:
    change = {"template": EVIL, "recipe": EVIL, "split": EVIL, "head": EVIL, "fps": 0.0, "width": -(1 << 31)}
    world = {"templates": {"t": {"look": {"world": {"maps": [EVIL, "studio.exr"]}}}, "u": {"look": []}, "v": 3}}
    reader = make(tmp_path / "out", change, software={EVIL: EVIL}, config=world)
    text = card(reader)
    assert header(text)["license"] == "other"
    assert text.count("\n---\n") == 1
    assert "<script" not in text
    assert "\x1b" not in text
    assert "[a](b)" not in text
    assert text.count("![") == 0
    for line in text.split("\n"):
        if line.startswith("|") and "script" in line:
            assert "\\|" in line
            assert "\\`rm\\`" in line
    assert "\n---\n" not in notice(reader)
    assert "\x1b" not in notice(reader)


def test_assets_are_what_the_corpus_says(tmp_path: Path) -> None:
    maps = {"templates": {"t": {"look": {"world": {"maps": ["studio.exr", "mine.exr"]}}}}}
    reader = make(tmp_path / "out", software={"bpy": "4.5", "other": "1"}, config=maps)
    found = assets(reader)
    assert [(asset.kind, asset.name, asset.version, asset.licence) for asset in found] == [
        ("head", "open", "0" * 64, "CC0"),
        ("world map", "mine.exr", "", "unknown"),
        ("world map", "studio.exr", "", "CC0-1.0"),
        ("software", "bpy", "4.5", "GPL-3.0-or-later"),
        ("software", "other", "1", "unknown"),
    ]
    assert all(isinstance(asset, Asset) for asset in found)
    assert f"head open {'0' * 64}\n    CC0 (" in notice(reader)


def test_users_folders_are_told_without_their_paths() -> None:
    folder = {"path": "/home/somebody/pictures", "files": {"a.png": "0" * 64, "b.png": "1" * 64}}
    look = {"world": {"maps": [], "folder": folder}, "background_folder": {"path": "x", "files": {"a.png": "0" * 64}}}
    config = {"templates": {"mine": {"look": look}, "odd": 3}, "appearance": {"albedo_folder": folder}}
    found = [(asset.kind, asset.name, asset.licence) for asset in corpus_assets(Corpus(1, "toy", 4, 4, "0", config))]
    assert found == [
        ("user's files", "template mine: world maps, 2 files", "user-supplied"),
        ("user's files", "template mine: backgrounds, 1 file", "user-supplied"),
        ("user's files", "skin textures, 2 files", "user-supplied"),
    ]


def test_a_head_whose_clip_says_otherwise_has_no_known_licence(tmp_path: Path) -> None:
    reader = make(tmp_path / "out", {"head_sha256": "1" * 64})
    assert [asset.licence for asset in assets(reader) if asset.kind == "head"] == ["unknown"]


def test_a_corpus_without_clips_has_a_card(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path / "out"))
    corpus = Corpus(FORMAT_VERSION, "toy", 4, 4, "0", {})
    write_corpus(storage, corpus)
    write_part(storage, 0, [clip(corpus.layout, 0, status="quarantined", members=None)])
    assert "0 clips of synthetic people" in card(CorpusReader(storage))
