"""The encoder that is trained on a corpus: `FaceNetwork` in a model folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from datagen.heads.model import HeadModel
from manifests.clip import Motion
from manifests.errors import UserError
from training.expression.encoder import ExpressionEncoder
from training.expression.network import FaceNetwork
from training.expression.targets import MeanFace
from training.folder import CONFIG, check_config, digest, load_weights, read_tensors, write_folder

KIND: Final = "expression"
FORMAT: Final = 1
_WEIGHT: Final = "of_targets.weight"
_BIAS: Final = "of_targets.bias"
_SIZES: Final = {
    "code_size": (1, 1024),
    "picture_size": (16, 128),
    "width": (1, 128),
    "depth": (1, 8),
}
"""Least and most of what a folder may say: memory is taken by them."""


@dataclass(frozen=True)
class CnnSizes:
    """Raises UserError for a size that cannot be."""

    code_size: int = 32
    picture_size: int = 48
    width: int = 32
    depth: int = 1
    """Residual blocks at each of three scales."""

    def __post_init__(self) -> None:
        for name, (least, most) in _SIZES.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise UserError(f"expression.{name}: {value!r} given; must be a whole number, {least} to {most}")
        if self.picture_size % 8:
            raise UserError(f"expression.picture_size: {self.picture_size} given; must be a multiple of 8")

    def network(self) -> FaceNetwork:
        return FaceNetwork(self.code_size, self.picture_size, self.width, self.depth)


class CnnEncoder(ExpressionEncoder):
    """A `FaceNetwork` whose codes have mean 0 and at most unit variance on the faces it was trained on, and whose first
    numbers tell most."""

    def __init__(
        self,
        sizes: CnnSizes,
        network: FaceNetwork,
        target_names: tuple[str, ...],
        of_targets: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.sizes = sizes
        self.code_size, self.picture_size = sizes.code_size, sizes.picture_size
        self.network = network
        self.target_names = target_names
        """What it was trained to tell."""
        self.of_targets = of_targets
        """Weight [code, targets] and bias [code]: what code a face of those targets (`targets.MeanFace.values`, metres)
        has on average. No part of the digest: no code of a picture depends on it."""
        self.digest = digest(self.config(), network.state_dict())

    def config(self) -> dict[str, Any]:
        sizes = {name: getattr(self.sizes, name) for name in _SIZES}
        return {"kind": KIND, "format": FORMAT, **sizes, "target_names": list(self.target_names)}

    def encode_motion(self, motion: Motion, head: HeadModel) -> Tensor | None:
        if self.of_targets is None:
            return None
        face = MeanFace(head)
        if tuple(target.name for target in face.targets) != self.target_names:
            raise UserError(
                f"head {head.info.name!r}: has other expressions than the encoder's; take the head it learnt"
            )
        weight, bias = self.of_targets
        return torch.from_numpy(face.values(motion)).to(weight) @ weight.T + bias

    def _encode(self, faces: Tensor) -> Tensor:
        codes: Tensor = self.network(faces)
        return codes


def save_cnn(encoder: CnnEncoder, folder: str | Path) -> None:
    """Raises UserError when the place is taken by something that is no model folder."""
    weight, bias = encoder.of_targets or (None, None)
    more = {} if weight is None or bias is None else {_WEIGHT: weight, _BIAS: bias}
    write_folder(folder, encoder.config(), {**encoder.network.state_dict(), **more})


def load_cnn(folder: Path, config: dict[str, Any]) -> CnnEncoder:
    """Raises UserError for a folder of another version, or a damaged one."""
    check_config(folder, config, FORMAT)
    names = config.get("target_names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{folder / CONFIG}: target_names is no list of names; take another copy of the model")
    try:
        sizes = CnnSizes(**{name: config.get(name) for name in _SIZES})  # type: ignore[arg-type]
    except UserError as error:
        raise UserError(f"{folder / CONFIG}: {error}; take another copy of the model") from None
    network, tensors = sizes.network(), read_tensors(folder)
    weight, bias = tensors.pop(_WEIGHT, None), tensors.pop(_BIAS, None)
    load_weights(network, tensors, folder)
    shapes = None if weight is None or bias is None else (tuple(weight.shape), tuple(bias.shape))
    if shapes not in (None, ((sizes.code_size, len(names)), (sizes.code_size,))):
        raise UserError(f"{folder}: its codes of targets are of shapes {shapes}; take another copy of the model")
    of_targets = None if weight is None or bias is None else (weight, bias)
    return CnnEncoder(sizes, network.eval(), tuple(names), of_targets)
