"""What one worker process does: render a clip into the spool, or assemble a shard from it."""

from __future__ import annotations

import errno
import importlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import psutil
import ray
from ray.util import get_node_ip_address

from datagen.heads.travel import unpack_head
from manifests import spool
from manifests.clip import Member
from manifests.corpus import installed_version, read_corpus
from manifests.errors import UserError
from manifests.layout import Layout
from manifests.shard import DamagedFragmentError, assemble
from manifests.storage import Storage, output_problem

_ERROR_LENGTH = 400


class ClipPipeline(Protocol):
    """What makes clips. The class is called with the resolved configuration as JSON."""

    def members(self, index: int) -> list[Member]: ...


@dataclass(frozen=True)
class Assignment:
    """All that a worker needs to know, whatever clips it gets."""

    config_json: str
    config_hash: str
    out: str
    layout: Layout
    pipeline: str
    """``module:Class``; the worker imports it, the driver does not."""
    clips_per_worker: int
    worker_memory_bytes: int
    software: Mapping[str, str] = field(default_factory=dict)
    """Version of each distribution that shapes bytes, as the driver has it."""
    head: ray.ObjectRef | None = None
    """A PackedHead, for workers on machines that may not have it; None where they share the driver's cache."""


class Verdict(Enum):
    DONE = "done"
    CLIP_FAILED = "clip failed"
    """The clip's own fault, so far as one attempt can tell."""
    RUN_FAILED = "run failed"
    """Nothing to do with the clip: no other clip would fare better."""
    DAMAGED = "damaged"
    """A shard could not be assembled: clips of it are gone from the spool."""


@dataclass(frozen=True)
class Outcome:
    """What came of a piece of work."""

    verdict: Verdict
    error: str = ""
    clip: int = -1
    """With DAMAGED: the clip to render again."""
    worn: bool = False
    """The worker has done its share or grown too large: replace it."""


@dataclass(frozen=True)
class Start:
    """A worker's first answer: where it runs, and whether it can work."""

    node: str
    """Ray's id of it."""
    address: str
    """Of the machine: nodes may share one."""
    pid: int
    outcome: Outcome


class Worker:
    """A Ray actor's class. Its methods return an `Outcome` and do not raise."""

    def __init__(self, assignment: Assignment) -> None:
        self._given = assignment
        self._rendered = 0

    def ready(self) -> Start:
        """Load everything."""
        node = str(ray.get_runtime_context().get_node_id())
        return Start(node, get_node_ip_address(), os.getpid(), self._load())

    def render(self, clip: int) -> Outcome:
        """Render one clip into the spool."""
        try:
            pieces = spool.pack(self._given.layout, clip, self._pipeline.members(clip))
        except UserError as error:
            return Outcome(Verdict.RUN_FAILED, str(error))
        except (Exception, SystemExit) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                where = error.filename or "the folder for temporary files"
                return Outcome(Verdict.RUN_FAILED, f"{where} is full: free space and run the same command again")
            return Outcome(Verdict.CLIP_FAILED, describe(error), worn=True)  # the process may be what is sick
        try:
            spool.write_clip(self._storage, self._given.layout, clip, pieces)
        except Exception as error:
            return Outcome(Verdict.RUN_FAILED, output_problem(error, self._given.out))
        self._rendered += 1
        return Outcome(Verdict.DONE, worn=self._worn())

    def assemble(self, shard: int) -> Outcome:
        """Turn a complete spool into a committed shard."""
        try:
            assemble(self._storage, self._given.layout, shard, self._given.config_hash)
        except DamagedFragmentError as error:
            return Outcome(Verdict.DAMAGED, clip=error.clip)
        except Exception as error:
            return Outcome(Verdict.RUN_FAILED, output_problem(error, self._given.out))
        return Outcome(Verdict.DONE)

    def _load(self) -> Outcome:
        try:
            self._storage = Storage(self._given.out)
            self._check_output()
            self._check_software()
            module, name = self._given.pipeline.split(":")
            pipeline_type = getattr(importlib.import_module(module), name)
            self._pipeline: ClipPipeline = pipeline_type(self._config_json())
        except UserError as error:
            return Outcome(Verdict.RUN_FAILED, str(error))
        except (Exception, SystemExit) as error:
            text = f"a worker cannot start on {os.uname().nodename}: {describe(error)}"
            return Outcome(Verdict.RUN_FAILED, text)
        return Outcome(Verdict.DONE)

    def _config_json(self) -> str:
        if self._given.head is None:
            return self._given.config_json
        folder = unpack_head(ray.get(self._given.head))
        return json.dumps({**json.loads(self._given.config_json), "head": folder})

    def _check_output(self) -> None:
        try:
            there = read_corpus(self._storage).config_hash == self._given.config_hash
        except UserError:
            there = False
        if not there:
            raise UserError(
                f"output {self._given.out} is not visible from node {os.uname().nodename}; "
                "give a folder that all nodes share, or a URL such as s3://bucket/folder"
            )

    def _check_software(self) -> None:
        for name, version in self._given.software.items():
            here = installed_version(name)
            if here != version:
                raise UserError(
                    f"node {os.uname().nodename} has {name} {here}, the driver has {version}; "
                    "install the same versions and sources on all nodes, or clips could differ"
                )

    def _worn(self) -> bool:
        """Blender's memory grows over hundreds of clips; a fresh process costs less than a second."""
        if self._rendered >= self._given.clips_per_worker:
            return True
        return bool(psutil.Process().memory_info().rss > self._given.worker_memory_bytes)


def describe(error: BaseException) -> str:
    """An exception in one line that is the same on every machine and in every attempt.

    It goes into the manifest, so addresses, folders and process ids are taken out.
    """
    text = " ".join(str(error).split())
    text = re.sub(r"\b0x[0-9a-fA-F]+", "0x…", text)
    text = re.sub(r"(?i)\bpid[ =:]*\d+", "pid …", text)
    text = re.sub(r"(?:/[\w.+@-]+)+/([\w.+@-]+)", r"\1", text)
    text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if len(text) <= _ERROR_LENGTH else f"{text[: _ERROR_LENGTH - 1]}…"
