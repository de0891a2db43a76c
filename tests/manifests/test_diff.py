"""What two corpora do not share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from manifests import diff as module
from manifests.diff import LISTED, diff, format_diff
from manifests.errors import UserError
from manifests.layout import CORPUS_FILE, Layout
from manifests.manifest import write_part
from manifests.reader import write_view
from manifests.storage import Storage
from tests.manifests.rows import CLIPS_PER_SHARD, clip, given_up, write_rows_corpus

LAYOUT = Layout("toy", 10, CLIPS_PER_SHARD)
NONE = {
    "only in A": 0,
    "only in B": 0,
    "given up in A alone": 0,
    "given up in B alone": 0,
    "with other members": 0,
}


@pytest.fixture
def out(tmp_path: Path) -> str:
    return write_rows_corpus(str(tmp_path / "out")).url


def test_a_corpus_and_its_copy_are_equal(out: str) -> None:
    found = diff(out, write_rows_corpus("memory://diff/copy").url)
    assert found.equal
    assert (found.fields, found.counts) == ({}, NONE)
    assert format_diff(found).splitlines()[2:] == ["equal"]


def test_where_members_lie_and_in_which_order_does_not_matter(out: str, tmp_path: Path) -> None:
    row = clip(LAYOUT, 3)
    row["members"] = [{**member, "offset": 4096} for member in reversed(row["members"])]
    other = write_rows_corpus(str(tmp_path / "other"), change={3: {**row, "offset": 9, "size": 9}})
    assert diff(out, other.url).equal


def _members(index: int, **changes: Any) -> list[dict[str, Any]]:
    first, second = clip(LAYOUT, index)["members"]
    return [first, {**second, **changes}]


@pytest.mark.parametrize("window", [1, 3, 1000])
def test_each_kind_of_difference(window: int, out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WINDOW", window)
    change = {
        1: clip(LAYOUT, 1, members=_members(1, sha256="f" * 64)),
        2: clip(LAYOUT, 2, members=_members(2, name="c")),
        4: clip(LAYOUT, 4, members=clip(LAYOUT, 4)["members"][:1]),
        6: given_up(LAYOUT, 6),
        9: clip(LAYOUT, 8),
    }
    other = write_rows_corpus(str(tmp_path / "other"), clips=12, change=change).url
    found = diff(out, other)
    assert found.fields == {"clips": ("10", "12")}
    expected = {
        "only in A": (LAYOUT.key(9),),
        "only in B": (LAYOUT.key(10), LAYOUT.key(11)),
        "given up in A alone": (),
        "given up in B alone": (LAYOUT.key(6),),
        "with other members": tuple(LAYOUT.key(index) for index in (1, 2, 4, 8)),
    }
    assert found.clips == expected
    assert found.counts == {kind: len(keys) for kind, keys in expected.items()}
    assert not found.equal
    assert diff(other, out).clips["given up in A alone"] == (LAYOUT.key(6),)


def test_configuration_and_software(out: str, tmp_path: Path) -> None:
    other = write_rows_corpus(
        str(tmp_path / "other"),
        config={"seed": 2, "camera": {"yaw_deg": [-90, 90], "pitch_deg": 3}, "render": {"samples": 4}},
        config_hash="1",
        software={"bpy": "4.5.15"},
    )
    found = diff(out, other.url)
    assert not found.equal
    assert found.counts == NONE
    assert found.fields == {
        "config.camera.pitch_deg": (None, "3"),
        "config.render": (None, '{"samples": 4}'),
        "config.seed": ("1", "2"),
        "config_hash": ('"0"', '"1"'),
        "software.bpy": (None, '"4.5.15"'),
    }
    assert "config.seed: 1 in A, 2 in B" in format_diff(found)
    assert "software.bpy: absent in A, " in format_diff(found)


def test_views_are_compared_as_one_table(out: str, tmp_path: Path) -> None:
    views = [Storage(str(tmp_path / name)) for name in ("one", "two")]
    more = [write_rows_corpus(f"memory://diff/more-{n}", clips=n, name="more").url for n in (3, 5)]
    for view, second in zip(views, more, strict=True):
        write_view(view, [out, second])
    found = diff(views[0].url, views[1].url)
    assert found.fields == {"source 1.clips": ("3", "5")}
    assert found.clips["only in B"] == ("more-000000003", "more-000000004")
    assert found.counts == {**NONE, "only in B": 2}


def test_many_differences_are_counted_and_some_named(tmp_path: Path) -> None:
    few, many = write_rows_corpus(str(tmp_path / "a"), clips=1), Storage(str(tmp_path / "b"))
    layout = Layout("toy", LISTED + 8, CLIPS_PER_SHARD)
    write_rows_corpus(many.url, clips=1)
    write_part(many, 0, [clip(layout, index) for index in range(layout.clips)])
    found = diff(few.url, many.url)
    assert found.counts == {**NONE, "only in B": LISTED + 7}
    assert len(found.clips["only in B"]) == LISTED
    assert f"{LISTED + 7:,} clips only in B: toy-000000001, " in format_diff(found)
    assert format_diff(found).endswith("and 997 more")


def test_texts_of_strangers_command_no_terminal(out: str, tmp_path: Path) -> None:
    change = {1: clip(LAYOUT, 1, key="\x1b[2J\n" + "x" * 5000)}
    other = write_rows_corpus(str(tmp_path / "other"), change=change, config={"\x1b[2J": "\x1b[2J"}).url
    text = format_diff(diff(out, other))
    assert all(line.isprintable() for line in text.splitlines())
    assert max(map(len, text.splitlines())) < 400


def test_a_configuration_nested_without_end(out: str, tmp_path: Path) -> None:
    other = write_rows_corpus(str(tmp_path / "other"))
    content = json.loads(other.read(CORPUS_FILE))
    content["config"] = "nested"
    text = json.dumps(content).replace('"nested"', '{"a":' * 700 + "1" + "}" * 700)
    other.write(CORPUS_FILE, text.encode())
    with pytest.raises(UserError, match=r"nested too deeply|damaged"):
        diff(out, other.url)


def test_no_corpus(out: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no corpus here"):
        diff(out, str(tmp_path / "nothing"))
