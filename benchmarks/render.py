"""Frames a second on one core, and the share of wall time that is not path tracing.

    python -m benchmarks.render [--size 256] [--samples 16] [--frames 9] [--views 2] [--styles bald,short,bob]

One person a hair style, in one process with one render thread. Path tracing is what Cycles counts itself,
less the denoiser, whose share is the difference to the same frames rendered without it. The rest: bringing
each frame to Blender (positions, acceleration structure, its output file), developing the picture, labels and
video encoding, and, spread over the frames, what is done once a clip (sampling, posing, hair, shaders).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace

from datagen.blender.renderer import ClipRenderer
from datagen.config import load_config
from datagen.encode import ClipEncoder
from datagen.geometry.posed import pose_clip
from datagen.geometry.surface import make_surface
from datagen.heads import HeadModel, load_head
from datagen.sampling.clip import sample_clip
from manifests.clip import Clip, RenderSettings


@dataclass(frozen=True)
class Cost:
    """Seconds for one clip, all frames and views."""

    pictures: int
    posing: float
    rendering: float
    encoding: float
    cycles: float
    denoising: float

    @property
    def total(self) -> float:
        return self.posing + self.rendering + self.encoding

    @property
    def outside(self) -> float:
        """All but path tracing and denoising."""
        return self.total - self.cycles


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("size", 256), ("samples", 16), ("frames", 9), ("views", 2)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--styles", default="bald,short,bob")
    options = parser.parse_args()
    head = load_head("open")
    settings = RenderSettings(samples=options.samples)
    renderer, without = ClipRenderer(settings), ClipRenderer(replace(settings, denoiser="none"))
    print(f"{options.size} x {options.size}, {options.samples} samples, {options.frames} frames, {options.views} views")
    print(
        f"{'hair':8}{'frames/s':>10}{'tracing':>10}{'denoiser':>10}{'render':>10}{'labels':>10}{'posing':>10}{'outside':>10}"
    )
    print(f"{'':8}{'per core':>10}" + f"{'ms':>10}" * 5 + f"{'%':>10}")
    for style in options.styles.split(","):
        clip = _clip(head, style, options)
        cost = _measure(renderer, without, head, clip)
        each = 1000 / cost.pictures
        print(
            f"{style:8}{cost.pictures / cost.total:10.2f}{(cost.cycles - cost.denoising) * each:10.0f}"
            f"{cost.denoising * each:10.0f}{(cost.rendering - cost.cycles) * each:10.1f}"
            f"{cost.encoding * each:10.1f}{cost.posing * each:10.1f}"
            f"{100 * (cost.outside + cost.denoising) / cost.total:10.1f}",
            flush=True,
        )


def _measure(renderer: ClipRenderer, without: ClipRenderer, head: HeadModel, clip: Clip) -> Cost:
    surface = make_surface(head, clip.spec.render.subdivision)
    start = time.perf_counter()
    posed = pose_clip(clip, head, surface)
    posing = time.perf_counter() - start
    encoder = ClipEncoder(clip, posed)
    rendering = encoding = 0.0
    traced, pictures = renderer.path_tracing_s, 0
    before = time.perf_counter()
    for picture in renderer.frames(clip, posed):
        between = time.perf_counter()
        encoder.add(picture)
        after = time.perf_counter()
        rendering, encoding, pictures = rendering + between - before, encoding + after - between, pictures + 1
        before = after
    rendering += time.perf_counter() - before
    before = time.perf_counter()
    encoder.finish()
    encoding += time.perf_counter() - before
    traced = renderer.path_tracing_s - traced
    plain = without.path_tracing_s
    for _ in without.frames(clip, posed):
        pass
    plain = without.path_tracing_s - plain
    return Cost(pictures, posing, rendering, encoding, traced, max(traced - plain, 0.0))


def _clip(head: HeadModel, style: str, options: argparse.Namespace) -> Clip:
    config = load_config(
        "paper",
        {
            "clips": "1",
            "identities": "1",
            "frames": str(options.frames),
            "views": str(options.views),
            "resolution": f"[{options.size}, {options.size}]",
            "recipes": "{dynamic_sweep: 1}",
            "templates": "{studio_black: 1}",
            "splits": "{train: 1, validation: 0, test: 0}",
            "labels": "[depth, normals, segmentation]",
            "appearance.hair_styles": f"{{{style}: 1}}",
        },
    )
    return sample_clip(config, head.info, 0)


if __name__ == "__main__":
    main()
