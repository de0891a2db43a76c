"""Exports that end before their time: what they leave is no corpus, and the same call again makes it whole."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from factorportrait import main
from manifests.audit.audit import audit
from manifests.browse.api import Api
from manifests.card import CARD_FILE
from manifests.conventions import FORMAT_VERSION
from manifests.corpus import Corpus, write_corpus
from manifests.diff import diff
from manifests.errors import UserError
from manifests.export import export, format_export
from manifests.layout import CORPUS_FILE, HALF_EXPORT_FILE
from manifests.merge import merge
from manifests.query import query
from manifests.reader import CorpusReader
from manifests.reindex import reindex
from manifests.report import write_report
from manifests.select import select
from manifests.status import format_status, status
from manifests.storage import Storage
from tests.conftest import CONFIG as CONFIG_FILE
from tests.conftest import TESTS, Generated, data_hashes
from tests.datagen.farm.toy import ToyConfig, data_files, make_reference
from tests.manifests.crashes import crash_everywhere

CONFIG = ToyConfig(clips=10, clips_per_shard=4)
WHERE = "index <> 2"

KILLED = """
import contextlib, io, os, signal, sys
from manifests.export import export
from manifests.storage import Storage

source, out, where, path = sys.argv[1:]
stream = Storage.stream

class Torn(io.RawIOBase):
    def __init__(self, file):
        self._file = file

    def writable(self):
        return True

    def write(self, data):
        self._file.write(bytes(data)[: len(data) // 2])
        self._file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

@contextlib.contextmanager
def torn(self, name):
    with stream(self, name) as file:
        yield Torn(file) if name == path else file

Storage.stream = torn
export(source, out, where=where)
"""
"""An export that is killed in the middle of writing one of its files."""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    out = tmp_path / "toy"
    write_corpus(
        Storage(str(out)), Corpus(FORMAT_VERSION, CONFIG.name, CONFIG.clips, 4, CONFIG.config_hash, {"seed": 7})
    )
    return make_reference(CONFIG, out, {5: "RuntimeError: bad"})


def kill_at(source: Path, out: Path, where: str, path: str) -> None:
    command = [sys.executable, "-c", KILLED, str(source), str(out), where, path]
    assert subprocess.run(command, check=False, cwd=TESTS.parent, timeout=120).returncode == -signal.SIGKILL


def check_is_no_corpus(out: str, tmp_path: Path) -> None:
    """Every command that reads a corpus says what is there instead."""
    commands: list[Callable[[], Any]] = [
        lambda: CorpusReader(out),
        lambda: audit(out),
        lambda: query(out, "SELECT count(*) FROM clips"),
        lambda: select(out, "true", str(tmp_path / "list.txt")),
        lambda: write_report(out, str(tmp_path / "page.html")),
        lambda: export(out, str(tmp_path / "again")),
        lambda: diff(out, out),
        lambda: merge([out], str(tmp_path / "view")),
        lambda: merge([out]),
        lambda: reindex(out),
        lambda: Api(out, None),
    ]
    for command in commands:
        with pytest.raises(UserError, match="half an export, and no corpus yet; run the same `factorportrait export`"):
            command()


@pytest.mark.parametrize(
    ("path", "done"),
    [
        ("shards/toy-000000.tar", 0),
        ("shards/toy-000001.tar", 3),
        ("manifest/part-000001.parquet", 3),
        ("manifest/clips-000000-000002.parquet", 8),
        ("wids.json", 8),
        (CARD_FILE, 8),
        (CORPUS_FILE, 8),
    ],
)
def test_killed_it_leaves_no_corpus_and_the_same_call_goes_on(toy: Path, tmp_path: Path, path: str, done: int) -> None:
    out = tmp_path / "out"
    export(str(toy), str(tmp_path / "whole"), where=WHERE)
    kill_at(toy, out, WHERE, path)
    check_is_no_corpus(str(out), tmp_path)
    found = status(str(out))
    assert (found.state, found.done, found.clips) == ("half exported", done, 8)
    assert "run the same `export` command again" in format_status(found)
    report = export(str(toy), str(out), where=WHERE)
    assert ("had been copied by an earlier call" in format_export(report)) == (done > 0)
    assert data_hashes(out) == data_hashes(tmp_path / "whole")
    assert status(str(out)).state == "exported"


def test_the_real_corpus_killed_among_its_shards(corpus: Generated, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(str(corpus.out), str(tmp_path / "whole"))
    kill_at(corpus.out, out, "true", "shards/tiny-000001.tar")
    check_is_no_corpus(str(out), tmp_path)
    with pytest.raises(UserError, match="half an export of another corpus or other clips"):
        export(str(corpus.out), str(out))
    assert main(["export", str(corpus.out), "--to", str(out), "--where", "true"]) == 0
    assert audit(str(out)).sound
    without_condition = {
        name: value for name, value in data_hashes(out).items() if name not in (CORPUS_FILE, CARD_FILE)
    }
    whole = data_hashes(tmp_path / "whole")
    assert without_condition == {name: whole[name] for name in without_condition}


def test_killed_before_its_marker_is_gone_it_is_a_corpus(toy: Path, tmp_path: Path) -> None:
    export(str(toy), str(tmp_path / "whole"), where=WHERE)
    out = tmp_path / "out"
    export(str(toy), str(out), where=WHERE)
    (out / HALF_EXPORT_FILE).write_bytes((out / CORPUS_FILE).read_bytes())
    assert status(str(out)).state == "exported"
    assert audit(str(out)).clips == 8
    report = export(str(toy), str(out), where=WHERE)
    assert report.found == report.shards == 3
    assert data_hashes(out) == data_hashes(tmp_path / "whole")


def test_a_crash_at_any_change_leaves_no_trace(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fails at every rename and deletion in turn; nothing before the end of one is a corpus."""
    export(str(toy), str(tmp_path / "whole"), where=WHERE)

    def act(storage: Storage) -> None:
        if storage.exists() and not storage.exists(CORPUS_FILE):
            with pytest.raises(UserError, match=r"half an export|no corpus here"):
                CorpusReader(storage)
        try:
            export(str(toy), storage.url, where=WHERE)
        except UserError as error:
            raise error.__cause__ or error from None

    steps = crash_everywhere(tmp_path, monkeypatch, lambda storage: None, act, data_files(tmp_path / "whole"))
    assert steps > 10


def test_a_full_disk_is_said_and_the_same_call_goes_on(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(str(toy), str(tmp_path / "whole"))
    out = tmp_path / "out"
    fsync, left = os.fsync, 3

    def full(handle: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="is full: free space and run the same command again"):
            export(str(toy), str(out))
    check_is_no_corpus(str(out), tmp_path)
    export(str(toy), str(out))
    assert data_hashes(out) == data_hashes(tmp_path / "whole")


def test_a_picture_for_which_the_disk_has_no_room_is_not_left_out(
    corpus: Generated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Storage.stream

    def full(self: Storage, path: str) -> Any:
        if path == "contact_sheet.png":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return stream(self, path)

    monkeypatch.setattr(Storage, "stream", full)
    with pytest.raises(UserError, match="is full"):
        export(str(corpus.out), str(tmp_path / "out"))


def test_an_object_store_shows_no_half_corpus_either(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever file it stops at."""
    stream, written, stop = Storage.stream, 0, 0

    def counted(self: Storage, path: str) -> Any:
        nonlocal written
        written += 1
        if written == stop:
            raise KeyboardInterrupt
        return stream(self, path)

    def content(url: str) -> dict[str, bytes]:
        fs, root = Storage(url).fs, url.removeprefix("memory:/")
        return {name.removeprefix(root): fs.cat_file(name) for name in fs.find(root)}

    monkeypatch.setattr(Storage, "stream", counted)
    export(str(toy), "memory://killed/whole", where=WHERE)
    total = written
    for stop in range(1, total + 1):
        written, url = 0, f"memory://killed/{stop}"
        with pytest.raises(KeyboardInterrupt):
            export(str(toy), url, where=WHERE)
        written = stop
        with pytest.raises(UserError, match=r"half an export|no corpus here"):
            CorpusReader(url)
        written = stop
        export(str(toy), url, where=WHERE)
        assert content(url) == content("memory://killed/whole")


def test_half_an_export_of_other_clips_is_not_mixed(toy: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    kill_at(toy, out, WHERE, "shards/toy-000001.tar")
    before = data_hashes(out)
    with pytest.raises(
        UserError, match=r"half an export of another corpus or other clips \(index <> 2\); run that one"
    ):
        export(str(toy), str(out), where="index <> 3")
    assert data_hashes(out) == before


def test_generate_into_half_an_export_is_refused(corpus: Generated, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "out"
    kill_at(corpus.out, out, "true", "shards/tiny-000001.tar")
    assert main(["generate", str(CONFIG_FILE), "--out", str(out)]) == 2
    assert "holds half an export; choose another --out" in capsys.readouterr().err


def test_progress_counts_the_shards(toy: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    export(str(toy), str(tmp_path / "out"), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
