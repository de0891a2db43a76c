"""How long a corpus of ten million clips takes to start, and whether the driver grows while it runs.

    python -m benchmarks.driver [--clips N] [--seconds S] [--workers N]

The clips are a few bytes each, so that what is measured is the farm: the seconds from the call until the first
clip is finished, clips a second, and the driver's resident memory against the number of clips done.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import signal
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from datagen.farm.driver import generate
from datagen.farm.interrupt import Interrupted
from manifests.clip import (
    Appearance,
    ClipSpec,
    ClipSummary,
    HeadInfo,
    Member,
    RenderSettings,
    Scene,
    Traits,
)
from manifests.runlog import read_last_run
from manifests.storage import Storage

_HEAD = HeadInfo("none", "flame", "", "", 0, 0, (), (0.0, 0.0, 0.0))
_TRAITS = Traits(0, 0, 0, 0, 0)
_APPEARANCE = Appearance(
    0, 0, 0, 0, 0, "", "", (0, 0, 0), "bald", (0, 0, 0), 0, 0, 0, "none", 0, "crew", "jersey", (0, 0, 0), 0, "none",
    (0, 0, 0), "none", (0, 0, 0), 0,
)  # fmt: skip
_SCENE = Scene((), "", (0, 0, 0), 0, 0, "black", (0, 0, 0), 0, "AgX")
_SUMMARY = ClipSummary(0, 0, 0, 0, 0, 0, 0, "", 0, 0, 0, 0, 0, 0, 0, "", 0, "", "", "", "", "", 0, "")


@dataclass(frozen=True)
class Config:
    clips: int
    name: str = "benchmark"
    clips_per_shard: int = 1000
    render: RenderSettings = dataclasses.field(default_factory=RenderSettings)

    def to_json(self) -> str:
        return json.dumps({"name": self.name, "clips": self.clips})


class Pipeline:
    """Clips that cost nothing."""

    def __init__(self, config_json: str) -> None:
        self._name = json.loads(config_json)["name"]

    def members(self, index: int) -> list[Member]:
        spec = ClipSpec(
            1, self._name, "0", 0, index, "phone", "none", index, "train", _HEAD, 15.0, 1, 1, 1, 1, (),
            _TRAITS, _APPEARANCE, _SCENE, RenderSettings(), _SUMMARY, {},
        )  # fmt: skip
        return [Member("spec.json", json.dumps(dataclasses.asdict(spec)).encode())]


class Watch(threading.Thread):
    """Samples this process, and stops the run as Ctrl-C would when its time is over."""

    def __init__(self, out: Path, seconds: float) -> None:
        super().__init__(daemon=True)
        self.called = time.time()
        self.first_clip: float | None = None
        self.ray_s = 0.0
        self.samples: list[tuple[int, float]] = []
        self._out = out
        self._seconds = seconds

    def run(self) -> None:
        process = psutil.Process()
        while self.first_clip is None:
            if any(self._out.glob("spool/*/*.tar")):
                self.first_clip = time.time() - self.called
            time.sleep(0.01)
        end = time.monotonic() + self._seconds
        while time.monotonic() < end:
            time.sleep(1.0)
            record = read_last_run(Storage(str(self._out)))
            self.samples.append((record.done if record else 0, process.memory_info().rss / 1e6))
        os.kill(os.getpid(), signal.SIGINT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=int, default=10_000_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to run after the first clip")
    parser.add_argument("--workers", type=int, default=None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        watch = Watch(Path(folder) / "out", given.seconds)
        watch.start()
        config = Config(given.clips)
        with contextlib.suppress(Interrupted):
            generate(
                config,
                f"{folder}/out",
                config_hash="0",
                workers=given.workers,
                pipeline="benchmarks.driver:Pipeline",
            )
        ray_up = read_last_run(Storage(f"{folder}/out"))
        assert ray_up is not None
        watch.ray_s = ray_up.started - watch.called
        _report(given.clips, given.seconds, watch)


def _report(clips: int, seconds: float, watch: Watch) -> None:
    assert watch.first_clip is not None
    own = watch.first_clip - watch.ray_s
    print(f"{clips:,} clips: the first is finished {watch.first_clip:.2f} s after the call:")
    print(f"  {watch.ray_s:.2f} s until Ray is up, {own:.2f} s for plan, workers and clip")
    done = watch.samples[-1][0]
    print(f"{done:,} clips in {seconds:.0f} s, {done / seconds:.0f} clips/s")
    settled = watch.samples[len(watch.samples) // 4 :]
    lowest, highest = min(rss for _, rss in settled), max(rss for _, rss in settled)
    print(f"driver's memory: {lowest:.1f} to {highest:.1f} MB from clip {settled[0][0]:,} to clip {settled[-1][0]:,}")


if __name__ == "__main__":
    main()
