"""Faults planted in the shards of a real corpus: the full level finds each. And how the work is spread and resumed."""

from __future__ import annotations

import io
import json
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from manifests import tar
from manifests.audit import pool
from manifests.audit.probe import GeometryProbe
from manifests.audit.shard_check import ShardResult, ShardTask, check_shard, is_chosen
from manifests.clip import Member
from manifests.errors import UserError
from manifests.reader import CorpusReader
from tests.manifests.audit.plant import Copy

Plant = Callable[[Copy], Any]


def flip(copy: Copy, at: int) -> None:
    data = bytearray(copy.shard(0).read_bytes())
    data[at] ^= 1
    copy.shard(0).write_bytes(data)


def place(copy: Copy, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(member for member in copy.rows(0)[0]["members"] if member["name"] == name)
    return found


def flip_member(copy: Copy) -> None:
    """In the last bytes of a video, which decodes nonetheless."""
    member = place(copy, "v00.rgb.mp4")
    flip(copy, member["offset"] + member["size"] - 1)


def flip_header(copy: Copy) -> None:
    flip(copy, place(copy, "motion.npz")["offset"] - 512 + 120)


def flip_padding(copy: Copy) -> None:
    member = place(copy, "motion.npz")
    flip(copy, member["offset"] + member["size"])


def flip_end(copy: Copy) -> None:
    flip(copy, copy.shard(0).stat().st_size - 1)


def rename_in_shard(copy: Copy) -> None:
    """A member under a name that no row knows; all else stays where it is."""
    member, key = place(copy, "v00.alpha.mkv"), copy.rows(0)[0]["key"]
    data = bytearray(copy.shard(0).read_bytes())
    start = member["offset"] - 512
    data[start : member["offset"]] = tar.header(f"{key}.v00.omega.mkv", member["size"])
    copy.shard(0).write_bytes(data)


def of_another(copy: Copy) -> None:
    """One clip's pictures and motion under another's record."""
    samples = copy.samples(0)
    first, second, *_ = samples
    samples[second] = {**samples[first], "spec.json": samples[second]["spec.json"]}
    copy.write_shard(0, samples)


def spec_of(copy: Copy, **changes: Any) -> bytes:
    key = copy.rows(0)[0]["key"]
    return json.dumps({**json.loads(copy.samples(0)[key]["spec.json"]), **changes}).encode()


def other_software(copy: Copy) -> None:
    copy.edit_corpus(lambda corpus: corpus["software"].update(numpy="0.1"))


def pipe(copy: Copy) -> None:
    copy.shard(1).unlink()
    os.mkfifo(copy.shard(1))


FAULTS: list[tuple[set[str], Plant]] = [
    ({"bytes-differ"}, flip_member),
    ({"shard-malformed"}, flip_header),
    ({"shard-malformed"}, flip_padding),
    ({"shard-malformed"}, flip_end),
    ({"member-missing", "member-unknown"}, rename_in_shard),
    ({"clips-alike", "spec-disagrees"}, of_another),
    ({"software-differs"}, other_software),
    ({"spec-disagrees"}, lambda copy: copy.edit_row(0, 0, melanin=0.123)),
    (
        {"spec-disagrees"},
        lambda copy: copy.edit_member(0, copy.rows(0)[0]["key"], "spec.json", spec_of(copy, template="slow")),
    ),
    ({"shard-missing"}, lambda copy: copy.shard(1).unlink()),
    ({"shard-malformed"}, pipe),
    ({"shard-truncated"}, lambda copy: os.truncate(copy.shard(0), copy.shard(0).stat().st_size - 100_000)),
]


@pytest.mark.parametrize(("checks", "plant"), FAULTS)
def test_a_fault_is_found_and_nothing_else(copy: Copy, checks: set[str], plant: Plant) -> None:
    plant(copy)
    found = copy.checks(level="full")
    found.pop("frames-frozen", None)  # a moving record over another clip's pictures
    assert set(found) == checks


def test_a_sound_corpus_is_sound(copy: Copy) -> None:
    report = copy.audit(level="full")
    assert report.sound
    assert set(report.counts) <= {"geometry-unchecked"}
    assert report.clips_read == 4


def test_a_flipped_byte_is_found_by_its_member(copy: Copy) -> None:
    flip_member(copy)
    (finding,) = [finding for finding in copy.audit(level="full").findings if finding.check == "bytes-differ"]
    assert (finding.clip, finding.where) == (copy.rows(0)[0]["key"], "v00.rgb.mp4")


def info(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.type, entry.linkname = size, kind, link
    return entry.tobuf(tarfile.GNU_FORMAT)


def huge(name: str) -> bytes:
    """A header that claims eight exabytes, in the base-256 form that some programs write."""
    block = bytearray(info(name))
    block[124:136] = b"\x80" + (2**63 - 1).to_bytes(11, "big")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


HOSTILE = [
    info("../../escape.txt"),
    info("/etc/escape.txt"),
    info("folder/escape.txt"),
    info("link.spec.json", kind=tarfile.SYMTYPE, link="/etc/passwd"),
    info("link.spec.json", kind=tarfile.LNKTYPE, link="/etc/passwd"),
    info("zero.spec.json", kind=tarfile.CHRTYPE),
    info("folder", kind=tarfile.DIRTYPE),
    info("x" * 300),
    huge("tiny-000000009.spec.json"),
    info("tiny-000000009.spec.json", size=1 << 40),
    info("tiny-000000000.spec.json"),
]
"""Headers that follow the samples; the last is a name that is there already."""


@pytest.mark.parametrize("header", HOSTILE)
def test_a_hostile_tar_is_a_finding_and_touches_nothing(copy: Copy, tmp_path: Path, header: bytes) -> None:
    data = copy.shard(1).read_bytes() if header is not HOSTILE[-1] else copy.shard(0).read_bytes()
    number = 0 if header is HOSTILE[-1] else 1
    copy.shard(number).write_bytes(data[: -len(tar.END)] + header + tar.END)
    before = sorted(tmp_path.rglob("*"))
    assert set(copy.checks(level="full")) == {"shard-malformed"}
    assert sorted(tmp_path.rglob("*")) == before


def test_a_shard_of_endless_entries_is_given_up(copy: Copy) -> None:
    data = copy.shard(1).read_bytes()
    empty = b"".join(tar.header(f"tiny-000000003.{number}", 0) for number in range(11_000))
    copy.shard(1).write_bytes(data[: -len(tar.END)] + empty + tar.END)
    assert set(copy.checks(level="full")) == {"shard-malformed", "member-unknown"}


class Trap:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("/tmp/factorportrait-was-here",)


def pickled() -> bytes:
    """An npz with an object in it that makes a folder when it is unpickled."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        array = io.BytesIO()
        np.lib.format.write_array_header_1_0(array, {"descr": "|O", "fortran_order": False, "shape": (1,)})
        archive.writestr("shape.npy", array.getvalue() + pickle.dumps(Trap()))
    return content.getvalue()


def bomb() -> bytes:
    """An npz of 4 kB that says it unpacks to four gigabytes, of which it has four million bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("shape.npy", bytes(4_000_000))
    data = content.getvalue()
    return data.replace((4_000_000).to_bytes(4, "little"), (0xFFFFFFF0).to_bytes(4, "little"))


@pytest.mark.parametrize("made", [pickled, bomb])
def test_a_hostile_member_is_not_believed(copy: Copy, made: Callable[[], bytes]) -> None:
    copy.edit_member(0, copy.rows(0)[0]["key"], "motion.npz", made())
    assert set(copy.checks(level="full")) == {"member-undecodable"}
    assert not os.path.exists("/tmp/factorportrait-was-here")


@pytest.mark.parametrize(
    "values",
    [
        {"size": 2**62},
        {"offset": -512},
        {"offset": 2**63 - 1},
        {"members": [{"name": "spec.json", "offset": 512, "size": 2**62, "sha256": "0"}]},
        {"members": [{"name": "../../spec.json", "offset": 512, "size": 512, "sha256": "0"}]},
        {"views": 2**31 - 1},
        {"width": 2**31 - 8, "height": 2**31 - 8, "frames": 2**31 - 1},
        {"members": None},
        {"labels": None, "views": None},
    ],
)
def test_a_hostile_row_is_not_believed(copy: Copy, values: dict[str, Any]) -> None:
    copy.edit_row(1, 0, **values)
    assert not copy.audit(level="full").sound


def test_a_sample_of_clips_is_always_the_same(copy: Copy) -> None:
    keys = [copy.layout.key(index) for index in range(4)]
    share = max(np.linspace(0, 1, 50), key=lambda share: 0 < sum(is_chosen(key, share) for key in keys) < 4)
    chosen = sum(is_chosen(key, share) for key in keys)
    assert 0 < chosen < 4
    assert [copy.audit(level="full", sample=share).clips_read for _ in range(2)] == [chosen, chosen]
    many = sum(is_chosen(f"tiny-{index:09d}", 0.25) for index in range(10_000))
    assert 2300 < many < 2700


def test_the_smallest_share_still_reads_the_first_clip(copy: Copy) -> None:
    with pytest.raises(UserError, match="add --level full"):
        copy.audit(sample=0.5)
    assert copy.audit(level="full", sample=1e-9).clips_read == 1
    key = copy.rows(0)[0]["key"]
    copy.edit_member(0, key, "cameras.npz", b"")
    report = copy.audit(level="full", sample=1e-9)
    assert {finding.clip for finding in report.findings if finding.severity == "error"} == {key}


def test_a_corpus_without_a_readable_clip_is_said_to_have_been_read_nowhere(copy: Copy) -> None:
    for shard in (0, 1):
        copy.shard(shard).unlink()
    report = copy.audit(level="full")
    assert report.clips_read == 0
    assert report.unchecked[0].startswith("any clip's members")


class StoppedError(Exception):
    pass


def test_an_audit_that_was_stopped_goes_on(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    flip_member(copy)
    whole = copy.audit(level="full")

    def stop(done: int, shards: int) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        copy.audit(level="full", progress=stop)
    journal = copy.out.parent / "journal.jsonl"
    assert len(journal.read_bytes().splitlines()) == 1
    with journal.open("ab") as file:
        file.write(b'{"shard": "torn')
    checked: list[int] = []

    def check(task: ShardTask, *rest: Any) -> ShardResult:
        checked.append(task.shard)
        return check_shard(task, *rest)

    monkeypatch.setattr(pool, "check_shard", check)
    assert copy.audit(level="full") == whole
    assert checked == [1]
    assert not journal.exists()
    assert copy.audit(level="full") == whole
    assert checked == [1, 0, 1]


def test_a_shard_that_changed_since_is_read_again(copy: Copy) -> None:
    def stop(done: int, shards: int) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        copy.audit(level="full", progress=stop)
    flip_member(copy)
    os.utime(copy.shard(0), ns=(0, 0))
    assert set(copy.checks(level="full")) == {"bytes-differ"}


def test_progress_is_told_shard_by_shard(copy: Copy) -> None:
    told: list[tuple[int, int]] = []
    copy.audit(level="full", progress=lambda *numbers: told.append(numbers))
    assert told == [(1, 2), (2, 2)]


def dies(
    spec: Mapping[str, Any],
    motion: Mapping[str, Any],
    cameras: Mapping[str, Any],
    pictures: Sequence[tuple[int, int]],
) -> list[Any]:
    """A probe that ends its process at one clip, as a fault in foreign code would."""
    if spec["index"] == 3:
        os._exit(1)
    raise UserError("no head here")


def headless(spec: Mapping[str, Any], motion: Mapping[str, Any], count: int) -> Any:
    raise UserError("no head here")


def test_processes_find_the_same_and_outlive_a_dying_one(copy: Copy) -> None:
    flip_member(copy)
    report = copy.audit(level="full", workers=2, probe=GeometryProbe(dies, headless))
    assert {check for check in report.counts if check != "geometry-unchecked"} == {"bytes-differ", "shard-malformed"}
    (dead,) = [finding for finding in report.findings if finding.check == "shard-malformed"]
    assert dead.where == copy.layout.shard_path(1)
    assert report.clips_read == 3
    assert copy.audit(level="full", workers=2) == copy.audit(level="full", workers=1)


def test_clips_rendered_again_are_compared_byte_by_byte(copy: Copy) -> None:
    reader = CorpusReader(str(copy.out))
    asked: list[int] = []

    def rerender(config: Mapping[str, Any], index: int, device: str | None) -> list[Member]:
        assert config == reader.sources[0].corpus.config
        asked.append(index)
        stored = reader.members(reader.row(copy.layout.key(index)))
        if index == 3:
            stored["v01.rgb.mp4"] += b"?"
            del stored["motion.npz"]
        return [Member(name, data) for name, data in stored.items()]

    report = copy.audit(replay=2, rerender=rerender)
    assert asked == [1, 3]
    assert report.clips_replayed == 2
    assert [(finding.clip, finding.where) for finding in report.findings] == [
        (copy.layout.key(3), "motion.npz"),
        (copy.layout.key(3), "v01.rgb.mp4"),
    ]
    assert set(report.counts) == {"replay-differs"}
    assert copy.audit(replay=99, rerender=rerender).clips_replayed == 4
