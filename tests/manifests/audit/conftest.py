from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Generated
from tests.manifests.audit.plant import Copy


@pytest.fixture
def copy(corpus: Generated, tmp_path: Path) -> Copy:
    """A copy of the tests' corpus."""
    return Copy.of(corpus.out, tmp_path / "copy")
