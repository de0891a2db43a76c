"""Features of pictures and videos by a pre-trained network whose weights are a folder, and the distance of two sets.

The folder is one of transformers', with safetensors: DINOv2, CLIP's or a plain vision transformer for frames, VideoMAE
for videos. Fréchet distances over these follow people's judgements better than over Inception's features (Stein et al.,
"Exposing flaws of generative model evaluation metrics", 2023; for videos Ge et al., "On the content bias in Fréchet
video distance", 2024).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from manifests.errors import UserError
from training.folder import read_config

_OF_FRAMES: Final = ("dinov2", "dinov2_with_registers", "vit", "clip", "clip_vision_model")
_OF_VIDEOS: Final = ("videomae",)
_MEAN: Final = (0.485, 0.456, 0.406)
_DEVIATION: Final = (0.229, 0.224, 0.225)
"""ImageNet's, where the folder says nothing else."""
_CHUNK: Final = 16


class Features(nn.Module):
    """What a network sees in a video."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, mean: Tensor, deviation: Tensor) -> None:
        """``mean`` and ``deviation`` [3] are of colours in [0, 1]. Raises TypeError for a configuration that does not
        say how large pictures are."""
        super().__init__()
        self.network = network
        self.kind = str(network.config.model_type)  # type: ignore[union-attr]
        self.size = int(network.config.image_size)  # type: ignore[union-attr, arg-type]
        self.frames = int(network.config.num_frames) if self.kind in _OF_VIDEOS else None  # type: ignore[union-attr, arg-type]
        self.register_buffer("mean", mean.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", deviation.view(1, 3, 1, 1), persistent=False)

    @torch.no_grad()
    def forward(self, video: Tensor) -> Tensor:
        """[N, D] of a video [3, T, H, W] in [-1, 1]: a row for each frame, or one for the video."""
        frames = ((video.transpose(0, 1) + 1) / 2 - self.mean) / self.deviation
        frames = nn.functional.interpolate(frames, (self.size, self.size), mode="bicubic", antialias=True)
        if self.frames is None:
            parts = [self.network(pixel_values=part).last_hidden_state[:, 0] for part in frames.split(_CHUNK)]
            return torch.cat(parts)
        nearest = torch.linspace(0, len(frames) - 1, self.frames).round().long()
        seen: Tensor = self.network(pixel_values=frames[nearest][None]).last_hidden_state.mean(dim=1)
        return seen


def load_features(folder: str | Path) -> Features:
    """Raises UserError for a folder of another kind of network, one whose safetensors are missing or not its own, or
    where transformers is not installed."""
    try:
        import transformers
    except ImportError:
        raise UserError("features: need transformers; pip install 'factorportrait[evaluation]'") from None
    folder = Path(folder)
    kind = read_config(folder).get("model_type")
    if kind not in (*_OF_FRAMES, *_OF_VIDEOS):
        known = ", ".join((*_OF_FRAMES, *_OF_VIDEOS))
        raise UserError(f"features {folder}: its config.json is of kind {str(kind)[:40]!r}; give one of {known}")
    transformers.utils.logging.disable_progress_bar()
    loader: Any = transformers.CLIPVisionModel if kind == "clip" else transformers.AutoModel
    mean, deviation = _colours(folder)
    try:
        network, loaded = loader.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, trust_remote_code=False, output_loading_info=True
        )
        missing = sorted(name for name in loaded["missing_keys"] if "pooler" not in name)
        if missing:
            raise ValueError(f"{len(missing)} weights are missing, {missing[0]} among them")
        features = Features(network, mean, deviation)
    except Exception as error:  # whatever a folder that lacks weights or holds others leads to
        reason = " ".join(str(error).split())[:160]
        raise UserError(f"features {folder}: cannot be read ({reason}); take another copy of the network") from None
    return features.eval().requires_grad_(False)


def _colours(folder: Path) -> tuple[Tensor, Tensor]:
    path = folder / "preprocessor_config.json"
    told = read_config(folder, path.name) if path.is_file() else {}
    try:
        mean = torch.tensor(told.get("image_mean", _MEAN), dtype=torch.float32).view(3)
        deviation = torch.tensor(told.get("image_std", _DEVIATION), dtype=torch.float32).view(3)
        sound = bool(mean.isfinite().all() and deviation.isfinite().all() and (deviation > 0).all())
    except (TypeError, ValueError, RuntimeError):
        sound = False
    if not sound:
        raise UserError(f"features {path}: image_mean and image_std are no three numbers; restore it")
    return mean, deviation


def frechet_distance(features: Tensor, others: Tensor) -> float:
    """Between sets [N, D] and [M, D] of at least two rows, as Gaussians: |m - m'|² + tr(C + C' - 2 (C C')^½) (Heusel et
    al., "GANs trained by a two time-scale update rule", 2017), by torchmetrics."""
    distance = FrechetInceptionDistance(feature=_Given(features.shape[1]))
    distance.update(others, real=True)
    distance.update(features, real=False)
    return float(distance.compute())


class _Given(nn.Module):
    """Features that are made already."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.num_features = count

    def forward(self, features: Tensor) -> Tensor:
        return features
