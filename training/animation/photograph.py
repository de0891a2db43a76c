"""A picture of somebody as the portrait: found, cut to the size of a face that the model knows, and who it is."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from datagen.geometry.cameras import project
from datagen.heads.landmark_model import LandmarkModel
from datagen.heads.model import HeadModel
from manifests.errors import UserError
from training.animation.camera_paths import camera_path
from training.footage import Footage
from training.landmarks.detector import LandmarkDetector
from training.landmarks.portraits import cut_out, square
from training.tracking.fit import fit_head

Array = NDArray[Any]

_FORMATS: Final = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
"""Pillow knows others, some of which start programs."""
MOST_PIXELS: Final = 8192 * 8192
_LONGEST_EDGE: Final = 1024
"""Larger ones are scaled down before anything is looked for."""
_SURE: Final = 0.5


def read_photograph(path: str | Path) -> Tensor:
    """[3, H, W] in [-1, 1], upright, what is transparent over black. Raises UserError for what is no picture, or too
    large."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its size, which is checked
            with Image.open(path, formats=_FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise UserError(f"portrait {path}: is {image.width} x {image.height}; give a smaller picture")
                if image.mode.startswith(("I", "F")):  # Pillow would cut its values off, not scale them
                    raise UserError(f"portrait {path}: has values of mode {image.mode}; save it with 8 bits a channel")
                image.draft("RGB", (_LONGEST_EDGE, _LONGEST_EDGE))
                upright = ImageOps.exif_transpose(image).convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise UserError(f"portrait {path}: cannot be read as a picture ({reason}); give a PNG or JPEG") from None
    upright.thumbnail((_LONGEST_EDGE, _LONGEST_EDGE), Image.Resampling.LANCZOS)
    flat = Image.alpha_composite(Image.new("RGBA", upright.size, (0, 0, 0, 255)), upright).convert("RGB")
    return torch.from_numpy(np.array(flat)).permute(2, 0, 1).float() / 127.5 - 1


def place_face(
    path: str | Path, picture: Tensor, detector: LandmarkDetector, head: HeadModel, footage: Footage
) -> tuple[Tensor, Tensor, Array]:
    """The picture [3, h, w] cut so that its face is as large, and where, the model's front camera would have it; its
    landmarks [70, 2] there in pixels; and the identity [S] that fits them.

    What lies beyond the picture is black. Raises UserError where no face is found.
    """
    device = next((weight.device for weight in detector.parameters()), torch.device("cpu"))
    told = detector.detect(picture[None].to(device))
    if float(told.found) < _SURE:
        raise UserError(f"portrait {path}: no face is found in it; give a picture of one, from the front, well lit")
    points = told.points.cpu()
    height, width = footage.height, footage.width
    wanted = _front(head, footage)
    (centre,), (edge,) = square(points)
    (wanted_centre,), (wanted_edge,) = square(wanted[None])
    scale = edge / wanted_edge  # pixels of the picture for one of the model's
    middle = centre + (points.new_tensor([width / 2, height / 2]) - wanted_centre) * scale
    longer = max(height, width)
    whole = cut_out(picture[None] + 1, middle[None], scale[None] * longer, torch.zeros(1), longer)[0] - 1
    top, left = (longer - height) // 2, (longer - width) // 2
    cut = whole[:, top : top + height, left : left + width]
    corner = middle - points.new_tensor([width, height]) / 2 * scale
    fit = fit_head(
        head, points, told.visible.cpu(), torch.ones(1, dtype=torch.bool), (picture.shape[1], picture.shape[2])
    )
    return cut.contiguous(), (points[0] - corner) / scale, fit.motion.shape


def _front(head: HeadModel, footage: Footage) -> Tensor:
    """Pixels [70, 2] at which a front camera of the footage sees the mean head's landmarks."""
    mean = LandmarkModel(head).mean()
    size = footage.height, footage.width
    track = camera_path("front", np.zeros(1), footage, head.info.head_centre, size)
    pixels, _ = project(mean.numpy(), track.intrinsics[0], track.world_to_camera[0])
    return torch.from_numpy(pixels).float()
