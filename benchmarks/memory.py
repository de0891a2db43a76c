"""A worker's resident memory over many clips.

    python -m benchmarks.memory [--clips 200] [--size 64] [--samples 1]

Tiny clips of many people in all hair styles and looks run through one pipeline, as a worker runs them. Prints
the memory every ten clips, and at the end its spread over all but the first tenth, when caches fill.
"""

from __future__ import annotations

import argparse

import numpy as np
import psutil

from datagen.config import load_config
from datagen.heads import head_info
from datagen.pipeline import Pipeline


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("clips", 200), ("size", 64), ("samples", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    head_info("open")
    config = load_config(
        "demo",
        {
            "clips": str(options.clips),
            "identities": str(options.clips),
            "frames": "5",
            "views": "1",
            "resolution": f"[{options.size}, {options.size}]",
            "render.samples": str(options.samples),
        },
    )
    pipeline = Pipeline(config.to_json())
    process = psutil.Process()
    resident = []
    for index in range(options.clips):
        pipeline.members(index)
        resident.append(process.memory_info().rss / 2**20)
        if index % 10 == 9:
            print(f"clip {index + 1:4d}: {resident[-1]:7.1f} MiB", flush=True)
    settled = np.asarray(resident[max(1, options.clips // 10) :])
    middle = np.median(settled)
    low, high = (100 * (extreme / middle - 1) for extreme in (settled.min(), settled.max()))
    print(f"{options.clips} clips: median {middle:.1f} MiB, lowest {low:+.1f} %, highest {high:+.1f} %")


if __name__ == "__main__":
    main()
