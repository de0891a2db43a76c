"""Which engine renders, on which device. What is asked for and absent is an error, never a fallback."""

from __future__ import annotations

from typing import Any

from manifests.clip import RenderSettings
from manifests.errors import UserError

ENGINES = ("cycles", "eevee")
DEVICES = ("cpu", "cuda", "optix", "hip", "metal")

_DENOISERS = {"none": None, "fast": ("FAST", "FAST"), "accurate": ("ACCURATE", "HIGH")}
"""Open Image Denoise: (prefilter of the guiding passes, quality)."""


def apply_settings(bpy: Any, scene: Any, settings: RenderSettings, threads: int) -> None:
    """Set engine, device, samples and denoiser of ``scene``.

    Raises UserError for an unknown engine, device or denoiser, and for a GPU that this machine lacks.
    CUDA_VISIBLE_DEVICES must be set before bpy is imported: Blender lists the devices once.
    """
    _require("render.engine", settings.engine, ENGINES)
    _require("render.device", settings.device, DEVICES)
    _require("render.denoiser", settings.denoiser, tuple(_DENOISERS))
    scene.render.engine = _engine_name(bpy, settings.engine)
    scene.render.threads_mode = "FIXED"
    scene.render.threads = threads
    scene.render.use_persistent_data = True
    if settings.engine == "eevee":
        scene.eevee.taa_render_samples = settings.samples
        return
    enable_device(bpy.context.preferences.addons["cycles"].preferences, settings.device)
    cycles = scene.cycles
    cycles.device = "CPU" if settings.device == "cpu" else "GPU"
    cycles.samples = settings.samples
    cycles.use_adaptive_sampling = False
    cycles.use_auto_tile = False
    cycles.max_bounces = settings.max_bounces
    cycles.diffuse_bounces = cycles.glossy_bounces = cycles.transmission_bounces = settings.max_bounces
    cycles.transparent_max_bounces = 8
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 4.0
    cycles.blur_glossy = 1.0
    denoiser = _DENOISERS[settings.denoiser]
    cycles.use_denoising = denoiser is not None
    if denoiser is not None:
        cycles.denoiser = "OPENIMAGEDENOISE"
        cycles.denoising_prefilter, cycles.denoising_quality = denoiser
        cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"
        cycles.denoising_use_gpu = settings.device != "cpu"


def enable_device(preferences: Any, device: str) -> None:
    """Enable exactly the devices of one kind in Cycles' ``preferences``; UserError when there is none."""
    kind = "NONE" if device == "cpu" else device.upper()
    try:
        found = list(preferences.get_devices_for_type(kind)) if device != "cpu" else []
        preferences.compute_device_type = kind
    except (TypeError, ValueError):  # Blender's enumeration holds only what its build supports
        found = []
    if device != "cpu" and not any(entry.type == kind for entry in found):
        raise UserError(
            f"render.device: {device!r} asked for, but Blender finds no {kind} device on this machine:"
            " check the driver and CUDA_VISIBLE_DEVICES, or set render.device to cpu"
        )
    for entry in preferences.devices:
        entry.use = entry.type == kind


def _engine_name(bpy: Any, engine: str) -> str:
    """Blender's own name; EEVEE was called otherwise between 4.2 and 5.0."""
    if engine == "cycles":
        return "CYCLES"
    return "BLENDER_EEVEE" if bpy.app.version >= (5, 0, 0) else "BLENDER_EEVEE_NEXT"


def _require(field: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UserError(f"{field}: {value!r} is unknown; use one of {', '.join(allowed)}")
