"""What fitting a codec can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from manifests.errors import UserError
from training.codec.patches import CHANNELS, PATCH, check_sizes

KINDS: Final = ("patches", "wan")


@dataclass(frozen=True)
class CodecSettings:
    """Raises UserError for a value that cannot be."""

    kind: str = "patches"
    """``patches``: components of single frames, in closed form. ``wan``: a small video autoencoder, trained."""
    channels: int | None = None
    """Of the latents; 64 for patches and 8 for wan if not said."""
    patch: int = PATCH
    """Side of a patch in pixels."""
    clips: int = 2000
    """How many clips, at most, patches are fitted to; evenly spread over the split."""
    frames: int = 5
    """How many frames of each view patches are fitted to, and any kind is measured on; the length of a window that
    the autoencoder is trained on, 4k + 1."""
    base_dim: int = 16
    """Width of the autoencoder."""
    steps: int = 2000
    minutes: float | None = None
    """Training stops after so long, if `steps` are not done before."""
    batch: int = 4
    """Windows a step; a third of them, rounded down, are normal maps."""
    learning_rate: float = 1e-3
    kl_weight: float = 1e-4
    gradient_weight: float = 0.5
    """Of the error of differences between neighbouring pixels, which keeps edges sharp."""
    seed: int = 0
    device: str = "cpu"
    test_clips: int = 32
    """How many clips, at most, it is measured on."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"codec.kind: {self.kind!r} is none; choose {' or '.join(KINDS)}")
        for name in ("clips", "frames", "base_dim", "steps", "batch", "test_clips"):
            if getattr(self, name) < 1:
                raise UserError(f"codec.{name}: {getattr(self, name)} given; must be 1 or more")
        if self.minutes is not None and self.minutes <= 0:
            raise UserError(f"codec.minutes: {self.minutes} given; must be above 0, or left out")
        if self.learning_rate <= 0:
            raise UserError(f"codec.learning_rate: {self.learning_rate} given; must be above 0")
        for name in ("kl_weight", "gradient_weight"):
            if getattr(self, name) < 0:
                raise UserError(f"codec.{name}: {getattr(self, name)} given; must be 0 or more")
        if self.kind == "patches":
            check_sizes(self.latent_channels, self.patch)
            return
        if self.latent_channels < 1:
            raise UserError(f"codec.channels: {self.channels} given; must be 1 or more")
        if self.frames % 4 != 1:
            fitting = (self.frames - 1) // 4 * 4 + 1
            raise UserError(f"codec.frames: {self.frames} given; the autoencoder takes 4k + 1, such as {fitting}")

    @property
    def latent_channels(self) -> int:
        return self.channels if self.channels is not None else CHANNELS if self.kind == "patches" else 8
