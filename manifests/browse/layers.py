"""A view's members as pictures for the page: colour as JPEG, labels as WebP that lies over it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from manifests import pictures
from manifests.conventions import SEGMENTATION_CLASSES
from manifests.errors import UserError

Array = NDArray[Any]

COLOUR: Final = "rgb"
JPEG_QUALITY: Final = 97
"""With full chroma, so that blocks and bleeding seen on the page are the corpus' own."""
THUMBNAIL_EDGE: Final = 240

Draw = Callable[[Array, tuple[float, float]], tuple[Array, Array]]
"""A decoded frame and the clip's range of depth -> colours uint8 [H, W, 3], and how far they cover, [H, W]: bool,
or uint8 up to 255."""


def encode_frame(layer: str, frame: Array, depth_range: tuple[float, float]) -> bytes:
    """One decoded frame as the bytes of a JPEG (`COLOUR`) or of a lossless WebP that is clear where there is
    nothing. Raises UserError if it holds what the layer cannot."""
    out = io.BytesIO()
    if layer == COLOUR:
        Image.fromarray(frame).save(out, "JPEG", quality=JPEG_QUALITY, subsampling=0)
        return out.getvalue()
    colours, cover = LAYERS[layer](frame, depth_range)
    overlay = np.dstack([colours, cover if cover.dtype == np.uint8 else np.where(cover, 255, 0).astype(np.uint8)])
    Image.fromarray(overlay).save(out, "WEBP", lossless=True, method=0, quality=0)
    return out.getvalue()


def thumbnail(frame: Array) -> bytes:
    """A small JPEG of a colour frame uint8 [H, W, 3]."""
    image = Image.fromarray(frame)
    image.thumbnail((THUMBNAIL_EDGE, THUMBNAIL_EDGE))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()


def class_colours() -> list[dict[str, str]]:
    """Name and CSS colour of each class of the segmentation."""
    colours = pictures.segmentation_picture(np.arange(len(SEGMENTATION_CLASSES), dtype=np.uint8)[None])[0]
    pairs = zip(SEGMENTATION_CLASSES, colours.tolist(), strict=True)
    return [{"name": name, "colour": "#{:02x}{:02x}{:02x}".format(*rgb)} for name, rgb in pairs]


def _alpha(frame: Array, _: tuple[float, float]) -> tuple[Array, Array]:
    return np.broadcast_to(np.array(_MASK_COLOUR, np.uint8), (*frame.shape, 3)), frame


def _segmentation(frame: Array, _: tuple[float, float]) -> tuple[Array, Array]:
    if int(frame.max()) >= len(SEGMENTATION_CLASSES):
        raise UserError(f"segmentation: class {int(frame.max())} is none of {len(SEGMENTATION_CLASSES)}; audit it")
    return pictures.segmentation_picture(frame), frame > 0


def _normals(frame: Array, _: tuple[float, float]) -> tuple[Array, Array]:
    return pictures.normals_picture(frame), np.any(frame != 0, axis=-1)


def _depth(frame: Array, depth_range: tuple[float, float]) -> tuple[Array, Array]:
    near, far = depth_range
    share = np.clip((frame - near) / max(far - near, 1e-6), 0, 1)
    stops = np.linspace(0, 1, len(_NEAR_TO_FAR))
    channels = [np.interp(share, stops, levels) for levels in np.array(_NEAR_TO_FAR).T]
    return np.stack(channels, -1).astype(np.uint8), frame > 0


def _uv(frame: Array, _: tuple[float, float]) -> tuple[Array, Array]:
    return pictures.uv_picture(frame), np.any(frame != 0, axis=-1)


def _flow(frame: Array, _: tuple[float, float]) -> tuple[Array, Array]:
    return pictures.flow_picture(frame), np.any(frame != 0, axis=-1)


_MASK_COLOUR: Final = (255, 90, 160)
_NEAR_TO_FAR: Final = ((252, 236, 160), (244, 136, 73), (183, 55, 121), (81, 18, 124), (20, 14, 54))
"""Light and warm in front, dark and cool behind."""

LAYERS: Final[dict[str, Draw]] = {
    "alpha": _alpha,
    "segmentation": _segmentation,
    "pose_normals": _normals,
    "normals": _normals,
    "depth": _depth,
    "uv": _uv,
    "flow": _flow,
}
"""What can lie over the colour."""
