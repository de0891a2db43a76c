"""A trained model as diffusers' pipelines are used: from a folder, to a device, called with what it shall show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from training.animation.animate import Animation, animate
from training.animation.camera_paths import KeyPose
from training.animation.shot import AnimationSettings
from training.device import check_device
from training.landmarks.load import load_detector
from training.portrait import Portrait, load_portrait
from training.progress import Show, silent
from training.sampler import Scheduler


class PortraitPipeline:
    """One portrait, animated: expression, head pose and camera each from a source of its own."""

    def __init__(self, model: Portrait, device: str = "cpu") -> None:
        self.model, self.device = model, device

    @classmethod
    def from_pretrained(cls, folder: str | Path, landmarks: str | Path | None = None) -> PortraitPipeline:
        """The model of a folder that `train fit` or `train export` made, on the CPU; ``landmarks`` is the folder of a
        detector, if not the model's own. Raises UserError where one of them cannot be read."""
        model = load_portrait(folder)
        return cls(model if landmarks is None else model.with_detector(load_detector(landmarks)))

    def to(self, device: str) -> PortraitPipeline:
        """Raises UserError for a device that is not here."""
        check_device(device)
        return PortraitPipeline(self.model.to(device), device)

    def __call__(
        self,
        portrait: str | Path,
        driving: str | Path,
        *,
        camera: str | Path | Sequence[KeyPose] = "front",
        expression: str | Path | None = None,
        pose: str | Path | None = None,
        num_frames: int | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: Mapping[str, float] | None = None,
        scheduler: Scheduler | None = None,
        overlap: int | None = None,
        seed: int = 0,
        progress: Show = silent,
    ) -> Animation:
        """The video, whose `frames` are uint8 [T, H, W, 3] and which can `save`. The words are those of the command
        `animate`, or diffusers' for the same (frames, steps, guidance). Equal seeds give equal videos. Raises UserError
        as `animation.animate.animate`."""
        settings = AnimationSettings(
            guidance=guidance_scale or {},
            steps=num_inference_steps,
            scheduler=scheduler,
            frames=num_frames,
            overlap=overlap,
            seed=seed,
            device=self.device,
        )
        return animate(
            self.model,
            str(portrait),
            str(driving),
            camera=str(camera) if isinstance(camera, Path) else camera,
            expression=None if expression is None else str(expression),
            pose=None if pose is None else str(pose),
            settings=settings,
            progress=progress,
        )
