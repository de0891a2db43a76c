"""Files below one folder or URL: read, list, and write so that a file is either whole or absent."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.spec import AbstractBufferedFile

from manifests.errors import UserError

COPY_BYTES = 4 << 20
"""How much of a file is held at once when it is copied."""

_FULL = {errno.ENOSPC, errno.EDQUOT}
_NO_FOLDER = {errno.ENOTDIR, errno.EEXIST}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}


class Storage:
    """One root, a local folder or any fsspec URL; paths are relative to it and use ``/``.

    Local writes go to a temporary name in the same folder, are synced, renamed, and the folder is synced.
    Object stores show an object only after its upload has ended, so they need no temporary names.
    Errors of the file system come through as they are; `output_problem` puts them into one line.

    The local root may be a link, as a person sets them. Below it none is followed, be it to a file or a folder: what
    a stranger's folder leads to is not part of it. Nor is anything opened there but plain files: a pipe would be
    waited on for ever.
    """

    def __init__(self, url: str) -> None:
        """Raises UserError if nothing here can speak the URL's protocol."""
        if not url.strip():
            raise UserError("output: no folder given; name one, or a URL such as s3://bucket/folder")
        try:
            self.fs, root = fsspec.core.url_to_fs(os.path.expanduser(url))
        except Exception as error:  # each file system has its own way to say that it cannot
            raise UserError(f"output {url}: {_one_line(error)}; use a folder, or install what the URL needs") from None
        self.local = isinstance(self.fs, LocalFileSystem)
        self._root = str(root).rstrip("/") or "/"
        self.url = self._root if self.local else self.fs.unstrip_protocol(self._root)

    def exists(self, path: str = "") -> bool:
        self._forget(path)
        return bool(self.fs.exists(self._full(path)))

    def size(self, path: str) -> int:
        """Bytes of a file. Raises FileNotFoundError, and IsADirectoryError for what `open` refuses."""
        if not self.local:
            return int(self.fs.size(self._full(path)))
        with self.open(path) as file:
            return os.fstat(file.fileno()).st_size

    def read(self, path: str, start: int = 0, stop: int | None = None) -> bytes:
        """The file's bytes in [start, stop). Raises what `open` raises."""
        if not self.local:
            part = {} if (start, stop) == (0, None) else {"start": start, "end": stop}
            return bytes(self.fs.cat_file(self._full(path), **part))
        with self.open(path) as file:
            file.seek(start)
            return file.read() if stop is None else file.read(stop - start)

    def open(self, path: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """The file, opened to be read and sought in. Raises FileNotFoundError, IsADirectoryError if it is a link or
        no plain file, and UserError if a folder above it is a link."""
        if not self.local:
            return self.fs.open(self._full(path), "rb")
        self.check_folder(path.rpartition("/")[0])
        return _open_plain(self._full(path))

    def check_folder(self, folder: str) -> None:
        """Raises UserError if a local folder, or one above it, is a link below the root."""
        for length in range(1, folder.count("/") + 2) if folder and self.local else ():
            full = self._full("/".join(folder.split("/")[:length]))
            if os.path.islink(full):
                raise UserError(
                    f"{full} is a link, and within a corpus none is followed; put the folder itself there "
                    "(a link to the whole corpus is fine)"
                )

    def write(self, path: str, data: bytes | Iterable[bytes]) -> None:
        """Write a whole file from its bytes or its pieces in order; it replaces one that is there."""
        with self.stream(path) as file:
            for piece in [data] if isinstance(data, bytes) else data:
                file.write(piece)

    @contextlib.contextmanager
    def stream(self, path: str) -> Iterator[IO[bytes]]:
        """A file to write to that appears under its name when the block ends, and never if it raises."""
        with self._local_stream(path) if self.local else self._remote_stream(path) as file:
            yield file

    def names(self, folder: str = "") -> list[str]:
        """Names in a folder, sorted, temporaries left out; nothing if there is no such folder."""
        return [name for name in self._all_names(folder) if not _is_temporary(name)]

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Bytes of each file in a folder, temporaries left out; nothing if there is no such folder."""
        self.check_folder(folder)
        self._forget(folder)
        try:
            found = self.fs.ls(self._full(folder), detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        files = ((str(item["name"]).rsplit("/", 1)[-1], item) for item in found if item["type"] == "file")
        return {name: int(item["size"] or 0) for name, item in files if name and not _is_temporary(name)}

    def delete(self, path: str) -> None:
        """Delete a file if it is there; of a link, the link."""
        self.check_folder(path.rpartition("/")[0])
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm_file(self._full(path))

    def delete_folder(self, folder: str) -> None:
        """Delete a folder and all that is in it, if it is there."""
        self.check_folder(folder)
        if self.local:
            shutil.rmtree(self._full(folder), ignore_errors=True)
        else:
            with contextlib.suppress(FileNotFoundError):
                self.fs.rm(self._full(folder), recursive=True)

    def clean(self, folder: str = "") -> None:
        """Delete temporaries that killed writers left directly in a folder; object stores have none."""
        if not self.local:
            return
        for name in self._all_names(folder):
            if _is_temporary(name):
                self.delete(f"{folder}/{name}" if folder else name)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Make the local root and hold it for one writer; the system lets go when the process ends, however
        it ends.

        Raises UserError if another process holds it. Object stores have no such lock.
        """
        if not self.local:
            yield
            return
        with self.problems():
            os.makedirs(self._root, exist_ok=True)
            handle = os.open(self._root, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise UserError(f"output {self.url}: another run is writing to it; wait for it or stop it") from None
        except OSError:
            pass  # a file system without locks; equal bytes and atomic renames keep two runs harmless
        try:
            yield
        finally:
            os.close(handle)

    @contextlib.contextmanager
    def problems(self) -> Iterator[None]:
        """Turn errors of the file system within the block into UserError."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            if self.local and not isinstance(error, OSError):
                raise  # object stores raise what they like, a local disk does not
            raise UserError(output_problem(error, self.url)) from error

    def _full(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{path}" if path else self._root

    def _all_names(self, folder: str) -> list[str]:
        full = self._full(folder)
        self.check_folder(folder)
        try:
            if self.local:
                return sorted(os.listdir(full))
            self._forget(folder)
            paths = self.fs.ls(full, detail=False)
        except FileNotFoundError:
            return []
        names = (str(path).rstrip("/").rsplit("/", 1)[-1] for path in paths if path.rstrip("/") != full)
        return sorted(name for name in names if name)

    def _forget(self, path: str) -> None:
        """Some file systems remember listings, and so would miss what other processes wrote."""
        if not self.local:
            self.fs.invalidate_cache(self._full(path))

    @contextlib.contextmanager
    def _local_stream(self, path: str) -> Iterator[IO[bytes]]:
        self.check_folder(path.rpartition("/")[0])
        final = Path(self._full(path))
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = final.with_name(f".{final.name}.{uuid.uuid4().hex}.tmp")
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(final)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        folder = os.open(final.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextlib.contextmanager
    def _remote_stream(self, path: str) -> Iterator[IO[bytes]]:
        file = self.fs.open(self._full(path), "wb")
        try:
            yield file
        except BaseException:
            if isinstance(file, AbstractBufferedFile):
                file.discard()
                file.closed = True  # or its close, even its collection, would publish the torn file
            else:
                self.delete(path)
            raise
        file.close()


def _open_plain(full: str) -> IO[bytes]:
    try:
        handle = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise IsADirectoryError(errno.EISDIR, "a link, which is not followed", full) from None
        if error.errno in (errno.ENXIO, errno.EISDIR):  # a socket
            raise IsADirectoryError(errno.EISDIR, "not a plain file", full) from None
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise IsADirectoryError(errno.EISDIR, "not a plain file", full)
    return os.fdopen(handle, "rb")


def output_problem(error: BaseException, url: str) -> str:
    """One line for a person: why the output cannot be written, and what to do."""
    code = error.errno if isinstance(error, OSError) else None
    if code in _FULL:
        return f"output {url} is full: free space and run the same command again"
    if code in _NO_FOLDER:
        return f"output {url} cannot be written (it is a file or lies below one): choose a folder for --out"
    if code in _DENIED:
        reason = os.strerror(code) if code else _one_line(error)
        return f"output {url} cannot be written ({reason}): give write access or choose another --out"
    return f"output {url} cannot be written ({_one_line(error)}): mend it and run the same command again"


def _one_line(error: BaseException) -> str:
    text: Any = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(".tmp")
