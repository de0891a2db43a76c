"""How large a transformer is, and what a training step of it keeps for the way back; nothing is allocated."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from training.dit import ConditionedTransformer, TransformerSettings, build_transformer


@dataclass(frozen=True)
class Size:
    parameters: int
    tokens: int
    activation_bytes: int
    """Of one sample: tensors that autograd keeps from a forward, weights not among them, each storage once."""


def transformer_size(
    settings: TransformerSettings,
    *,
    latent_channels: int,
    in_channels: int,
    expression_channels: int,
    latents: tuple[int, int, int],
    checkpointed: bool = False,
) -> Size:
    """``latents`` are (slots with the reference's, rows, columns). Weights in 32 bits, products in bfloat16.

    Tensors are fake: on the plain meta device attention would count its whole matrix, which no kernel in use keeps.
    """
    slots, rows, columns = latents
    with FakeTensorMode(), torch.autocast("cpu", torch.bfloat16):
        model = build_transformer(
            settings, latent_channels=latent_channels, in_channels=in_channels, expression_channels=expression_channels
        )
        model.freeze_text()
        if checkpointed:
            model.enable_gradient_checkpointing()
        kept = kept_bytes(
            model,
            torch.empty(1, in_channels, slots, rows, columns),
            torch.empty(1),
            torch.empty(1, slots, expression_channels),
        )
    tokens = slots * (rows // settings.patch) * (columns // settings.patch)
    return Size(sum(weight.numel() for weight in model.parameters()), tokens, kept)


def kept_bytes(model: ConditionedTransformer, *inputs: Tensor) -> int:
    """Bytes of what autograd keeps in a forward, each storage once, weights not among them."""
    seen = {weight.untyped_storage()._cdata for weight in model.parameters()}
    total = 0

    def pack(tensor: Tensor) -> Tensor:
        nonlocal total
        storage = tensor.untyped_storage()
        if storage._cdata not in seen:
            seen.add(storage._cdata)
            alive.append(storage)
            total += storage.nbytes()
        return tensor

    alive: list[torch.UntypedStorage] = []  # an address that is free again would be taken for one that was seen
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(*inputs)
    return total
