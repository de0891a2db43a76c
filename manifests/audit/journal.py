"""What a full audit has done so far, a line a shard, so that one that was stopped goes on where it was."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from manifests.audit.report import finding_of
from manifests.audit.shard_check import ShardResult, ShardTask
from manifests.errors import UserError


def journal_path(*key: object) -> str:
    """The journal of an audit of these circumstances, in ``$FACTORPORTRAIT_CACHE`` or ``~/.cache/factorportrait``."""
    root = os.environ.get("FACTORPORTRAIT_CACHE") or os.path.expanduser("~/.cache/factorportrait")
    name = hashlib.sha256(json.dumps([str(part) for part in key]).encode()).hexdigest()[:32]
    return str(Path(root) / "audits" / f"{name}.jsonl")


class Journal:
    """Results by shard; one that changed since (size, time of change, rows) is not found again."""

    def __init__(self, file: IO[bytes], known: dict[str, tuple[int, int]]) -> None:
        self._file, self._known = file, known

    def result(self, task: ShardTask, state: str) -> ShardResult | None:
        """What is known of a shard in this state."""
        stretch = self._known.get(_name(task, state))
        if stretch is None:
            return None
        self._file.seek(stretch[0])
        return _result_of(self._file.read(stretch[1]))

    def add(self, task: ShardTask, state: str, result: ShardResult) -> None:
        self._file.seek(0, os.SEEK_END)
        self._file.write(_line(_name(task, state), result))
        self._file.flush()


@contextlib.contextmanager
def open_journal(path: str) -> Iterator[Journal]:
    """The journal at `path`, made if it is not there; deleted when the block ends without an error, since what was
    true of a shard's bytes then need not be true at the next audit.

    Raises UserError if it cannot be written.
    """
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        with open(path, "a+b") as file:
            known, end = _lines(file)
            file.truncate(end)
            yield Journal(file, known)
    except OSError as error:
        if error.filename != path and error.filename != os.path.dirname(os.path.abspath(path)):
            raise
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); set FACTORPORTRAIT_CACHE to a writable folder"
        ) from None
    with contextlib.suppress(FileNotFoundError):
        os.remove(path)


def state_of(task: ShardTask, size: int | None, modified: object) -> str:
    """Stands for the shard's file and rows as they are now."""
    text = json.dumps([task.rows, size, str(modified)], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _name(task: ShardTask, state: str) -> str:
    return f"{task.source} {task.shard} {state}"


def _lines(file: IO[bytes]) -> tuple[dict[str, tuple[int, int]], int]:
    """Where each result is (start, length), and the end of the last whole line; a torn one follows it."""
    file.seek(0)
    known: dict[str, tuple[int, int]] = {}
    end = 0
    for line in file:
        if not line.endswith(b"\n") or _result_of(line) is None:
            break
        known[json.loads(line)["shard"]] = (end, len(line))
        end += len(line)
    return known, end


def _line(name: str, result: ShardResult) -> bytes:
    content = dataclasses.asdict(result)
    content["fingerprints"] = [(clip, made.hex()) for clip, made in result.fingerprints]
    return json.dumps({"shard": name, **content}).encode() + b"\n"


def _result_of(line: bytes) -> ShardResult | None:
    try:
        content: dict[str, Any] = json.loads(line)
        findings = tuple(finding_of(item) for item in content["findings"])
        prints = tuple((str(clip), bytes.fromhex(made)) for clip, made in content["fingerprints"])
        counts = {str(check): int(count) for check, count in content["counts"].items()}
        str(content["shard"])
        return ShardResult(int(content["clips_read"]), counts, findings, prints)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
