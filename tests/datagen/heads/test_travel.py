from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from datagen.heads.model import load_head
from datagen.heads.store import ARRAYS_FILE, head_folder
from datagen.heads.travel import pack_head, unpack_head
from manifests.errors import UserError


def test_a_head_arrives_on_another_machine_as_it_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = load_head("open")
    packed = pack_head("open")
    monkeypatch.setenv("FACTORPORTRAIT_CACHE", str(tmp_path))
    folder = unpack_head(packed)
    assert unpack_head(packed) == folder
    there = load_head(folder)
    assert there.info == here.info
    np.testing.assert_array_equal(there.template, here.template)
    assert [path.name for path in Path(folder).parent.iterdir()] == [packed.sha256]


def test_a_head_that_changed_on_disk_neither_travels_nor_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = pack_head("open")
    monkeypatch.setenv("FACTORPORTRAIT_CACHE", str(tmp_path))
    folder = unpack_head(dataclasses.replace(packed, arrays=packed.arrays[:-1]))
    for use in (pack_head, load_head):
        with pytest.raises(UserError, match=f"{ARRAYS_FILE} has changed.*remove {folder}"):
            use(folder)
    assert head_folder(folder) == Path(folder)
