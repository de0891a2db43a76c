"""The identity encoder that is trained on a corpus, in a model folder, and others by their kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from training.expression.crop import crop_faces
from training.expression.network import FaceNetwork
from training.folder import check_config, digest, load_weights, plugged_in, read_config, read_tensors, write_folder
from training.identity.encoder import IdentityEncoder

KIND: Final = "identity"
FORMAT: Final = 1
ENTRY_POINTS: Final = "factorportrait.identity_encoders"
"""Installed packages name their loaders in this group, each by the kind that its folders' config.json says."""

Loader = Callable[[Path, dict[str, Any]], IdentityEncoder]

_SIZES: Final = {"size": range(16, 257, 8), "width": range(4, 257), "code_size": range(2, 1025)}


class CnnIdentity(IdentityEncoder):
    """Looks at the crop that the expression encoder looks at: the face, upright, without hair and ground."""

    licence = "as the corpus it was trained on"

    def __init__(self, network: FaceNetwork, size: int, width: int, code_size: int) -> None:
        super().__init__()
        self.network, self.size, self.width, self.code_size = network, size, width, code_size
        self.digest = digest(self.config(), network.state_dict())

    def config(self) -> dict[str, Any]:
        sizes = {name: getattr(self, name) for name in _SIZES}
        return {"kind": KIND, "format": FORMAT, **sizes}

    def _embed(self, pictures: Tensor, landmarks: Tensor) -> Tensor:
        crops = crop_faces(pictures[:, :, None], landmarks[:, None], self.size)[:, 0]
        embedded: Tensor = self.network(crops)
        return embedded


def save_identity(encoder: CnnIdentity, folder: str | Path) -> None:
    """Raises UserError when the place is taken by something that is no model folder."""
    write_folder(folder, encoder.config(), encoder.network.state_dict())


def load_identity(path: str | Path) -> IdentityEncoder:
    """The encoder in a model folder, on the CPU and ready to be used.

    Raises UserError for a folder that holds none, one of an unknown kind, or a damaged one.
    """
    folder = Path(path)
    config = read_config(folder)
    loader: Loader = plugged_in(folder, config, {KIND: _load}, ENTRY_POINTS, "identity encoder")
    return loader(folder, config).eval().requires_grad_(False)


def _load(folder: Path, config: dict[str, Any]) -> CnnIdentity:
    check_config(folder, config, FORMAT, _SIZES)
    network = FaceNetwork(config["code_size"], config["size"], config["width"])
    load_weights(network, read_tensors(folder), folder)
    return CnnIdentity(network.eval(), **{name: config[name] for name in _SIZES})
