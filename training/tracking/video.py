"""Any video as frames, no larger than needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray

from manifests.errors import UserError

Array = NDArray[Any]

MOST_FRAMES: Final = 3000
LONGEST_EDGE: Final = 640
"""Larger frames are scaled down: a face's landmarks need no more."""
_FORMATS: Final = "mov,matroska,avi,mpegts,ogg,flv,gif"
"""FFmpeg knows others, some of which read further files."""
_LARGEST: Final = 8192 * 8192


def read_video(
    path: str | Path, most: int = MOST_FRAMES, edge: int = LONGEST_EDGE, until_s: float | None = None
) -> tuple[Array, float]:
    """uint8 [T, H, W, 3], upright, and frames a second; only what is shown before ``until_s`` if that is given.

    Raises UserError for what is no video, holds no frame, is damaged, or has more frames than ``most``.
    """
    frames: list[Array] = []
    try:
        with av.open(str(path), options={"format_whitelist": _FORMATS}) as container:
            if not container.streams.video:
                raise UserError(f"video {path}: holds no pictures; give a video")
            stream = container.streams.video[0]
            width, height = stream.codec_context.width, stream.codec_context.height
            if not 0 < width * height <= _LARGEST:
                raise UserError(f"video {path}: is {width} x {height}; give one that is smaller")
            fps = float(stream.average_rate or stream.guessed_rate or 0)
            share = min(1.0, edge / max(width, height))
            size = max(2, round(width * share)), max(2, round(height * share))
            for frame in container.decode(stream):
                if until_s is not None and len(frames) >= max(1.0, until_s * fps):
                    break
                if len(frames) == most:
                    raise UserError(f"video {path}: has more than {most} frames; cut it")
                picture = frame.reformat(*size, format="rgb24").to_ndarray()
                frames.append(np.rot90(picture, round(frame.rotation / 90) % 4))
    except (OSError, av.error.FFmpegError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise UserError(f"video {path}: cannot be read ({reason}); give a video that plays") from None
    if not frames or not fps > 0:
        raise UserError(f"video {path}: {len(frames)} frames at {fps:g} a second; give a video that plays")
    return np.stack(frames), fps
