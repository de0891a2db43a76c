"""Members that somebody made to harm whoever audits them: they become findings, and nothing else happens."""

from __future__ import annotations

import io
import json
import pickle
import random
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from manifests.audit.findings import CHECKS
from tests.conftest import TESTS, Generated
from tests.manifests.audit.members import Members, Plant, StoredClip, archive, encoded, in_arrays, stored_clips

MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def clip(corpus: Generated) -> StoredClip:
    return stored_clips(str(corpus.out))[1]


class Exit:
    """Ends the process of whoever unpickles it."""

    def __reduce__(self) -> Any:
        return sys.exit, (3,)


def pickled(members: Members) -> None:
    stored = np.empty(1, object)
    stored[0] = Exit()
    np.lib.format.write_array(data := io.BytesIO(), stored, allow_pickle=True)
    members["motion.npz"] = archive(data.getvalue())


def bare_pickle(members: Members) -> None:
    members["motion.npz"] = pickle.dumps(Exit())


def bomb(members: Members) -> None:
    """A quarter of a gigabyte of zeros that takes a quarter of a megabyte."""
    with zipfile.ZipFile(file := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as out, out.open("shape.npy", "w") as entry:
        for _ in range(256):
            entry.write(bytes(MEBIBYTE))
    members["motion.npz"] = file.getvalue()


def lying_archive(members: Members) -> None:
    """An entry whose header declares a terabyte of numbers."""
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (274877906944,), }"
    members["cameras.npz"] = archive(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64))


def many_entries(members: Members) -> None:
    with zipfile.ZipFile(file := io.BytesIO(), "w") as out:
        for number in range(40_000):
            out.writestr(zipfile.ZipInfo(str(number)), b"")
    members["landmarks.npz"] = file.getvalue()


def declared_huge(members: Members) -> None:
    """A video of 256 x 256 whose header says 60000 x 60000."""
    data = encoded("alpha", np.zeros((5, 256, 256), np.uint8))
    edge, large = (256).to_bytes(2, "big"), (60000).to_bytes(2, "big")
    for element in (b"\xb0\x82", b"\xba\x82"):  # PixelWidth and PixelHeight of two bytes
        assert data.count(element + edge) == 1
        data = data.replace(element + edge, element + large)
    members["v00.alpha.mkv"] = data


def huge(members: Members) -> None:
    """Some kilobytes that hold pictures of 32 MiB each."""
    members["v00.depth.mkv"] = encoded("depth", np.zeros((5, 4096, 4096), np.float32))
    assert len(members["v00.depth.mkv"]) < MEBIBYTE


def very_long(members: Members) -> None:
    members["v00.alpha.mkv"] = encoded("alpha", np.zeros((3000, 64, 80), np.uint8))


def nested(members: Members) -> None:
    members["spec.json"] = b"[" * 100_000


def large_record(members: Members) -> None:
    members["spec.json"] = b'{"a":[' + b"[]," * 2_000_000 + b"[]]}"


HOSTILE: dict[str, tuple[Plant, str, str]] = {
    "a pickle in an archive": (pickled, "member-undecodable", "motion.npz"),
    "a pickle": (bare_pickle, "member-undecodable", "motion.npz"),
    "a bomb": (bomb, "member-undecodable", "motion.npz"),
    "a lying header": (lying_archive, "member-undecodable", "cameras.npz"),
    "very many entries": (many_entries, "member-undecodable", "landmarks.npz"),
    "60000 x 60000": (declared_huge, "member-undecodable", "v00.alpha.mkv"),
    "huge pictures": (huge, "member-undecodable", "v00.depth.mkv"),
    "very many pictures": (very_long, "frame-count", "v00.alpha.mkv"),
    "deep JSON": (nested, "member-undecodable", "spec.json"),
    "much JSON": (large_record, "member-undecodable", "spec.json"),
}


@pytest.mark.parametrize("fault", HOSTILE)
def test_a_hostile_member_is_a_finding(clip: StoredClip, fault: str) -> None:
    plant, check, where = HOSTILE[fault]
    seen = [(f.check, f.where) for f in clip.check(None, plant).findings if f.check != "geometry-unchecked"]
    assert seen == [(check, where)]


