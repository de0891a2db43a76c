"""Tar entries that depend on nothing but a name and bytes, and a reader that trusts no header.

Format: POSIX.1-1988 ustar (IEEE Std 1003.1, pax utility, "ustar Interchange Format"), 512-byte blocks, two
zero blocks at the end.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

BLOCK: Final = 512
END: Final = bytes(2 * BLOCK)


class DamagedTarError(ValueError):
    """A tar file that is cut short, or holds what no shard of ours holds."""


@dataclass(frozen=True)
class Entry:
    """A file in a tar: where its header and its bytes start."""

    name: str
    header_offset: int
    offset: int
    size: int

    @property
    def end(self) -> int:
        """Where the next header starts."""
        return self.offset + self.size + padding(self.size)


def header(name: str, size: int) -> bytes:
    """The 512 bytes before a file: mode 0644, no owner, no time.

    Raises ValueError if the name has folders or odd characters in it, or does not fit ustar (100 of them).
    """
    _check_name(name)
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    data = info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")
    if len(data) != BLOCK:
        raise ValueError(f"tar name {name!r} does not fit one ustar header")
    return data


def padding(size: int) -> int:
    """Zero bytes behind a file of this size."""
    return -size % BLOCK


def entries(file: IO[bytes], size: int) -> Iterator[Entry]:
    """Walk a tar of `size` bytes; the caller may move in the file between two entries.

    Only plain files with plain names pass, no folders, each name once, all within the file, with both end
    blocks. Raises DamagedTarError otherwise.
    """
    position = 0
    names: set[str] = set()
    while True:
        file.seek(position)
        block = file.read(BLOCK)
        if block == bytes(BLOCK):
            if file.read(BLOCK) != bytes(BLOCK):
                raise DamagedTarError(f"tar ends at byte {position} without its two end blocks")
            return
        entry = _entry(block, position)
        if entry.end > size:
            raise DamagedTarError(f"tar entry {entry.name!r} claims {entry.size} bytes, more than the file has")
        if entry.name in names:
            raise DamagedTarError(f"tar holds {entry.name!r} twice")
        names.add(entry.name)
        yield entry
        position = entry.end


def _entry(block: bytes, position: int) -> Entry:
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        _check_name(info.name)
    except (tarfile.HeaderError, ValueError) as error:
        raise DamagedTarError(f"tar has a bad header at byte {position}: {error}") from None
    if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.size < 0:
        raise DamagedTarError(f"tar entry {info.name!r} is not a plain file")
    return Entry(info.name, position, position + BLOCK, info.size)


def _check_name(name: str) -> None:
    if not name.isprintable() or "/" in name or "\\" in name or name in ("", ".", ".."):
        raise ValueError(f"{name!r} is not a plain file name")
