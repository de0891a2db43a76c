"""Clips rendered again and compared."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from datagen.probe import rerender
from manifests.arrays import npz_bytes
from manifests.clip import Member
from manifests.conventions import FORMAT_VERSION
from manifests.corpus import Corpus, read_corpus, write_corpus
from manifests.decode import read_arrays
from manifests.errors import UserError
from manifests.reader import CorpusReader
from manifests.replay import TOLERANCES, ReplayReport, format_replay, replay
from manifests.storage import Storage
from tests.conftest import Generated
from tests.datagen.farm.toy import ToyConfig, make_reference

CLIP = "tiny-000000002"
Change = Callable[[bytes], bytes]


class Renderer:
    """Gives the stored members of the clip, some of them changed."""

    def __init__(self, out: Path, **changes: Change | None) -> None:
        reader = CorpusReader(str(out))
        self._members = reader.members(reader.row(CLIP))
        for name, change in changes.items():
            name = name.replace("__", ".")
            if change is None:
                del self._members[name]
            else:
                self._members[name] = change(self._members.get(name, b""))
        self.asked: list[tuple[int, str | None]] = []

    def __call__(self, config: Mapping[str, Any], index: int, device: str | None) -> list[Member]:
        self.asked.append((index, device))
        return [Member(name, data) for name, data in self._members.items()]


def outcome(report: ReplayReport, name: str) -> tuple[str, bool]:
    """A member's verdict, and whether the clip counts as the same."""
    found = {member.name: member for member in report.members}
    assert all(member.verdict == "equal" for member in report.members if member.name != name)
    return found[name].verdict, report.same


def changed_record(**fields: Any) -> Change:
    return lambda data: json.dumps({**json.loads(data), **fields}).encode()


def moved(array: str, by: float, share: float = 1.0) -> Change:
    """Add to some values of one array of an npz."""

    def change(data: bytes) -> bytes:
        arrays = read_arrays("arrays.npz", data)
        values = arrays[array].reshape(-1)
        values[: int(np.ceil(share * len(values)))] += by
        return npz_bytes({**arrays, array: values.reshape(arrays[array].shape)})

    return change


def redrawn(change: Callable[[np.ndarray], np.ndarray], codec: str = "ffv1", pixels: str = "gray16le") -> Change:
    """Decode a video as stored, change its frames, and encode it without loss."""

    def redraw(data: bytes) -> bytes:
        out = io.BytesIO()
        with (
            av.open(io.BytesIO(data)) as old,
            av.open(out, "w", format="matroska" if codec == "ffv1" else "mp4") as new,
        ):
            stream = None
            for frame in old.decode(video=0):
                picture = np.ascontiguousarray(change(frame.to_ndarray(format=pixels)))
                if stream is None:
                    stream = new.add_stream(codec, rate=15, options={} if codec == "ffv1" else {"qp": "0"})
                    stream.height, stream.width = picture.shape[:2]
                    stream.pix_fmt = pixels
                    if codec != "ffv1":
                        stream.codec_context.max_b_frames = 0
                new.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format=pixels)))
            assert stream is not None
            new.mux(stream.encode())
        return out.getvalue()

    return redraw


def test_a_clip_rendered_again_has_the_same_bytes(corpus: Generated) -> None:
    report = replay(str(corpus.out), CLIP, rerender)
    assert report.same
    assert report.exact
    assert len(report.members) == len(CorpusReader(str(corpus.out)).row(CLIP)["members"])
    assert {member.verdict for member in report.members} == {"equal"}
    assert f"same: {len(report.members)} of {len(report.members)} members" in format_replay(report)


def test_it_is_rendered_from_its_row(corpus: Generated) -> None:
    renderer = Renderer(corpus.out)
    assert replay(str(corpus.out), CLIP, renderer).same
    assert replay(str(corpus.out), CLIP, renderer, "cuda").same
    assert renderer.asked == [(2, None), (2, "cuda")]


def test_on_the_same_device_only_equal_bytes_are_the_same(corpus: Generated) -> None:
    for name, change in (
        ("motion__npz", moved("jaw", 1e-6)),
        ("v00__depth__mkv", redrawn(lambda picture: picture + 1)),
    ):
        report = replay(str(corpus.out), CLIP, Renderer(corpus.out, **{name: change}))
        assert outcome(report, name.replace("__", ".")) == ("close", False)
        assert "as close as another kind of processor may bring them" in format_replay(report)


