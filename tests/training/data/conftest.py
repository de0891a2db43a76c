"""Corpora that the tests of this folder share, and only read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Generated
from tests.training.data.many import write_many
from training.data.clips import Clips


@pytest.fixture(scope="session")
def many(corpus: Generated, tmp_path_factory: pytest.TempPathFactory) -> str:
    """22 clips of 5 people in shards of 4; each has 5 frames and 2 views."""
    return write_many(str(corpus.out), str(tmp_path_factory.mktemp("many") / "out"))


@pytest.fixture(scope="session")
def clips(many: str) -> Clips:
    return Clips(many)


@pytest.fixture
def own(corpus: Generated, tmp_path: Path) -> str:
    """The same corpus, to be damaged."""
    return write_many(str(corpus.out), str(tmp_path / "own"))
