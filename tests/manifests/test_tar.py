from __future__ import annotations

import io
import tarfile

import pytest

from manifests import tar
from manifests.tar import DamagedTarError, Entry


def pack(files: dict[str, bytes]) -> bytes:
    pieces = (tar.header(name, len(data)) + data + bytes(tar.padding(len(data))) for name, data in files.items())
    return b"".join(pieces) + tar.END


def walk(data: bytes) -> list[Entry]:
    return list(tar.entries(io.BytesIO(data), len(data)))


def foreign(*infos: tarfile.TarInfo) -> bytes:
    """What another program might have written."""
    return b"".join(info.tobuf(tarfile.USTAR_FORMAT) for info in infos) + tar.END


FILES = {
    "a-0.spec.json": b"{}",
    "a-0.v00.rgb.mp4": bytes(range(256)) * 5,
    "a-1.spec.json": b"",
    "b": b"x" * 512,
}


def test_python_reads_it_and_finds_no_owner_or_time() -> None:
    with tarfile.open(fileobj=io.BytesIO(pack(FILES))) as archive:
        for member, (name, data) in zip(archive, FILES.items(), strict=True):
            assert member.name == name
            assert archive.extractfile(member).read() == data  # type: ignore[union-attr]
            assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")
            assert member.mode == 0o644


def test_entries_say_where_everything_is() -> None:
    data = pack(FILES)
    found = walk(data)
    assert {entry.name: data[entry.offset : entry.offset + entry.size] for entry in found} == FILES
    assert [entry.header_offset for entry in found[1:]] == [entry.end for entry in found[:-1]]
    assert found[-1].end + len(tar.END) == len(data)


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "", "a//b", "./a", "a\nb", "a\\b", "x" * 101])
def test_a_bad_name_is_never_written(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        tar.header(name, 1)


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "./a", "a/b"])
def test_a_bad_name_is_never_read(name: str) -> None:
    with pytest.raises(DamagedTarError, match="plain file name"):
        walk(foreign(tarfile.TarInfo(name)))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_only_plain_files_are_read(kind: bytes) -> None:
    info = tarfile.TarInfo("link")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(DamagedTarError, match="not a plain file"):
        walk(foreign(info))


def test_a_size_beyond_the_file_is_refused() -> None:
    info = tarfile.TarInfo("big")
    info.size = 1 << 30
    with pytest.raises(DamagedTarError, match="more than the file has"):
        walk(foreign(info))


@pytest.mark.parametrize("cut", [1, 512, 1024, 1025, 2000])
def test_a_cut_file_is_noticed(cut: int) -> None:
    with pytest.raises(DamagedTarError):
        walk(pack(FILES)[:-cut])


def test_a_flipped_bit_in_a_header_is_noticed() -> None:
    data = bytearray(pack(FILES))
    data[3] ^= 1
    with pytest.raises(DamagedTarError, match="bad header at byte 0"):
        walk(bytes(data))


def test_the_same_name_twice_is_refused() -> None:
    with pytest.raises(DamagedTarError, match="twice"):
        walk(foreign(tarfile.TarInfo("a"), tarfile.TarInfo("a")))