@pytest.mark.parametrize(
    ("name", "change", "verdict"),
    [
        ("spec__json", changed_record(config_hash="0", software={"av": "0"}, render={"device": "cuda"}), "close"),
        ("spec__json", changed_record(template="other"), "differs"),
        ("spec__json", changed_record(summary={}), "differs"),
        ("spec__json", changed_record(fps=15.000001), "close"),
        ("motion__npz", moved("jaw", 1e-6), "close"),
        ("motion__npz", moved("jaw", 1e-3), "differs"),
        ("motion__npz", moved("jaw", float("nan"), share=0.01), "differs"),
        ("motion__npz", lambda data: npz_bytes({"jaw": read_arrays("a.npz", data)["jaw"]}), "differs"),
        ("cameras__npz", moved("K", 1e-8), "close"),
        ("cameras__npz", moved("K", 0.01, share=0.01), "differs"),
        ("v00__rgb__mp4", redrawn(lambda p: np.maximum(p, 1), "libx264rgb", "rgb24"), "close"),
        ("v00__rgb__mp4", redrawn(lambda p: p // 2, "libx264rgb", "rgb24"), "differs"),
        ("v01__alpha__mkv", redrawn(lambda p: np.maximum(p, 1), pixels="gray"), "close"),
        ("v01__alpha__mkv", redrawn(lambda p: 255 - p, pixels="gray"), "differs"),
        ("v00__depth__mkv", redrawn(lambda p: np.where(p > 0, p + 2, 0).astype(np.uint16)), "close"),
        ("v00__depth__mkv", redrawn(lambda p: np.where(p > 0, p + 9, 0).astype(np.uint16)), "differs"),
        ("v01__depth__mkv", redrawn(lambda p: p[:-2]), "differs"),
        ("v00__segmentation__mkv", redrawn(lambda p: np.where(p == 1, 11, p), pixels="gray"), "differs"),
        ("v00__flow__mkv", redrawn(lambda p: p + 1), "close"),
        ("v00__uv__mkv", redrawn(lambda p: p // 2), "differs"),
    ],
)
def test_on_another_device_pictures_may_differ_a_little(
    corpus: Generated, name: str, change: Change, verdict: str
) -> None:
    report = replay(str(corpus.out), CLIP, Renderer(corpus.out, **{name: change}), "cuda")
    assert not report.exact
    assert outcome(report, name.replace("__", ".")) == (verdict, verdict == "close")
    text = format_replay(report)
    assert "rendered on cuda, the corpus on cpu" in text
    if name.startswith("v") and verdict == "close":
        assert str(TOLERANCES[name.split("__")[1]]) in text


def test_members_that_are_missing_or_new_are_said(corpus: Generated) -> None:
    report = replay(str(corpus.out), CLIP, Renderer(corpus.out, v00__depth__mkv=None), "cuda")
    assert outcome(report, "v00.depth.mkv") == ("differs", False)
    report = replay(str(corpus.out), CLIP, Renderer(corpus.out, v02__depth__mkv=lambda _: b"x"), "cuda")
    assert outcome(report, "v02.depth.mkv") == ("differs", False)
    report = replay(str(corpus.out), CLIP, Renderer(corpus.out, notes__bin=lambda _: b"x"), "cuda")
    assert outcome(report, "notes.bin") == ("differs", False)


def test_a_damaged_stored_member_is_told_from_a_differing_one(corpus: Generated, tmp_path: Path) -> None:
    renderer = Renderer(corpus.out)
    out = tmp_path / "out"
    shutil.copytree(corpus.out, out)
    row = CorpusReader(str(out)).row(CLIP)
    member = next(member for member in row["members"] if member["name"] == "v00.rgb.mp4")
    with (out / "shards" / f"tiny-{row['shard']:06d}.tar").open("r+b") as shard:
        shard.seek(member["offset"] + member["size"] // 2)
        shard.write(b"\xff\x00\xff")
    report = replay(str(out), CLIP, renderer, "cuda")
    assert outcome(report, "v00.rgb.mp4") == ("differs", False)
    assert "the stored bytes are damaged" in format_replay(report)


def test_other_software_is_a_reason_for_other_bytes(corpus: Generated, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(corpus.out, out)
    storage = Storage(str(out))
    there = read_corpus(storage)
    write_corpus(storage, dataclasses.replace(there, software={**there.software, "numpy": "0.1", "gone": "2"}))
    report = replay(str(out), CLIP, Renderer(out, motion__npz=moved("jaw", 1e-6)))
    assert report.same
    assert [reason.split(" is ")[0] for reason in report.reasons] == ["gone", "numpy"]


def test_what_can_not_be_replayed_is_said(corpus: Generated, tmp_path: Path) -> None:
    config = ToyConfig(clips=4, clips_per_shard=4)
    toy = tmp_path / "toy"
    write_corpus(Storage(str(toy)), Corpus(FORMAT_VERSION, "toy", 4, 4, config.config_hash, {}))
    make_reference(config, toy, {1: "RuntimeError: bad"})
    renderer = Renderer(corpus.out)
    with pytest.raises(UserError, match=r"toy-000000001: was given up \(RuntimeError: bad\)"):
        replay(str(toy), "toy-000000001", renderer)
    with pytest.raises(UserError, match="not in the manifest"):
        replay(str(toy), "toy-000000009", renderer)
    write_corpus(Storage(str(toy)), Corpus(FORMAT_VERSION, "toy", 4, 4, "0" * 64, {}))
    with pytest.raises(UserError, match="another clip or configuration"):
        replay(str(toy), "toy-000000000", renderer)
    assert renderer.asked == []
