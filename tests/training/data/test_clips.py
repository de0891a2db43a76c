"""Which clips are kept, and that a window holds what the corpus holds."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import fsspec
import numpy as np
import pytest

from manifests.decode import decode
from manifests.errors import UserError
from manifests.layout import Layout
from manifests.manifest import read_part, write_part
from manifests.merge import merge
from manifests.reader import CorpusReader
from manifests.select import select
from manifests.storage import Storage
from tests.conftest import Generated
from tests.manifests.rows import given_up, write_rows_corpus
from tests.training.data.many import CLIPS, IDENTITIES, PER_SHARD, write_many
from training.data.clips import Clips


def keys(clips: Clips) -> list[str]:
    return [clips.key(i) for i in range(len(clips))]


def test_a_window_holds_the_members_decoded(corpus: Generated) -> None:
    clips = Clips(str(corpus.out), split=None)
    rows = corpus.rows()
    assert keys(clips) == [row["key"] for row in rows]
    assert (clips.resolution, clips.fps) == ((64, 80), 15.0)
    sample = corpus.sample(rows[2])
    whole, some = clips.windows(2, [(0, range(5)), (1, range(0, 5, 2))])
    assert (whole.key, some.key) == ("tiny-000000002.v00[0:5]", "tiny-000000002.v01[0:5:2]")
    for window, view, frames in ((whole, 0, slice(0, 5)), (some, 1, slice(0, 5, 2))):
        for member, container in (("rgb", "mp4"), ("alpha", "mkv"), ("pose_normals", "mkv")):
            np.testing.assert_array_equal(getattr(window, member), sample[f"v{view:02d}.{member}.{container}"][frames])
        np.testing.assert_array_equal(window.intrinsics, sample["cameras.npz"]["K"][view, frames])
        np.testing.assert_array_equal(window.world_to_camera, sample["cameras.npz"]["world_to_camera"][view, frames])
        np.testing.assert_array_equal(window.landmarks, sample["landmarks.npz"]["pixels"][view, frames])
        np.testing.assert_array_equal(window.visible, sample["landmarks.npz"]["visible"][view, frames])
    np.testing.assert_array_equal(clips.motion(2).expression, sample["motion.npz"]["expression"])
    assert clips.spec(2) == sample["spec.json"]


def test_recipes_are_left_out(corpus: Generated) -> None:
    rows = corpus.rows()
    recipes = sorted({row["recipe"] for row in rows})
    assert len(recipes) > 1
    found = Clips(str(corpus.out), split=None, without_recipes=recipes[:1])
    assert keys(found) == [row["key"] for row in rows if row["recipe"] != recipes[0]]
    assert found.digest != Clips(str(corpus.out), split=None).digest
    with pytest.raises(UserError, match=f"all {len(rows)} that would do are of recipes that are left out"):
        Clips(str(corpus.out), split=None, without_recipes=recipes)


def test_only_what_is_asked_for_is_read_from_a_shard_opened_once(
    corpus: Generated, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = Clips(str(corpus.out))
    clips.windows(0, [(0, range(1))])
    opened: list[str] = []
    really = Storage.open
    monkeypatch.setattr(Storage, "open", lambda self, path: opened.append(path) or really(self, path))
    window = clips.windows(0, [(0, range(2)), (1, range(3, 4))], members=("rgb",))[1]
    assert opened == ["shards/tiny-000000.tar"]
    assert window.alpha is None
    assert window.pose_normals is None
    assert window.rgb is not None
    assert set(clips.fetch(0, {"v01.alpha.mkv"})) == {"v01.alpha.mkv"}


def test_columns_are_the_manifest_s(many: str, clips: Clips) -> None:
    rows = list(CorpusReader(many).rows())
    assert len(clips) == CLIPS
    for i, row in enumerate(rows):
        info = clips.info(i)
        assert {name: row[name] for name in info.__dict__} == info.__dict__
        assert clips.same_identity(i).tolist() == list(range(i % IDENTITIES, CLIPS, IDENTITIES))
    np.testing.assert_array_equal(clips.shard_starts, [*range(0, CLIPS, PER_SHARD), CLIPS])
    assert clips.of_same_identity.tolist() == [len(clips.same_identity(i)) for i in range(CLIPS)]


@pytest.mark.parametrize("ending", ["txt", "parquet"])
def test_a_list_keeps_its_clips(ending: str, many: str, tmp_path: Path) -> None:
    to = str(tmp_path / f"some.{ending}")
    select(many, "index IN (3, 8, 20)", to)
    assert keys(Clips(many, subset=to)) == ["many-000000003", "many-000000008", "many-000000020"]


def test_lists_that_do_not_fit_are_refused(corpus: Generated, many: str, tmp_path: Path) -> None:
    for text, said in (
        ("tiny-000000000\n", "clip 'tiny-000000000' is not in"),
        ("many-000000999\nmany-000000001\n", "1 of its clips are not in"),
        ("", "holds no clip"),
    ):
        to = tmp_path / "list.txt"
        to.write_text(text)
        with pytest.raises(UserError, match=said):
            Clips(many, subset=str(to))
    (tmp_path / "test.txt").write_text("tiny-000000001\n")
    with pytest.raises(UserError, match=r"none of the 1 clips in the list .* is in split 'train'"):
        Clips(str(corpus.out), subset=str(tmp_path / "test.txt"))


def test_clips_without_a_sample_are_passed_over(corpus: Generated, tmp_path: Path) -> None:
    url = write_many(str(corpus.out), str(tmp_path / "out"), clips=8)
    rows = read_part(Storage(url), 1)
    rows[1] = {**given_up(Layout("many", 8, PER_SHARD), 5), "identity": None, "split": None}
    write_part(Storage(url), 1, rows)
    clips = Clips(url)
    assert keys(clips) == [f"many-{index:09d}" for index in (0, 1, 2, 3, 4, 6, 7)]
    expected = Clips(write_many(str(corpus.out), str(tmp_path / "whole"), clips=8)).windows(7, [(1, range(2))])[0]
    np.testing.assert_array_equal(clips.windows(6, [(1, range(2))])[0].rgb, expected.rgb)


def test_people_of_two_corpora_of_a_view_are_two(corpus: Generated, many: str, tmp_path: Path) -> None:
    other = write_many(str(corpus.out), str(tmp_path / "other"), clips=6, name="other")
    merge([many, other], str(tmp_path / "view"))
    clips = Clips(str(tmp_path / "view"))
    assert len(clips) == CLIPS + 6
    assert [clips.key(int(i)) for i in clips.same_identity(CLIPS)] == ["other-000000000", "other-000000005"]
    assert clips.windows(CLIPS + 5, [(1, range(3))])[0].key == "other-000000005.v01[0:3]"
    (tmp_path / "list.txt").write_text("many-000000001\nother-000000001\n")
    assert keys(Clips(str(tmp_path / "view"), subset=str(tmp_path / "list.txt"))) == [
        "many-000000001",
        "other-000000001",
    ]


def test_a_corpus_on_an_object_store_reads_the_same(many: str, clips: Clips) -> None:
    fs = fsspec.filesystem("memory")
    fs.put(many, "/clips-test", recursive=True)
    remote = Clips("memory://clips-test")
    here, there = (c.windows(9, [(1, range(1, 4))])[0] for c in (clips, remote))
    assert here.key == there.key
    np.testing.assert_array_equal(here.rgb, there.rgb)


def test_it_pickles_without_what_it_has_read(clips: Clips) -> None:
    clips.windows(3, [(0, range(1))])
    copy = pickle.loads(pickle.dumps(clips))
    np.testing.assert_array_equal(copy.windows(3, [(0, range(2))])[0].alpha, clips.windows(3, [(0, range(2))])[0].alpha)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"split": "validation"}, r"split 'validation' holds none of the 4 clips \(test 2, train 2\)"),
        ({"split": "dev"}, "split: 'dev' is none; choose among train, validation, test"),
        ({"frames": 9}, "frames: 9 and views: 1 are asked for, of 2 clips the longest has 5 frames"),
        ({"views": 3}, "the most views are 2; ask for fewer"),
    ],
)
def test_a_wish_that_no_clip_meets_says_what_there_is(corpus: Generated, options: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Clips(str(corpus.out), **options)  # type: ignore[arg-type]


def test_another_format_no_corpus_and_mixed_corpora_are_refused(corpus: Generated, own: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no corpus here"):
        Clips(str(tmp_path))
    file = Path(own) / "corpus.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "format_version": 1}))
    with pytest.raises(UserError, match="it has format 1, and this program reads 2"):
        Clips(own)
    write_many(str(corpus.out), str(tmp_path / "wide"), clips=4, name="wide", width=160)
    write_many(str(corpus.out), str(tmp_path / "fast"), clips=4, name="fast", fps=30.0)
    for other, said in (("wide", r"several resolutions \(80x64, 160x64\)"), ("fast", r"frame rates \(15, 30 fps\)")):
        merge([str(corpus.out), str(tmp_path / other)], str(tmp_path / f"{other}-view"))
        with pytest.raises(UserError, match=said):
            Clips(str(tmp_path / f"{other}-view"))
    write_rows_corpus(str(tmp_path / "empty"), clips=4, change={i: _lost(i) for i in range(4)})
    with pytest.raises(UserError, match="it has none with a sample"):
        Clips(str(tmp_path / "empty"))


def _lost(index: int) -> dict[str, object]:
    return given_up(Layout("toy", 4, 4), index)


def test_views_and_frames_that_a_clip_lacks_are_refused(clips: Clips) -> None:
    with pytest.raises(UserError, match=r"many-000000002: has no member 'v02.rgb.mp4'"):
        clips.windows(2, [(2, range(1))], members=("rgb",))
    with pytest.raises(UserError, match=r"asked for, it"):
        clips.windows(2, [(1, range(4, 7))])
    with pytest.raises(UserError, match=r"range\(3, 3\) asked for"):
        clips.windows(2, [(1, range(3, 3))])
    with pytest.raises(UserError, match="member 'depth': is no picture"):
        clips.windows(2, [(1, range(1))], members=("depth",))


def test_pictures_of_another_size_than_the_manifest_s_are_refused(corpus: Generated, tmp_path: Path) -> None:
    clips = Clips(write_many(str(corpus.out), str(tmp_path / "out"), clips=4, width=96))
    with pytest.raises(UserError, match="is 80x64, not as the manifest says"):
        clips.windows(0, [(0, range(1))])


def test_a_lost_shard_and_a_changed_manifest_are_said(own: str) -> None:
    clips = Clips(own)
    (Path(own) / "shards" / "many-000001.tar").unlink()
    with pytest.raises(UserError, match=r"many-000001.tar is missing"):
        clips.windows(5, [(0, range(1))])
    (Path(own) / "manifest" / "part-000002.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"part-000002.parquet: is not what it was at the start"):
        clips.windows(9, [(0, range(1))])


def test_the_decoder_is_the_corpus_own(corpus: Generated) -> None:
    """A window in the middle is the middle of the whole."""
    clips = Clips(str(corpus.out))
    name = "v01.pose_normals.mkv"
    whole = decode(name, clips.fetch(0, {name})[name])
    np.testing.assert_array_equal(clips.windows(0, [(1, range(2, 4))])[0].pose_normals, whole[2:4])
