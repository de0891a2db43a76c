"""Keys that the corpora of a view share."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import numpy as np
import pyarrow as pa

from manifests.audit.audit import audit
from manifests.audit.duplicates import SharedKeys
from manifests.audit.report import MOST_KEPT, Findings
from manifests.audit.sources import AuditedSource
from manifests.export import export
from manifests.manifest import write_part
from manifests.merge import merge
from manifests.reader import CorpusReader
from manifests.rows import Rows
from manifests.storage import Storage
from tests.conftest import Generated
from tests.manifests.audit.plant import Copy
from tests.manifests.rows import clip, write_rows_corpus


def shared(*corpora: Storage, batch: int = 3) -> Findings:
    """What is found in corpora of rows, read so many rows at a time."""
    sources = [
        AuditedSource(number, storage, CorpusReader(storage).sources[0].corpus, f"{storage.url}/")
        for number, storage in enumerate(corpora)
    ]
    keys, found = SharedKeys(sources), Findings()
    for source in sources:
        for rows in source.batches(["index"]):
            for start in range(0, len(rows), batch):
                keys.add(source, Rows(rows.batch.slice(start, batch)))
    keys.report(found)
    return found


def test_two_copies_of_a_corpus_in_a_view_share_all_keys(copy: Copy, corpus: Generated, tmp_path: Path) -> None:
    view = str(tmp_path / "view")
    merge([str(corpus.out), str(copy.out)], view)
    report = audit(view)
    assert report.counts == {"clips-alike": 4, "key-duplicate": 4}
    assert not report.sound
    twice = [finding for finding in report.findings if finding.check == "key-duplicate"]
    assert [finding.clip for finding in twice] == [row["key"] for row in corpus.rows()]
    assert {(finding.where, finding.seen) for finding in twice} == {(f"{copy.out}/manifest", f"also in {corpus.out}")}


def test_subsets_that_lie_between_each_other_share_none(corpus: Generated, tmp_path: Path) -> None:
    odd, even, some = (str(tmp_path / name) for name in ("odd", "even", "some"))
    export(str(corpus.out), odd, where='"index" % 2 = 1')
    export(str(corpus.out), even, where='"index" % 2 = 0')
    export(str(corpus.out), some, where='"index" IN (1, 2)')
    merge([odd, even], str(tmp_path / "view"))
    assert audit(str(tmp_path / "view")).counts == {}
    merge([odd, even, some], str(tmp_path / "view"))
    assert audit(str(tmp_path / "view")).counts == {"clips-alike": 2, "key-duplicate": 2}


def test_other_names_share_no_key(tmp_path: Path) -> None:
    corpora = [write_rows_corpus(str(tmp_path / name), name=name) for name in ("a", "b")]
    assert shared(*corpora).counts == {}


def test_every_clip_that_is_there_again_is_counted(tmp_path: Path) -> None:
    """Against a plain set of keys, over corpora of any gaps."""
    chance = random.Random(5)
    for trial in range(30):
        corpora, seen, twice = [], set(), []
        for number in range(3):
            storage = write_rows_corpus(str(tmp_path / f"{trial}-{number}"), clips=40)
            layout = CorpusReader(storage).sources[0].corpus.layout
            chosen = sorted(chance.sample(range(40), chance.choice([0, 1, 5, 20, 40])))
            for shard in range(layout.shards):
                storage.delete(f"manifest/part-{shard:06d}.parquet")
            write_part(storage, 0, [clip(layout, index) for index in chosen])
            twice += [layout.key(index) for index in chosen if index in seen]
            seen |= set(chosen)
            corpora.append(storage)
        found = shared(*corpora, batch=chance.choice([1, 3, 50]))
        assert found.counts["key-duplicate"] == len(twice)
        assert sorted(finding.clip for finding in found.all()) == sorted(twice)


def test_a_clip_twice_in_one_corpus_is_not_told_twice(tmp_path: Path) -> None:
    first = write_rows_corpus(str(tmp_path / "a"), clips=4)
    second = write_rows_corpus(str(tmp_path / "b"), clips=4)
    layout = CorpusReader(first).sources[0].corpus.layout
    write_part(first, 0, [clip(layout, index) for index in (0, 1, 1, 1, 2)])
    write_part(second, 0, [])
    assert shared(first, second, batch=1).counts == {}


def test_a_corpus_without_gaps_is_one_stretch() -> None:
    """Ten million clips, twice."""
    clips, step = 10_000_000, 100_000
    corpus = CorpusReader(write_rows_corpus("memory://shared", clips=4)).sources[0].corpus
    whole = dataclasses.replace(corpus, clips=clips)
    sources = [AuditedSource(number, Storage(f"memory://{number}"), whole, "") for number in range(2)]
    keys, found = SharedKeys(sources), Findings()
    for source in sources:
        for start in range(0, clips, step):
            keys.add(source, Rows(pa.record_batch({"index": np.arange(start, start + step)})))
    assert [[len(part) for part in held] for held in keys._stretches.values()] == [[1], [1]]
    keys.report(found)
    assert found.counts["key-duplicate"] == clips
    assert len(found.all()) == MOST_KEPT
