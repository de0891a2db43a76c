"""Videos for people: MP4 that every browser plays."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from manifests.errors import UserError
from training.folder import replacing_file

Array = NDArray[Any]

_OPTIONS = {"preset": "veryfast", "crf": "17", "x264-params": "threads=1:lookahead-threads=1:cpu-independent=1"}
"""Equal frames give equal bytes, whatever the machine's number of cores."""


def save_video(path: str | Path, frames: Array, fps: float, comment: str = "") -> None:
    """Write uint8 [T, H, W, 3] as H.264; an odd last row or column is doubled, for 4:2:0 pairs them. ``comment`` is
    kept in the file.

    A file that was there is replaced once the new one is whole. Raises UserError for what is no video, or where the
    folder cannot be written.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or 0 in frames.shape or not fps > 0:
        raise UserError(
            f"video {path}: {frames.dtype} {list(frames.shape)} at {fps} fps given; must be uint8 [T, H, W, 3] above 0"
        )
    frames = np.pad(frames, ((0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)), mode="edge")
    with replacing_file(path, "video") as beside, av.open(str(beside), "w", format="mp4", options=_MUXER) as container:
        if comment:
            container.metadata["comment"] = comment
        rate = Fraction(fps).limit_denominator(1001)
        stream = container.add_stream("libx264", rate=rate, options=dict(_OPTIONS))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        for t, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts = t
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


_MUXER = {"fflags": "+bitexact", "movflags": "+faststart"}
