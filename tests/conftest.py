"""The corpus that tests share, made once by the command itself, through Ray and Blender."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from selenium import webdriver

from manifests.decode import decode
from manifests.manifest import read_manifest
from manifests.reader import CorpusReader
from tests.browser import start_browser

TESTS = Path(__file__).parent
CONFIG = TESTS / "corpus.yaml"


def start_generate(out: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    """`factorportrait generate` on the tests' configuration, as a process of its own."""
    command = [sys.executable, "-m", "factorportrait", "generate", str(CONFIG), "--out", str(out), *options]
    return subprocess.Popen(
        command,
        cwd=TESTS.parent,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """What it printed. Fails if it failed."""
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    return output


def data_hashes(out: Path) -> dict[str, str]:
    """SHA-256 of every file that is data: all but the log."""
    files = (path for path in sorted(out.rglob("*")) if path.is_file() and "log" not in path.parts)
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@dataclass(frozen=True)
class Generated:
    """A corpus on disk, and what the command said when it had made it."""

    out: Path
    output: str

    def rows(self) -> list[dict[str, Any]]:
        """Manifest rows."""
        rows: list[dict[str, Any]] = read_manifest(str(self.out)).to_pylist()
        return rows

    def sample(self, row: dict[str, Any]) -> dict[str, Any]:
        """All members of a clip, decoded."""
        members = CorpusReader(str(self.out)).members(row)
        return {name: decode(name, data) for name, data in members.items()}


@dataclass(frozen=True)
class Once:
    """Makes what many tests only read once a run, whichever of the processes that test needs it first."""

    folder: Path

    def make(self, name: str, make: Callable[[Path], str]) -> tuple[Path, str]:
        """A place that ``make`` has filled, and what that said."""
        place, said = self.folder / name, self.folder / f"{name}.txt"
        with FileLock(self.folder / f"{name}.lock"):
            if not said.is_file():
                shutil.rmtree(place, ignore_errors=True)  # what a process left that failed
                words = make(place)
                said.write_text(words)
        return place, said.read_text()


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Once:
    own = tmp_path_factory.getbasetemp()
    return Once(own if worker_id == "master" else own.parent)


@pytest.fixture(scope="session")
def corpus(once: Once) -> Generated:
    """Four clips by two workers. To try single tests without waiting for it, name one that is there already in
    FACTORPORTRAIT_TEST_CORPUS; tests only read it."""
    if kept := os.environ.get("FACTORPORTRAIT_TEST_CORPUS"):
        return Generated(Path(kept), "")
    return Generated(*once.make("corpus", lambda place: finish(start_generate(place, "--workers", "2"))))


@pytest.fixture(scope="session")
def browser() -> Iterator[webdriver.Chrome]:
    driver = start_browser()
    yield driver
    driver.quit()
