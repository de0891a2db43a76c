"""A corpus that costs nothing to make and fails on demand: what the farm's tests run on."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import io
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import ray

from manifests import spool
from manifests.clip import (
    ClipSpec,
    ClipSummary,
    HeadInfo,
    Member,
    RenderSettings,
    Scene,
    Traits,
)
from manifests.conventions import FORMAT_VERSION, RECIPES, SPLITS
from manifests.layout import Layout
from manifests.manifest import compact
from manifests.shard import assemble
from manifests.storage import Storage
from tests.datagen.appearances import PLAIN


@dataclass(frozen=True)
class ToyConfig:
    """Few clips of hashed bytes. What follows `size` shapes no byte."""

    clips: int
    clips_per_shard: int
    name: str = "toy"
    seed: int = 7
    size: int = 2000
    render: RenderSettings = field(default_factory=RenderSettings)
    pause_s: float = 0.0
    faults: Mapping[int, str] = field(default_factory=dict)
    """Clip -> what happens: see `ToyPipeline`."""
    scratch: str = ""
    """A folder in which a pipeline remembers what it has done before it died."""
    disk_bytes: int = 0
    """Pretend that the corpus folder lies on a disk of this size, where no small one can be mounted."""

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @property
    def config_hash(self) -> str:
        shaping = [self.clips_per_shard, self.name, self.seed, self.size]
        return hashlib.sha256(json.dumps(shaping).encode()).hexdigest()

    @property
    def layout(self) -> Layout:
        return Layout(self.name, self.clips, self.clips_per_shard)


class ToyPipeline:
    """Makes the clips of a `ToyConfig`, and the faults it asks for.

    ``kill``, ``segfault``: the process dies in mid-clip. ``raise``, ``exit``: the clip raises. ``grow``: the
    process takes 300 MB and keeps them. ``hang``: the clip takes an hour. With ``-once`` behind it, only the
    first attempt does so. ``start``, of any clip: no pipeline can be made at all.
    """

    def __init__(self, config_json: str) -> None:
        values = json.loads(config_json)
        values["faults"] = {int(clip): fault for clip, fault in values["faults"].items()}
        values["render"] = RenderSettings(**values["render"])
        self._config = ToyConfig(**values)
        self._hoard: list[bytes] = []
        self._node = ray.get_runtime_context().get_node_id()
        self._remember(f"process-{os.getpid()}")
        if "start" in self._config.faults.values():
            raise RuntimeError("no pictures today")
        if self._config.disk_bytes:
            _shrink_disk(self._config.disk_bytes)

    def members(self, index: int) -> list[Member]:
        config = self._config
        self._remember(f"begun-{index}-on-{self._node}")
        time.sleep(config.pause_s)
        self._remember(f"through-{index}")
        fault = config.faults.get(index, "")
        if not fault.endswith("-once") or self._remember(f"failed-{index}"):
            self._fail(fault.removesuffix("-once"), index)
        return clip_members(config, index)

    def _remember(self, what: str) -> bool:
        """Whether it is the first time."""
        if not self._config.scratch:
            return True
        try:
            (Path(self._config.scratch) / what).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def _fail(self, fault: str, index: int) -> None:
        match fault:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "segfault":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "raise":
                raise RuntimeError(f"clip {index} is bad at {hex(id(self))} in /tmp/{os.getpid()}/x.exr")
            case "exit":
                sys.exit(3)
            case "grow":
                self._hoard.append(b"\1" * 300_000_000)
            case "hang":
                time.sleep(3600)


def clip_members(config: ToyConfig, index: int) -> list[Member]:
    """What a sound attempt gives."""
    spec = json.dumps(dataclasses.asdict(clip_spec(config, index)), sort_keys=True).encode()
    arrays = io.BytesIO()
    np.savez(arrays, expression=np.full((5, 3), index, np.float32))
    noise = np.random.default_rng([config.seed, index]).bytes(config.size + index)
    return [
        Member("spec.json", spec),
        Member("motion.npz", _without_times(arrays.getvalue())),
        Member("v00.rgb.mp4", noise),
    ]


def clip_spec(config: ToyConfig, index: int) -> ClipSpec:
    return ClipSpec(
        format_version=FORMAT_VERSION,
        corpus=config.name,
        config_hash=config.config_hash,
        seed=config.seed,
        index=index,
        recipe=RECIPES[index % 4],
        template="plain",
        identity=index // 2,
        split=SPLITS[index % 3],
        head=HeadInfo("open", "flame", "0" * 64, "CC0", 100, 86, (), (0.0, 0.1, 0.05)),
        fps=15.0,
        frames=5,
        views=1,
        width=8,
        height=8,
        labels=("depth",),
        traits=Traits(40.0, 0.5, 0.0, 1.0, 0.0),
        appearance=PLAIN,
        scene=Scene((), "", (0.5, 0.5, 0.5), 1.0, 0.0, "black", (0.0, 0.0, 0.0), 0.0, "AgX"),
        render=config.render,
        summary=ClipSummary(
            -5.0,
            5.0,
            -1.0,
            1.0,
            0.9,
            1.1,
            50.0,
            "fixed",
            -3.0,
            3.0,
            -2.0,
            2.0,
            0.5,
            40.0,
            0.5,
            "asian",
            0.2,
            "bald",
            "none",
            "crew",
            "none",
            "none",
            30.0,
            "black",
        ),
        software={"toy": "1"},
    )


def make_reference(config: ToyConfig, folder: Path, given_up: Mapping[int, str] | None = None) -> Path:
    """The same corpus made in this process, clip after clip, with neither Ray nor faults."""
    storage = Storage(str(folder))
    layout = config.layout
    for shard in range(layout.shards):
        for clip in layout.clips_of(shard):
            if given_up and clip in given_up:
                spool.write_error(storage, layout, clip, given_up[clip])
            else:
                spool.write_clip(storage, layout, clip, spool.pack(layout, clip, clip_members(config, clip)))
        assemble(storage, layout, shard, config.config_hash)
    compact(storage, layout)
    return folder


def data_files(folder: Path) -> dict[str, str]:
    """Relative path -> SHA-256 of all that a corpus consists of, left-overs included, but for the log."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] not in ("log", "corpus.json")
    }


def _without_times(npz: bytes) -> bytes:
    """numpy stamps its zip entries with a fixed date; say so if that ever changes."""
    assert npz[10:14] == b"\x00\x00\x21\x00", "np.savez has begun to write dates"
    return npz


def _shrink_disk(size: int) -> None:
    """Have every write beyond `size` bytes in the corpus fail as a full disk does."""
    stream = Storage.stream

    def limited(self: Storage, path: str):  # type: ignore[no-untyped-def]
        used = sum(file.stat().st_size for file in Path(self.url).rglob("*") if file.is_file())
        if used > size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return stream(self, path)

    Storage.stream = limited  # type: ignore[method-assign]
