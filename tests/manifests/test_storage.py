from __future__ import annotations

import errno
import gc
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from manifests.errors import UserError
from manifests.storage import Storage, output_problem


@pytest.fixture(params=["folder", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return Storage(str(tmp_path / "root"))
    return Storage(f"memory://{uuid.uuid4().hex}/root")


def test_reads_back_what_it_wrote(storage: Storage) -> None:
    storage.write("a/b.bin", b"one")
    storage.write("a/c.bin", [b"two ", b"pieces"])
    storage.write("a/b.bin", b"three")
    assert storage.read("a/b.bin") == b"three"
    assert storage.read("a/c.bin") == b"two pieces"
    assert storage.size("a/c.bin") == 10
    assert storage.names("a") == ["b.bin", "c.bin"]
    assert storage.names() == ["a"]
    with storage.open("a/c.bin") as file:
        file.seek(4)
        assert file.read(3) == b"pie"


def test_what_is_not_there_is_not_there(storage: Storage) -> None:
    assert storage.names() == []
    assert storage.names("nothing") == []
    assert not storage.exists("nothing")
    storage.delete("nothing")
    storage.delete_folder("nothing")
    with pytest.raises(FileNotFoundError):
        storage.read("nothing")
    with pytest.raises(FileNotFoundError):
        storage.size("nothing")


def broken_pieces() -> Iterator[bytes]:
    yield b"half of it"
    raise RuntimeError


def test_a_broken_write_leaves_no_file(storage: Storage) -> None:
    with pytest.raises(RuntimeError):
        storage.write("new.bin", broken_pieces())
    assert not storage.exists("new.bin")
    assert storage.names() == []


def test_a_broken_write_leaves_the_old_file(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    storage.write("old.bin", b"old")
    with pytest.raises(RuntimeError):
        storage.write("old.bin", broken_pieces())
    assert storage.read("old.bin") == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["old.bin"]


class Upload(AbstractBufferedFile):
    """An object store's file, as fsspec has them: bytes go up in blocks, and show when the last one is there."""

    def _initiate_upload(self) -> None:
        self.blocks: list[bytes] = []

    def _upload_chunk(self, final: bool = False) -> bool:
        self.blocks.append(self.buffer.getvalue())
        if final:
            self.fs.store[self.path] = b"".join(self.blocks)
        return True

    def discard(self) -> None:
        self.fs.discarded.append(self.path)


class ObjectStore(AbstractFileSystem):
    protocol = "objects"
    cachable = False

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.store: dict[str, bytes] = {}
        self.discarded: list[str] = []

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **_: object) -> Upload:
        return Upload(self, path, mode, block_size=5)

    def cat_file(self, path: str, *_: object, **__: object) -> bytes:
        return self.store[path]


def test_an_upload_that_breaks_never_shows() -> None:
    fsspec.register_implementation("objects", ObjectStore, clobber=True)
    storage = Storage("objects://bucket/out")
    storage.write("whole.bin", [b"one", b" two", b" three"])
    assert storage.read("whole.bin") == b"one two three"
    with pytest.raises(RuntimeError):
        storage.write("torn.bin", broken_pieces())
    gc.collect()
    assert set(storage.fs.store) == {"bucket/out/whole.bin"}
    assert storage.fs.discarded == ["bucket/out/torn.bin"]


def test_deletes_folders(storage: Storage) -> None:
    storage.write("a/b/c.bin", b"1")
    storage.write("a/d.bin", b"2")
    storage.delete_folder("a/b")
    assert storage.names("a") == ["d.bin"]
    storage.delete("a/d.bin")
    assert not storage.exists("a/d.bin")


def test_temporaries_of_killed_writers_are_unseen_and_cleaned(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    storage.write("a/b.bin", b"1")
    (tmp_path / "a" / ".b.bin.0123.tmp").write_bytes(b"half")
    assert storage.names("a") == ["b.bin"]
    storage.clean("a")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.bin"]


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    with Storage(root).lock(), pytest.raises(UserError, match="another run is writing to it"):
        Storage(root).lock().__enter__()
    with Storage(root).lock():
        pass


def test_a_relative_folder_gets_an_absolute_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Storage("out/demo").url == str(tmp_path / "out" / "demo")


def test_an_unknown_protocol_is_a_user_error() -> None:
    with pytest.raises(UserError, match="output carrier-pigeon://loft"):
        Storage("carrier-pigeon://loft")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "x"), "is full: free space and run the same command again"),
        (OSError(errno.EDQUOT, "x"), "is full: free space and run the same command again"),
        (OSError(errno.EROFS, "x"), "cannot be written (Read-only file system): give write access"),
        (PermissionError(errno.EACCES, "x"), "cannot be written (Permission denied): give write access"),
        (RuntimeError("no credentials"), "(RuntimeError: no credentials): mend it and run the same"),
    ],
)
def test_problems_in_one_line_with_a_remedy(error: Exception, words: str) -> None:
    line = output_problem(error, "/data/out")
    assert line.startswith("output /data/out ")
    assert words in line
    assert "\n" not in line


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_what_is_no_plain_file_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    os.mkfifo(tmp_path / "x") if kind == "pipe" else (tmp_path / "x").mkdir()
    storage = Storage(str(tmp_path))
    with pytest.raises(IsADirectoryError, match="not a plain file"):
        storage.read("x")
    with pytest.raises(IsADirectoryError, match="not a plain file"), storage.open("x"):
        pass
