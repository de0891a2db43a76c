"""LPIPS (Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", 2018), with AlexNet.

torchmetrics holds the weights that were fitted to people's judgements; its own module wants torchvision, and the net,
for AlexNet. Here AlexNet's weights are a file that is given, torchvision's ``alexnet-owt-7be5be79.pth`` or a like one.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from manifests.errors import UserError

_AFTER: Final = (1, 4, 7, 9, 11)
"""Indices of AlexNet's layers whose outputs are compared: the five ReLUs."""
_MEAN: Final = (-0.030, -0.088, -0.188)
_DEVIATION: Final = (0.458, 0.448, 0.450)
"""Of ImageNet's colours in [-1, 1], as the metric's authors give them."""
_LEAST_EDGE: Final = 32
_CHUNK: Final = 32


class Lpips(nn.Module):
    """Distance of pictures, 0 for equal ones."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, 1, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, 1, 1), nn.ReLU(),
            nn.Conv2d(384, 256, 3, 1, 1), nn.ReLU(),
            nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU(),
        )  # fmt: skip
        self.judged = nn.ParameterList([nn.Parameter(torch.zeros(count)) for count in (64, 192, 384, 256, 256)])
        """How much a difference in each channel counts."""
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(_DEVIATION).view(1, 3, 1, 1), persistent=False)

    @torch.no_grad()
    def forward(self, pictures: Tensor, others: Tensor) -> Tensor:
        """[N] of pictures [N, 3, H, W] in [-1, 1]; smaller ones than 32 pixels are enlarged to that."""
        edge = min(pictures.shape[-2:])
        if edge < _LEAST_EDGE:
            scale = _LEAST_EDGE / edge
            pictures, others = (nn.functional.interpolate(x, scale_factor=scale) for x in (pictures, others))
        pairs = zip(pictures.split(_CHUNK), others.split(_CHUNK), strict=True)
        return torch.cat([self._distances(*pair) for pair in pairs])

    def _distances(self, pictures: Tensor, others: Tensor) -> Tensor:
        distance = pictures.new_zeros(len(pictures))
        for weight, ours, theirs in zip(self.judged, self._seen(pictures), self._seen(others), strict=True):
            difference = (_of_length_1(ours) - _of_length_1(theirs)).square()
            distance += (difference * weight.view(1, -1, 1, 1)).sum(dim=1).mean(dim=(1, 2))
        return distance

    def _seen(self, pictures: Tensor) -> list[Tensor]:
        x, seen = (pictures - self.mean) / self.deviation, []
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in _AFTER:
                seen.append(x)
        return seen


def load_lpips(path: str | Path) -> Lpips:
    """AlexNet's weights of ``path``, a state dict, and torchmetrics' of the distance. Raises UserError for a file that
    holds something else."""
    alexnet = _state(Path(path))
    model = Lpips()
    names = [name for name in model.state_dict() if name.startswith("features.")]
    with as_file(files("torchmetrics.functional.image") / "lpips_models" / "alex.pth") as file:
        judged = _state(file)
    try:
        weights = {name: alexnet[name] for name in names}
        weights |= {f"judged.{k}": judged[f"lin{k}.model.1.weight"].flatten() for k in range(len(_AFTER))}
        model.load_state_dict(weights)
    except (KeyError, RuntimeError, AttributeError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"LPIPS {path}: holds no AlexNet ({reason}); give torchvision's alexnet-owt-*.pth") from None
    return model.eval().requires_grad_(False)


def _state(path: Path) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"LPIPS {path}: cannot be read ({error.strerror}); name a file of AlexNet's weights") from None
    except Exception as error:  # whatever a file that is no archive of tensors leads to
        raise UserError(
            f"LPIPS {path}: holds no tensors ({type(error).__name__}); give torchvision's alexnet-owt-*.pth"
        ) from None
    if not isinstance(state, dict):
        raise UserError(f"LPIPS {path}: holds no state dict; give torchvision's alexnet-owt-*.pth")
    return state


def _of_length_1(features: Tensor) -> Tensor:
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)
