"""A server for the tests' corpus."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from datagen.probe import mesh_probe
from manifests.browse import Server
from tests.conftest import Generated


@pytest.fixture(scope="session")
def url(corpus: Generated) -> Iterator[str]:
    with Server(str(corpus.out), mesh=mesh_probe) as server:
        yield server.url


@pytest.fixture
def copy(corpus: Generated, tmp_path: Path) -> Path:
    """The corpus, to plant faults in."""
    return Path(shutil.copytree(corpus.out, tmp_path / "out"))
