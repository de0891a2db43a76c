"""Clips to frames: frames outside, views inside, so that a pose is brought to Blender once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.assets import Assets
from datagen.blender.display import Display, to_bytes
from datagen.blender.film import Exposure
from datagen.blender.studio import Studio
from datagen.blender.world import background_colour
from datagen.geometry.posed import PosedClip
from manifests.clip import Clip, ClipSpec, RenderSettings
from manifests.conventions import WORN_CLASSES

Array = NDArray[Any]


@dataclass(frozen=True)
class RenderedFrame:
    """One view of one frame."""

    frame: int
    view: int
    colour: Array
    """uint8 [H, W, 3], display-referred, over its background."""
    alpha: Array
    """uint8 [H, W]: how much of the pixel the person covers, hair included."""
    coverage: dict[str, Array]
    """float32 [H, W] for each of ``conventions.WORN_CLASSES``: how much of the pixel it covers."""


class ClipRenderer:
    """A worker's renderer: one for many clips. The same clip gives the same bytes whatever came before."""

    def __init__(self, settings: RenderSettings, threads: int = 1, assets: Assets | None = None) -> None:
        """``assets`` finds the user's files that clips name. Raises UserError when Blender, or the device asked for,
        is not there."""
        self.studio = Studio(settings, threads, assets)
        self.path_tracing_s = 0.0
        """Cycles' own count over all frames so far, denoising included."""

    def frames(self, clip: Clip, posed: PosedClip) -> Iterator[RenderedFrame]:
        """All views of frame 0, then of frame 1 and so on.

        Raises UserError when the clip's world map, or a user's file, does not exist.
        """
        studio, scene, cameras = self.studio, clip.spec.scene, clip.cameras
        config = studio.data_files / "colormanagement" / "config.ocio"
        world = studio.open(clip, posed)
        try:
            display = Display(config, scene.view_transform, scene.exposure_ev + float(np.log2(world.gain)))
            for frame in range(len(posed.vertices)):
                studio.pose(frame)
                for view in range(len(cameras.intrinsics)):
                    camera = cameras.intrinsics[view, frame], cameras.world_to_camera[view, frame]
                    exposure = studio.shoot(*camera, noise_seed(clip.spec, frame, view))
                    self.path_tracing_s += exposure.path_tracing_s
                    background = background_colour(world, *camera, cameras.width, cameras.height)
                    yield _develop(exposure, display, background, frame, view)
        finally:
            studio.clear()


def noise_seed(spec: ClipSpec, frame: int, view: int) -> int:
    """31 bits for Cycles: noise differs between frames and views, and is the same at every run."""
    text = f"{spec.seed}/{spec.index}/{frame}/{view}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little") >> 1


def _develop(exposure: Exposure, display: Display, background: Array, frame: int, view: int) -> RenderedFrame:
    combined = exposure.stack("Combined", "RGBA")
    alpha = np.clip(combined[..., 3], 0, 1)
    light = combined[..., :3] * (alpha > 0)[..., None]  # the denoiser lets some spill over the edge
    coverage = {name: np.clip(exposure.value(name), 0, 1) for name in WORN_CLASSES}
    return RenderedFrame(frame, view, display(light, alpha, background), to_bytes(alpha), coverage)
