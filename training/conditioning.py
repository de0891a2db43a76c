"""What the transformer is told, laid out as the paper's four rows of temporal latent slots.

Slot 0 is the reference's; slots 1..S are the video's. Rows are joined along the channels, the noise first, so that a
pre-trained model's own channels stay in front:

    row        slot 0      slots 1..S                    channels
    noise      zeros       noisy latents of the target   z
    reference  portrait    zeros                         z
    pose       zeros       latents of the normal maps    z
    camera     zeros       Plücker rays                  6 s

z is the codec's channels, s its temporal stride. The expression is no row: it modulates the blocks, slot by slot.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from training.codec.codec import Codec

RAY_CHANNELS: Final = 6
CONDITIONS: Final = ("reference", "pose", "camera", "expression")
"""What can be left out, each on its own."""


@dataclass(frozen=True)
class Conditions:
    """The conditions of a batch of B videos of S slots, at latent size h x w."""

    reference: Tensor
    """[B, z, h, w]: latents of the portrait."""
    pose: Tensor
    """[B, z, S, h, w]: latents of the normal maps, in camera space."""
    camera: Tensor
    """[B, 6 s, S, h, w]: rays in world space, which is the head's own."""
    expression: Tensor
    """[B, S + 1, s D + 1]: codes of a slot's frames and 1; zeros where it is left out. Slot 0 is the portrait's own."""

    def rows(self, noisy: Tensor) -> Tensor:
        """The transformer's input [B, 3 z + 6 s, S + 1, h, w] about the noisy latents [B, z, S, h, w]."""
        reference = torch.cat([self.reference[:, :, None], torch.zeros_like(noisy)], dim=2)
        return torch.cat([_behind_slot_0(noisy), reference, _behind_slot_0(self.pose), _behind_slot_0(self.camera)], 1)

    def without(self, names: Collection[str], where: Tensor | None = None) -> Conditions:
        """The same with conditions of `CONDITIONS` zeroed, in all of the batch or ``where`` bool [B] says.

        Raises ValueError for a name that is none.
        """
        if unknown := set(names) - set(CONDITIONS):
            raise ValueError(f"{sorted(unknown)[0]!r} is no condition; they are {', '.join(CONDITIONS)}")
        kept = {}
        for name in names:
            value: Tensor = getattr(self, name)
            drop = torch.ones(len(value), dtype=torch.bool, device=value.device) if where is None else where
            kept[name] = value.masked_fill(drop.view(-1, *[1] * (value.ndim - 1)), 0)
        return dataclasses.replace(self, **kept)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Conditions:
        return Conditions(*(getattr(self, field.name).to(device, dtype) for field in dataclasses.fields(self)))


def input_channels(codec: Codec) -> int:
    """Channels of `Conditions.rows`."""
    return 3 * codec.channels + RAY_CHANNELS * codec.temporal_stride


def expression_channels(codec: Codec, code_size: int) -> int:
    """Numbers of expression a slot."""
    return codec.temporal_stride * code_size + 1


def camera_row(intrinsics: Tensor, world_to_camera: Tensor, size: tuple[int, int], codec: Codec) -> Tensor:
    """Plücker rays [B, 6 s, S, h, w] of cameras [B, T, 3, 3], in pixels of pictures of ``size`` (H, W), and
    [B, T, 4, 4].

    A latent's ray is that through the middle of the pixels it covers: direction d and moment o x d in world space,
    metres. The s frames of a slot lie behind one another in the channels; the first slot repeats its only frame.
    """
    height, width = (edge // codec.spatial_stride for edge in size)
    rays = plucker_rays(intrinsics, world_to_camera, height, width, codec.spatial_stride)
    return pack_frames(rays, codec.temporal_stride).flatten(2, 3).transpose(1, 2)


def plucker_rays(intrinsics: Tensor, world_to_camera: Tensor, rows: int, columns: int, stride: int) -> Tensor:
    """Rays [..., 6, rows, columns] through the middles of squares of ``stride`` pixels.

    Source: Sitzmann et al., "Light Field Networks", 2021; the same as `datagen.geometry.cameras.plucker_rays`, in
    torch, so that it runs where the model does.
    """
    device = intrinsics.device
    x = (torch.arange(columns, device=device, dtype=torch.float64) + 0.5) * stride
    y = (torch.arange(rows, device=device, dtype=torch.float64) + 0.5) * stride
    pixels = torch.stack([x.expand(rows, -1), y[:, None].expand(-1, columns), torch.ones_like(x).expand(rows, -1)])
    rotation, shift = world_to_camera.double()[..., :3, :3], world_to_camera.double()[..., :3, 3]
    to_world = rotation.mT @ torch.linalg.inv(intrinsics.double())
    direction = torch.einsum("...ij,jhw->...ihw", to_world, pixels)
    direction = direction / direction.norm(dim=-3, keepdim=True)
    centre = -(rotation.mT @ shift[..., None])[..., None]
    moment = torch.linalg.cross(centre.expand_as(direction), direction, dim=-3)
    return torch.cat([direction, moment], dim=-3).float()


def expression_row(codes: Tensor, reference: Tensor, codec: Codec) -> Tensor:
    """What `Conditions.expression` holds, from codes [B, T, D] of the frames and [B, D] of the portrait."""
    stride = codec.temporal_stride
    slots = pack_frames(codes, stride).flatten(2)
    row = torch.cat([reference.repeat(1, stride)[:, None], slots], dim=1)
    return torch.cat([row, torch.ones_like(row[..., :1])], dim=-1)


def pack_frames(frames: Tensor, stride: int) -> Tensor:
    """Frames [B, T, ...] by slots [B, S, stride, ...]: the first has a slot of its own, in which it repeats."""
    first = frames[:, :1].repeat_interleave(stride, dim=1)
    return torch.cat([first, frames[:, 1:]], dim=1).unflatten(1, (-1, stride))


def _behind_slot_0(row: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(row[:, :, :1]), row], dim=2)