def test_the_planted_pickle_would_run(clip: StoredClip) -> None:
    members: Members = {}
    bare_pickle(members)
    with pytest.raises(SystemExit):
        pickle.loads(members["motion.npz"])


CHECK_FILES = """
import json, resource, sys
from pathlib import Path
from manifests.audit.sample import check_sample
from manifests.conventions import FORMAT_VERSION
from manifests.corpus import Corpus
from manifests.decode import read_frames
folder = Path(sys.argv[1])
row = json.loads((folder / "row.json").read_text())
members = {path.name: path.read_bytes() for path in (folder / "members").iterdir()}
sound = {path.name: path.read_bytes() for path in (folder / "sound").iterdir()}
corpus = Corpus(FORMAT_VERSION, "tiny", 4, 3, "", {}, {})
check_sample(row, sound, None, corpus)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
check_sample(row, members, None, corpus)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_hostile_members_take_no_memory(clip: StoredClip, tmp_path: Path) -> None:
    """Peak memory of a process of its own, above what the sound clip took."""
    members = dict(clip.members)
    for plant in (bomb, lying_archive, many_entries, declared_huge, huge, large_record):
        plant(members)
    (tmp_path / "row.json").write_text(json.dumps(clip.row))
    for folder, content in (("members", members), ("sound", clip.members)):
        (tmp_path / folder).mkdir()
        for name, data in content.items():
            (tmp_path / folder / name).write_bytes(data)
    command = [sys.executable, "-c", CHECK_FILES, str(tmp_path)]
    done = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, check=True)
    kibibytes = int(done.stdout)
    assert kibibytes < 64 * 1024, f"{kibibytes} KiB"


@pytest.mark.parametrize(
    "sizes", [{"frames": 10**9}, {"views": 0}, {"views": 10**6}, {"width": 10**6}, {"height": None}, {"frames": True}]
)
def test_a_row_of_impossible_size_is_not_believed(clip: StoredClip, sizes: dict[str, Any]) -> None:
    assert clip.found(None, **sizes) == {"row-invalid"}


def test_what_a_record_says_cannot_steer_a_terminal(clip: StoredClip) -> None:
    def plant(members: Members) -> None:
        members["spec.json"] = members["spec.json"].replace(b'"template":"quick"', b'"template":"\\u001b[31m\\ud800"')

    texts = [finding.seen for finding in clip.check(None, plant).findings if finding.check == "spec-disagrees"]
    assert texts == ["[31m"]


@pytest.mark.parametrize("value", [3e38, -1e30, 1e-38, 0.0])
@pytest.mark.parametrize("name", ["motion.npz", "cameras.npz", "landmarks.npz"])
def test_numbers_of_any_size_are_no_error(clip: StoredClip, name: str, value: float) -> None:
    def change(content: dict[str, Any]) -> None:
        for array in content.values():
            array[...] = value

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert clip.found(None, in_arrays(name, change)) <= CHECKS.keys()


@pytest.mark.parametrize("seed", range(40))
def test_flipped_and_cut_bytes_are_no_error(clip: StoredClip, seed: int) -> None:
    rng = random.Random(seed)

    def plant(members: Members) -> None:
        for name in rng.sample(sorted(members), 3):
            data = bytearray(members[name])
            for _ in range(rng.choice([1, 5, 50])):
                data[rng.randrange(len(data))] = rng.randrange(256)
            members[name] = bytes(data[: rng.choice([len(data), len(data), rng.randrange(len(data))])])

    assert clip.found(None, plant) <= CHECKS.keys()


def test_a_codec_that_nobody_knows_is_a_finding(clip: StoredClip) -> None:
    def plant(members: Members) -> None:
        assert members["v00.alpha.mkv"].count(b"V_FFV1") == 1
        members["v00.alpha.mkv"] = members["v00.alpha.mkv"].replace(b"V_FFV1", b"V_XXXX")

    assert clip.found(None, plant) == {"member-undecodable", "geometry-unchecked"}
