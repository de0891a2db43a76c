"""Crashes at every step of what changes a corpus folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from manifests.layout import SPOOL
from manifests.storage import Storage
from tests.datagen.farm.toy import data_files


def crash_everywhere(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[[Storage], None],
    act: Callable[[Storage], None],
    reference: dict[str, str],
) -> int:
    """Run `act` on a disk that fails at its n-th change, then on a sound one, for every n. Returns how many.

    Every time, what `prepare` made must come to hold the files `reference`, and nothing else.
    """
    for step in range(200):
        storage = Storage(str(tmp_path / f"crash-{step}"))
        prepare(storage)
        with monkeypatch.context() as patch:
            crashed = fail_at(patch, step)
            try:
                act(storage)
            except OSError:
                assert crashed()
        if not crashed():
            return step
        act(storage)
        storage.delete_folder(SPOOL)  # as every run does at its end
        assert data_files(Path(storage.url)) == reference
    raise AssertionError("it never came to an end")


def fail_at(patch: pytest.MonkeyPatch, step: int) -> Callable[[], bool]:
    """Let every rename and deletion from the n-th on fail, as if the process had died there."""
    count = 0

    def guard(name: str, change: Callable[..., object]) -> None:
        def guarded(*args: object, **options: object) -> object:
            nonlocal count
            count += 1
            if count > step:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return change(*args, **options)

        patch.setattr(name, guarded)

    guard("pathlib.Path.rename", Path.rename)
    guard("manifests.storage.Storage.delete", Storage.delete)
    guard("manifests.storage.Storage.delete_folder", Storage.delete_folder)
    return lambda: count > step
