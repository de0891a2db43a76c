"""The encoder that is trained on a corpus: `FaceNetwork` in a model folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from manifests.errors import UserError
from training.expression.encoder import ExpressionEncoder
from training.expression.network import FaceNetwork
from training.folder import CONFIG, digest, load_weights, read_tensors, write_folder

KIND: Final = "expression"
FORMAT: Final = 1
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

    def __init__(self, sizes: CnnSizes, network: FaceNetwork, target_names: tuple[str, ...]) -> None:
        super().__init__()
        self.sizes = sizes
        self.code_size, self.picture_size = sizes.code_size, sizes.picture_size
        self.network = network
        self.target_names = target_names
        """What it was trained to tell."""
        self.digest = digest(self.config(), network.state_dict())

    def config(self) -> dict[str, Any]:
        sizes = {name: getattr(self.sizes, name) for name in _SIZES}
        return {"kind": KIND, "format": FORMAT, **sizes, "target_names": list(self.target_names)}

    def _encode(self, faces: Tensor) -> Tensor:
        codes: Tensor = self.network(faces)
        return codes


def save_cnn(encoder: CnnEncoder, folder: str | Path) -> None:
    """Raises UserError when the place is taken by something that is no model folder."""
    write_folder(folder, encoder.config(), encoder.network.state_dict())


def load_cnn(folder: Path, config: dict[str, Any]) -> CnnEncoder:
    """Raises UserError for a folder of another version, or a damaged one."""
    if config.get("format") != FORMAT:
        raise UserError(
            f"{folder}: is of format {str(config.get('format'))[:20]}, this version reads {FORMAT}; train it again"
        )
    names = config.get("target_names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{folder / CONFIG}: target_names is no list of names; take another copy of the model")
    try:
        sizes = CnnSizes(**{name: config.get(name) for name in _SIZES})  # type: ignore[arg-type]
    except UserError as error:
        raise UserError(f"{folder / CONFIG}: {error}; take another copy of the model") from None
    network = sizes.network()
    load_weights(network, read_tensors(folder), folder)
    return CnnEncoder(sizes, network.eval(), tuple(names))
