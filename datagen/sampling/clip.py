"""Configuration, head and index -> the clip. A pure function: no renderer, no file, no clock."""

from __future__ import annotations

import numpy as np

from datagen.config import CorpusConfig
from datagen.sampling.appearance import sample_appearance
from datagen.sampling.cameras import CameraRig, sample_cameras
from datagen.sampling.identity import identity_of, recipe_of, sample_shape, split_of, template_of
from datagen.sampling.light import sample_scene
from datagen.sampling.motion import Performance, hold_still, perform
from datagen.sampling.traits import sample_traits
from manifests.clip import Appearance, Clip, ClipSpec, ClipSummary, HeadInfo, RenderSettings, Scene, Traits
from manifests.conventions import FORMAT_VERSION
from manifests.corpus import installed_version
from manifests.errors import UserError

SHAPING = ("av", "bpy", "factorportrait", "numpy", "opencolorio", "scipy", "smplx", "torch")
"""Distributions whose version can change a clip's bytes."""


def sample_clip(config: CorpusConfig, head: HeadInfo, index: int) -> Clip:
    """Clip ``index`` of a corpus, the same whoever asks and in whatever order.

    Raises UserError if the corpus has no such clip.
    """
    if not 0 <= index < config.clips:
        raise UserError(f"clip {index}: not in this corpus; must be between 0 and {config.clips - 1} (clips)")
    seed = config.seed
    identity, _ = identity_of(config, index)
    recipe = recipe_of(config, index)
    template = template_of(config, index)
    times = np.arange(config.frames) / config.fps

    traits = sample_traits(config.identity, seed, identity)
    shape = sample_shape(config.identity, head, traits, seed, identity)
    appearance = sample_appearance(config.appearance, traits, seed, identity)
    recording = ""
    if recipe == "view_sweep":
        performance = hold_still(config.motion, head, shape, seed, identity, config.frames)
    else:
        performance, recording = perform(config.motion, head, shape, seed, index, times)
    rig = sample_cameras(config.camera, head.head_centre, recipe, seed, index, config.views, times, config.resolution)
    scene = sample_scene(config.templates[template].look, seed, index)
    spec = ClipSpec(
        format_version=FORMAT_VERSION,
        corpus=config.name,
        config_hash=config.content_hash(head),
        seed=seed,
        index=index,
        recipe=recipe,
        template=template,
        identity=identity,
        split=split_of(config, identity),
        head=head,
        fps=config.fps,
        frames=config.frames,
        views=config.views,
        width=config.resolution[0],
        height=config.resolution[1],
        labels=config.labels,
        traits=traits,
        appearance=appearance,
        scene=scene,
        render=RenderSettings(**config.render.model_dump()),
        summary=_summary(rig, performance, traits, appearance, scene),
        software=software_versions(),
        recording=recording,
    )
    return Clip(spec, performance.motion, rig.cameras)


def software_versions() -> dict[str, str]:
    """Version of each distribution that shapes the bytes; ``absent`` for what is not installed."""
    return {name: installed_version(name) for name in SHAPING}


def _summary(
    rig: CameraRig, performance: Performance, traits: Traits, appearance: Appearance, scene: Scene
) -> ClipSummary:
    yaw, pitch, _ = performance.head_deg.T
    return ClipSummary(
        camera_yaw_deg_min=float(rig.yaw_deg.min()),
        camera_yaw_deg_max=float(rig.yaw_deg.max()),
        camera_pitch_deg_min=float(rig.pitch_deg.min()),
        camera_pitch_deg_max=float(rig.pitch_deg.max()),
        camera_distance_m_min=float(rig.distance_m.min()),
        camera_distance_m_max=float(rig.distance_m.max()),
        focal_length_mm=rig.focal_length_mm,
        trajectory=rig.trajectory,
        head_yaw_deg_min=float(yaw.min()),
        head_yaw_deg_max=float(yaw.max()),
        head_pitch_deg_min=float(pitch.min()),
        head_pitch_deg_max=float(pitch.max()),
        expression_activity=float(np.linalg.norm(performance.motion.expression, axis=1).mean()),
        age_years=traits.age_years,
        gender=traits.gender,
        ancestry=traits.ancestry,
        melanin=appearance.melanin,
        hair_style=appearance.hair_style,
        facial_hair=appearance.facial_hair,
        clothing=appearance.clothing,
        glasses=appearance.glasses,
        head_covering=appearance.head_covering,
        light_power_w=sum(light.power_w for light in scene.lights),
        background=scene.background,
    )
