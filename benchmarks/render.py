"""Frames a second on one core, and the share of wall time that is not path tracing.

    python -m benchmarks.render [--size 256] [--samples 16] [--frames 9] [--views 2] [--styles bald,short,bob]
                                [--labels depth,normals,segmentation]

One person a hair style, in one process with one render thread, after one small clip that is not counted and
brings compiled code to memory. Columns, in milliseconds a picture:

- tracing: Cycles' own count of path tracing, less the denoiser;
- denoiser: the difference between a picture of one sample with it and without;
- scene: bringing people and frames to Blender and pictures back: skin and hair (once a clip), positions,
  acceleration structures, the render's file, view transform;
- labels: labels and video encoding;
- posing: shape and motion to vertices (once a clip).

Outside is the share of all but tracing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

from datagen.blender.renderer import ClipRenderer
from datagen.blender.studio import Studio
from datagen.config import load_config
from datagen.encode import ClipEncoder
from datagen.geometry.posed import PosedClip, pose_clip
from datagen.geometry.surface import make_surface
from datagen.heads import HeadModel, load_head
from datagen.sampling.clip import sample_clip
from manifests.clip import Clip, RenderSettings


@dataclass(frozen=True)
class Cost:
    """Seconds a picture."""

    tracing: float
    denoiser: float
    scene: float
    labels: float
    posing: float

    @property
    def total(self) -> float:
        return self.tracing + self.denoiser + self.scene + self.labels + self.posing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("size", 256), ("samples", 16), ("frames", 9), ("views", 2)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--styles", default="bald,short,bob")
    parser.add_argument("--labels", default="depth,normals,segmentation", help="beyond those that are always there")
    options = parser.parse_args()
    head = load_head("open")
    renderer = ClipRenderer(RenderSettings(samples=options.samples))
    print(f"{options.size} x {options.size}, {options.samples} samples, {options.frames} frames, {options.views} views")
    names = ("tracing", "denoiser", "scene", "labels", "posing")
    print(f"{'hair':8}{'frames/s/core':>14}" + "".join(f"{name + ' ms':>13}" for name in names) + f"{'outside %':>11}")
    _measure(renderer, head, _clip(head, "bald", argparse.Namespace(size=64, frames=1, views=1, labels="depth")))
    for style in options.styles.split(","):
        cost = _measure(renderer, head, _clip(head, style, options))
        columns = "".join(f"{1000 * getattr(cost, name):13.1f}" for name in names)
        outside = 100 * (1 - cost.tracing / cost.total)
        print(f"{style:8}{1 / cost.total:14.2f}{columns}{outside:11.1f}", flush=True)


def _measure(renderer: ClipRenderer, head: HeadModel, clip: Clip) -> Cost:
    surface = make_surface(head, clip.spec.render.subdivision)
    start = time.perf_counter()
    posed = pose_clip(clip, head, surface)
    posed_at = time.perf_counter()
    denoiser = _denoiser_cost(renderer.studio, clip, posed)
    encoder = ClipEncoder(clip, posed)
    traced, labels, pictures = renderer.path_tracing_s, 0.0, 0
    begun = time.perf_counter()
    for picture in renderer.frames(clip, posed):
        labels += _timed(lambda picture=picture: encoder.add(picture))
        pictures += 1
    labels += _timed(encoder.finish)
    wall, cycles = time.perf_counter() - begun, renderer.path_tracing_s - traced
    return Cost(
        tracing=cycles / pictures - denoiser,
        denoiser=denoiser,
        scene=(wall - cycles - labels) / pictures,
        labels=labels / pictures,
        posing=(posed_at - start) / pictures,
    )


def _denoiser_cost(studio: Studio, clip: Clip, posed: PosedClip, repeats: int = 5) -> float:
    """Seconds a picture: the fastest of a few with the denoiser, less the fastest of a few without."""
    cycles, camera = studio.scene.cycles, (clip.cameras.intrinsics[0, 0], clip.cameras.world_to_camera[0, 0])
    samples = cycles.samples
    studio.open(clip, posed)
    studio.pose(0)
    cycles.samples = 1
    fastest = {}
    for denoise in (True, False):
        cycles.use_denoising = denoise
        studio.shoot(*camera, 0)
        fastest[denoise] = min(_timed(lambda: studio.shoot(*camera, 0)) for _ in range(repeats))
    cycles.samples, cycles.use_denoising = samples, True
    studio.clear()
    return max(fastest[True] - fastest[False], 0.0)


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


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
            "labels": f"[{options.labels}]",
            "appearance.masculine_hair": f"{{{style}: 1}}",
            "appearance.feminine_hair": f"{{{style}: 1}}",
        },
    )
    return sample_clip(config, head.info, 0)


if __name__ == "__main__":
    main()
