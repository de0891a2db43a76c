"""The faces of a corpus in memory: crops of every view, and what is known of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datagen.heads.model import rotation_matrices
from manifests.clip import Motion
from manifests.errors import UserError
from training.data.clips import Clips
from training.expression.crop import crop_faces, in_crop
from training.expression.targets import MeanFace, mean_face
from training.streams import rng

Array = NDArray[Any]

MOST_FACES: Final = 200_000
"""Crops that are held in memory, about 1.4 GB of 48 x 48 pixels."""
_CHUNK: Final = 256


@dataclass(frozen=True)
class Faces:
    """N crops of M moments; a moment is a frame of a clip, which each of its views shows. All on the CPU."""

    crops: Tensor
    """uint8 [N, 3, size, size]."""
    moment: Array
    """int64 [N]: rows of `targets` and `coefficients`."""
    clip: Array
    """int64 [N]."""
    frame: Array
    """int64 [N]."""
    view: Array
    """int64 [N]."""
    landmarks: Array
    """float32 [N, 70, 2]: in the crop, -1 to 1 from edge to edge."""
    pose: Array
    """float32 [N, 2]: yaw and pitch in degrees of the head as the camera sees it; 0, 0 looks into it."""
    camera: Array
    """float32 [N, 2]: degrees around the head and above its height at which the camera stands, in the world."""
    identity: Array
    """int64 [N]: `Clips.person`."""
    targets: Array
    """float32 [M, targets], metres: `MeanFace.values`."""
    coefficients: Array
    """float32 [M, coefficients]: `MeanFace.coefficients`, the truth that a code is measured against."""
    face: MeanFace

    def __len__(self) -> int:
        return len(self.crops)

    def pictures(self, chosen: Array | slice) -> Tensor:
        """float32 [n, 3, size, size] in [-1, 1], as an encoder takes them."""
        return self.crops[chosen].float() / 127.5 - 1

    def views_of_moments(self) -> list[Array]:
        """Rows of `crops` of each moment."""
        order = np.argsort(self.moment, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(self.moment[order])) + 1)


def read_faces(
    corpus: str,
    split: str,
    size: int,
    *,
    most: int = MOST_FACES,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Faces:
    """Crops of all clips of a split, in all views and frames.

    Of a split with more than ``most`` of them each clip gives as many frames as fit, drawn by ``seed``: people
    differ more than frames. ``progress`` is told of clips done and their number. Raises UserError for a split
    without clips or views, and for clips of heads without named expressions or of different ones.
    """
    clips = Clips(corpus, split=split)
    face = mean_face(_head(clips, 0))
    views = int(clips.views.sum())
    if most < views:
        raise UserError(f"{corpus}: the {views} views of split {split!r} have more faces than {most}; allow more")
    parts: list[dict[str, Array]] = []
    crops: list[Tensor] = []
    moments = 0
    for i in range(len(clips)):
        info = clips.info(i)
        if _head(clips, i) != face.head.info.name:
            raise UserError(f"{info.key}: has head {_head(clips, i)!r}, others {face.head.info.name!r}; train on one")
        count = min(info.frames, most // views)
        frames = np.sort(rng(seed, "faces", split, i).permutation(info.frames)[:count])
        motion = clips.motion(i)
        windows = clips.windows(i, [(view, range(info.frames)) for view in range(info.views)], members=("rgb",))
        for view, window in enumerate(windows):
            assert window.rgb is not None
            video = torch.from_numpy(window.rgb[frames]).permute(3, 0, 1, 2)[None].float()
            landmarks = torch.from_numpy(window.landmarks[frames]).float()
            cut = crop_faces(video, landmarks[None], size)[0]
            crops.append(cut.round().clamp(0, 255).to(torch.uint8))
            same = np.full(count, 1, np.int64)
            parts.append(
                {
                    "moment": moments + np.arange(count),
                    "clip": i * same,
                    "frame": frames,
                    "view": view * same,
                    "identity": clips.person(i) * same,
                    "landmarks": in_crop(landmarks, landmarks).numpy(),
                    "pose": seen_pose(motion, window.world_to_camera)[frames],
                    "camera": _place(window.world_to_camera, face.head.info.head_centre)[frames],
                }
            )
        chosen = motion.at(frames)
        parts[-1] |= {"targets": face.values(chosen), "coefficients": face.coefficients(chosen)}
        moments += count
        if progress is not None:
            progress(i + 1, len(clips))

    def joined(name: str) -> Array:
        return np.concatenate([part[name] for part in parts if name in part])

    return Faces(
        crops=torch.cat(crops),
        moment=joined("moment"),
        clip=joined("clip"),
        frame=joined("frame"),
        view=joined("view"),
        landmarks=joined("landmarks"),
        pose=joined("pose"),
        camera=joined("camera"),
        identity=joined("identity"),
        targets=joined("targets"),
        coefficients=joined("coefficients"),
        face=face,
    )


def encode_faces(
    encode: Callable[[Tensor], Tensor], faces: Faces, device: torch.device | str = "cpu", rows: Array | None = None
) -> Tensor:
    """Codes [N, code_size] of all faces, or of some rows of them; on the CPU."""
    rows = np.arange(len(faces)) if rows is None else rows
    with torch.no_grad():
        chunks = [encode(faces.pictures(rows[i : i + _CHUNK]).to(device)).cpu() for i in range(0, len(rows), _CHUNK)]
    return torch.cat(chunks)


def seen_pose(motion: Motion, world_to_camera: Array) -> Array:
    """float32 [T, 2]: yaw and pitch in degrees at which a camera [T, 4, 4] sees the head; positive yaw looks to the
    picture's right, positive pitch up."""
    head = rotation_matrices(motion.root) @ rotation_matrices(motion.neck)
    ahead = np.einsum("tij,tj->ti", world_to_camera[:, :3, :3], head[:, :, 2])
    yaw = np.arctan2(ahead[:, 0], -ahead[:, 2])
    pitch = np.arcsin(np.clip(-ahead[:, 1], -1, 1))
    return np.degrees(np.stack([yaw, pitch], axis=1)).astype(np.float32)


def _place(world_to_camera: Array, head_centre: tuple[float, float, float]) -> Array:
    """float32 [T, 2]: yaw and pitch in degrees of the camera's place about the head; 0, 0 is in front of it."""
    rotation, translation = world_to_camera[:, :3, :3], world_to_camera[:, :3, 3]
    x, y, z = (-np.einsum("tji,tj->ti", rotation, translation) - head_centre).T
    return np.degrees(np.stack([np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))], axis=1)).astype(np.float32)


def _head(clips: Clips, i: int) -> str:
    """Name of a clip's head. Raises UserError where the record names none."""
    try:
        return str(clips.spec(i)["head"]["name"])
    except (KeyError, TypeError):
        raise UserError(f"{clips.key(i)}.spec.json: names no head; audit the corpus") from None
