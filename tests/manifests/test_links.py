"""Links in a corpus: none is followed, and the corpus as a whole may be one."""

from __future__ import annotations

import json
import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from factorportrait import main
from manifests.browse import Server
from manifests.errors import UserError
from manifests.export import export
from manifests.reader import CorpusReader
from manifests.reindex import reindex
from manifests.select import read_selection, select
from manifests.storage import Storage
from tests.conftest import CONFIG, Generated, data_hashes
from tests.manifests.audit.plant import Copy


@pytest.fixture
def copy(corpus: Generated, tmp_path: Path) -> Copy:
    return Copy.of(corpus.out, tmp_path / "copy")


def move_out(path: Path) -> None:
    """To a place outside of the corpus, with a link to it: whoever follows it reads what was there."""
    outside = path.parents[2] / "outside"
    outside.mkdir(exist_ok=True)
    shutil.move(path, outside / path.name)
    path.symlink_to(outside / path.name)


@pytest.mark.parametrize("level", ["quick", "full"])
def test_a_linked_shard_is_a_finding_and_not_read(copy: Copy, level: str) -> None:
    move_out(copy.shard(0))
    report = copy.audit(level=level)
    assert set(report.counts) - {"geometry-unchecked"} == {"shard-malformed"}
    first = next(finding for finding in report.findings if finding.check == "shard-malformed")
    assert (first.where, first.seen) == (copy.layout.shard_path(0), "a link, which is not followed")
    assert report.clips_read == (1 if level == "full" else 0)


def test_a_link_to_nowhere_is_a_link(copy: Copy) -> None:
    copy.shard(1).unlink()
    copy.shard(1).symlink_to("/nowhere")
    (finding,) = copy.audit().findings
    assert (finding.check, finding.seen) == ("shard-malformed", "a link, which is not followed")


def test_a_link_within_the_corpus_is_none_the_better(copy: Copy) -> None:
    copy.shard(1).rename(copy.out / "shards" / "else.tar")
    copy.shard(1).symlink_to("else.tar")
    assert copy.audit().counts["shard-malformed"] == 1


def test_who_reads_samples_does_not_read_a_linked_shard(copy: Copy, tmp_path: Path) -> None:
    move_out(copy.shard(0))
    reader = CorpusReader(str(copy.out))
    with pytest.raises(UserError, match=r"tiny-000000\.tar is a link, which is not followed; put the file itself"):
        reader.members(reader.row("tiny-000000000"))
    with pytest.raises(UserError, match=r"tiny-000000\.tar is a link"):
        export(str(copy.out), str(tmp_path / "to"))
    assert not list((tmp_path / "to").glob("shards/*"))
    with Server(str(copy.out)) as server, pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{server.url}api/thumbnail?key=tiny-000000000")
    assert "is a link" in json.loads(error.value.read())["error"]
    assert main(["report", str(copy.out), "--html", str(tmp_path / "report.html")]) == 0
    assert "tiny-000000.tar is a link" in (tmp_path / "report.html").read_text()
    assert main(["replay", str(copy.out), "tiny-000000000"]) == 2


def test_a_linked_shard_is_not_indexed(copy: Copy) -> None:
    shutil.rmtree(copy.out / "manifest")
    (copy.out / "shards" / "tiny-000000.tar").rename(copy.out.parent / "tiny-000000.tar")
    (copy.out / "shards" / "tiny-000000.tar").symlink_to(copy.out.parent / "tiny-000000.tar")
    report = reindex(str(copy.out))
    assert report.shards == [1]
    ((name, why),) = report.problems
    assert name == "tiny-000000.tar"
    assert "a link, which is not followed" in why


def test_a_linked_file_of_the_manifest_is_a_finding_and_reindex_makes_it_anew(copy: Copy) -> None:
    before = data_hashes(copy.out)
    path = copy.part(0)
    move_out(path)
    report = copy.audit()
    assert report.counts == {"manifest-damaged": 1}
    assert "a link, which is not followed" in report.findings[0].seen
    for words in (["query", str(copy.out), "SELECT key FROM clips"], ["status", str(copy.out)]):
        assert main(words) == 2
    assert reindex(str(copy.out)).shards == [0]
    assert data_hashes(copy.out) == before
    assert (copy.out.parent / "outside" / path.name).exists()


def test_a_linked_file_of_the_manifest_that_nothing_replaces_stays(copy: Copy) -> None:
    path = copy.part(0)
    move_out(path)
    copy.shard(1).unlink()
    (copy.out / "shards" / "tiny-000000.tar").write_bytes(b"no tar")
    report = reindex(str(copy.out))
    assert (path.name, "a link, which is not followed; put the file itself there") in report.problems
    assert path.is_symlink()


@pytest.mark.parametrize("folder", ["shards", "manifest"])
@pytest.mark.parametrize(
    "words",
    [
        ["audit", "{out}"],
        ["audit", "{out}", "--level", "full"],
        ["reindex", "{out}"],
        ["export", "{out}", "--to", "{tmp}/to"],
        ["replay", "{out}", "tiny-000000001"],
        ["generate", str(CONFIG), "--out", "{out}", "--clips", "6"],
    ],
    ids=lambda words: words[0],
)
def test_a_linked_folder_is_refused(
    copy: Copy, tmp_path: Path, folder: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.move(copy.out / folder, tmp_path / "elsewhere")
    (copy.out / folder).symlink_to(tmp_path / "elsewhere")
    before = data_hashes(tmp_path)
    assert main([word.replace("{out}", str(copy.out)).replace("{tmp}", str(tmp_path)) for word in words]) == 2
    assert f"{copy.out / folder} is a link, and within a corpus none is followed" in capsys.readouterr().err
    assert {name for name in data_hashes(tmp_path) if "elsewhere" in name} == {n for n in before if "elsewhere" in n}


def test_the_whole_corpus_may_be_a_link(copy: Copy, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(copy.out)
    out = str(link)
    for words in (
        ["status", out],
        ["audit", out, "--level", "full"],
        ["query", out, "SELECT key FROM clips"],
        ["export", out, "--to", str(tmp_path / "to")],
        ["report", out, "--html", str(tmp_path / "report.html")],
        ["merge", out],
        ["reindex", out],
    ):
        assert main(words) == 0
    reader = CorpusReader(out)
    assert "motion.npz" in reader.members(reader.row("tiny-000000001"))


def test_a_persons_own_list_may_be_a_link(copy: Copy, tmp_path: Path) -> None:
    select(str(copy.out), "true", str(tmp_path / "list-1.txt"))
    (tmp_path / "list.txt").symlink_to("list-1.txt")
    assert len(read_selection(str(tmp_path / "list.txt"))) == 4


def test_nothing_is_written_through_a_linked_folder(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "shards").symlink_to(tmp_path / "precious")
    with pytest.raises(UserError, match="is a link"):
        Storage(str(tmp_path / "root")).write("shards/a.tar", b"x")
    assert os.listdir(tmp_path / "precious") == []
