"""One pass over the rows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from manifests.layout import Layout
from manifests.reader import CorpusReader, write_view
from manifests.report.tally import MOST_NAMES, OTHER, SHEET_CLIPS, STRETCHES, take
from manifests.storage import Storage
from tests.manifests.rows import CLIPS_PER_SHARD, clip, given_up, write_rows_corpus

TEN = Layout("toy", 10, CLIPS_PER_SHARD)


def test_what_rows_add_up_to() -> None:
    films = {i: clip(TEN, i, frames=i, views=2, fps=10.0, recipe="phone", template="window") for i in range(9)}
    tally = take(CorpusReader(write_rows_corpus("memory://tally/sums", change={**films, 9: given_up(TEN, 9)})))
    assert (tally.clips, tally.quarantined, tally.expected) == (9, 1, 10)
    assert (tally.frames, tally.pictures) == (36, 72)
    assert tally.seconds == pytest.approx(3.6)
    assert tally.bytes == 9 * 1024
    assert tally.member_bytes == {"a": 63, "b": 63}
    assert tally.identities == 3
    assert +tally.identities_by_split == {"train": 2, "test": 1}
    assert tally.counts["split"] == {"train": 6, "test": 3}
    assert tally.cells == {("phone", "window"): 9}
    assert tally.errors == [("toy-000000009", "it broke")]
    assert tally.histograms["melanin"].clips == 9
    assert (tally.histograms["camera_yaw_deg"].clips, tally.histograms["camera_yaw_deg"].beyond) == (0, 9)


def test_views_of_one_label_are_one_kind() -> None:
    members = [{"name": f"v{v:02d}.rgb.mp4", "offset": 0, "size": 5, "sha256": "0"} for v in range(3)]
    tally = take(CorpusReader(write_rows_corpus("memory://tally/kinds", 1, change={0: clip(TEN, 0, members=members)})))
    assert (tally.member_bytes, tally.member_count) == (Counter(rgb=15), Counter(rgb=3))


def test_stretches_hold_the_bytes_of_all_shards() -> None:
    clips = 2 * STRETCHES * CLIPS_PER_SHARD
    tally = take(CorpusReader(write_rows_corpus("memory://tally/stretches", clips)))
    assert tally.shards == 2 * STRETCHES
    assert tally.stretches.shards.tolist() == [2] * STRETCHES
    assert tally.stretches.bytes.tolist() == [2 * CLIPS_PER_SHARD * 1024] * STRETCHES


def test_clips_to_show_are_spread_evenly_and_have_a_sample() -> None:
    layout = Layout("toy", 100, CLIPS_PER_SHARD)
    tally = take(CorpusReader(write_rows_corpus("memory://tally/spread", 100, change={0: given_up(layout, 0)})))
    shown = [picked.row["index"] for picked in tally.sheet]
    assert len(shown) == SHEET_CLIPS
    assert (shown[0], shown[-1]) == (1, 99)
    assert set(np.diff(shown[1:])) <= {5, 6}


def test_a_view_adds_its_sources_up() -> None:
    sources = [write_rows_corpus(f"memory://tally/{name}", 6, name).url for name in ("one", "two")]
    view = Storage("memory://tally/view")
    write_view(view, sources)
    tally = take(CorpusReader(view))
    assert (tally.clips, tally.expected, tally.identities, tally.shards) == (12, 12, 6, 4)
    assert tally.stretches.bytes.tolist() == [4096, 2048, 4096, 2048]
    assert [picked.key for picked in tally.sheet if picked.source == 1] == [f"two-{i:09d}" for i in range(6)]


def test_a_damaged_file_is_named_and_the_rest_is_read() -> None:
    storage = write_rows_corpus("memory://tally/damaged")
    storage.write("manifest/part-000001.parquet", b"PAR1 no more")
    tally = take(CorpusReader(storage))
    assert tally.clips == 6
    assert [item.partition(":")[0] for item in tally.damaged] == ["manifest/part-000001.parquet"]
    assert tally.damaged_files == 1


def test_what_is_remembered_is_bounded_and_nonsense_is_survived() -> None:
    clips = MOST_NAMES + 20
    layout = Layout("toy", clips, CLIPS_PER_SHARD)
    rows = {i: clip(layout, i, recipe=f"r{i}", template=f"t{i}", head=f"h{i}") for i in range(clips)}
    rows[7].update(index=None, shard=None, size=-5, frames=-1, fps=0.0, views=None, identity=-3, members=None)
    rows[8].update(size=1 << 62, frames=2**31 - 1, fps=float("nan"), views=2**31 - 1, identity=1 << 62)
    tally = take(CorpusReader(write_rows_corpus("memory://tally/bounded", clips, change=rows)))
    assert tally.clips == clips
    assert len(tally.counts["recipe"]) == MOST_NAMES + 1
    assert tally.counts["recipe"][OTHER] == 20
    assert max(len(tally.cells), len(tally.montage), len(tally.heads)) <= MOST_NAMES
    assert np.isfinite(tally.seconds)
