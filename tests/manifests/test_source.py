"""Which source made a corpus: the digest of what shapes clips, and who asks for it."""

from __future__ import annotations

import ast
import dataclasses
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from setuptools import find_packages

import factorportrait
from manifests.conventions import FORMAT_VERSION
from manifests.corpus import PROGRAM, Corpus, check_output, installed_version, read_corpus, write_corpus
from manifests.errors import UserError
from manifests.replay import replay
from manifests.source import _files, installed_digest, source_digest
from manifests.storage import Storage
from tests.conftest import CONFIG, Generated, data_hashes
from tests.manifests.audit.plant import Copy
from tests.manifests.test_replay import CLIP, Renderer

ROOT = Path(factorportrait.__file__).parent
ELSEWHERE = {
    "manifests",
    "manifests.corpus",
    "manifests.errors",
    "manifests.manifest",
    "manifests.storage",
    "manifests.text",
}
"""Modules that shaping ones import and that shape no clip: names of files, errors and versions."""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the sources."""
    for room in ("datagen", "manifests"):
        shutil.copytree(ROOT / room, tmp_path / "copy" / room, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "copy"


def test_a_copy_has_the_same_digest(sources: Path) -> None:
    assert re.fullmatch("[0-9a-f]{12}", installed_digest())
    assert source_digest(sources) == installed_digest()


def leave_bytecode(sources: Path) -> None:
    (sources / "datagen" / "sampling" / "__pycache__").mkdir()
    (sources / "datagen" / "sampling" / "__pycache__" / "clip.cpython-311.pyc").write_bytes(b"\0")


def dos_line_ends(sources: Path) -> None:
    for path in sources.rglob("*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def leave_notebooks(sources: Path) -> None:
    for path in ("datagen/.ipynb_checkpoints/clip.py", "datagen/sampling/.#clip.py"):
        (sources / path).parent.mkdir(exist_ok=True)
        (sources / path).write_text("raise SystemExit")


def touch(path: str) -> Callable[[Path], None]:
    def change(sources: Path) -> None:
        with (sources / path).open("a") as file:
            file.write("# a word\n")

    return change


@pytest.mark.parametrize(
    "change",
    [
        leave_bytecode,
        dos_line_ends,
        leave_notebooks,
        touch("datagen/farm/pool.py"),
        touch("datagen/corpora/paper.yaml"),
        touch("manifests/report/page.py"),
    ],
)
def test_what_shapes_no_clip_does_not_count(sources: Path, change: Callable[[Path], None]) -> None:
    change(sources)
    assert source_digest(sources) == installed_digest()


@pytest.mark.parametrize(
    "change",
    [
        touch("datagen/sampling/clip.py"),
        touch("datagen/blender/hair.py"),
        touch("datagen/encode.py"),
        touch("manifests/tar.py"),
        lambda sources: (sources / "datagen/sampling/new.py").write_text(""),
        lambda sources: (sources / "datagen/sampling/gaze.py").unlink(),
        lambda sources: (sources / "datagen/sampling/gaze.py").rename(sources / "datagen/gaze.py"),
    ],
)
def test_what_shapes_clips_counts(sources: Path, change: Callable[[Path], object]) -> None:
    change(sources)
    assert source_digest(sources) != installed_digest()


def test_no_module_that_shapes_clips_is_left_out() -> None:
    files = dict(_files(ROOT))
    counted = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in files}
    for path in files.values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("datagen", "manifests"):
                module = str(node.module)
                names = {f"{module}.{alias.name}" for alias in node.names} & {
                    ".".join(found.relative_to(ROOT).with_suffix("").parts)
                    for found in (ROOT / module.replace(".", "/")).glob("*.py")
                }
                assert (names or {module}) <= counted | ELSEWHERE, f"{path}: {names or module}"


def test_a_wheel_holds_all_that_counts() -> None:
    packages = {package.replace(".", "/") for package in find_packages(str(ROOT), include=["datagen*", "manifests*"])}
    assert {name.rpartition("/")[0] for name, _ in _files(ROOT)} <= packages


def test_the_command_prints_it() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "factorportrait", "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout == f"factorportrait {installed_version(PROGRAM)}\n"
    assert run.stdout.endswith(f"+{installed_digest()}\n")


def other_source(fields: dict[str, dict[str, str]]) -> None:
    """As if the corpus were begun from a checkout of the same version with other sampling code."""
    fields["software"][PROGRAM] = fields["software"][PROGRAM].replace(installed_digest(), "0123456789ab")


@pytest.fixture
def copy(corpus: Generated, tmp_path: Path) -> Copy:
    return Copy.of(corpus.out, tmp_path / "corpus")


def test_a_corpus_and_its_clips_record_it(corpus: Generated) -> None:
    there = read_corpus(Storage(str(corpus.out)))
    assert there.software[PROGRAM] == installed_version(PROGRAM)
    assert corpus.sample(corpus.rows()[0])["spec.json"]["software"] == there.software


def test_another_source_does_not_go_on_with_a_corpus(copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    copy.edit_corpus(other_source)
    before = data_hashes(copy.out)
    assert factorportrait.main(["generate", str(CONFIG), "--out", str(copy.out), "--clips", "6"]) == 2
    error = capsys.readouterr().err
    assert "was begun with factorportrait 0.1.0+0123456789ab, here is 0.1.0+" in error
    assert "go on with the source that began it (its `factorportrait --version` prints that), or choose" in error
    assert data_hashes(copy.out) == before


def test_other_packages_are_to_be_installed(tmp_path: Path) -> None:
    begun = Corpus(FORMAT_VERSION, "toy", 10, 4, "abc", {}, {"numpy": "1"})
    write_corpus(Storage(str(tmp_path)), begun)
    with pytest.raises(UserError, match="begun with numpy 1, here is 2: clips could differ; install numpy 1, or"):
        check_output(Storage(str(tmp_path)), dataclasses.replace(begun, software={"numpy": "2"}))


def test_audit_and_replay_say_it(copy: Copy) -> None:
    copy.edit_corpus(other_source)
    report = copy.audit()
    assert report.counts == {"source-differs": 1}
    assert report.passes(strict=True)
    (finding,) = report.findings
    assert (finding.expected, finding.seen) == (
        f"factorportrait {installed_version(PROGRAM)}",
        "factorportrait 0.1.0+0123456789ab",
    )
    (reason,) = replay(str(copy.out), CLIP, Renderer(copy.out)).reasons
    assert reason.startswith(
        f"factorportrait is {installed_version(PROGRAM)}, the corpus was made with 0.1.0+0123456789ab"
    )


def test_clips_of_another_source_than_their_corpus_are_found(copy: Copy) -> None:
    copy.edit_corpus(other_source)
    assert copy.checks(level="full") == {"source-differs": 1, "software-differs": 4}
