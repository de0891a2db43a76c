"""Videos in TensorBoard, which knows pictures: as a GIF that moves."""

from __future__ import annotations

import io

import numpy as np
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary

from manifests.pictures import Picture


def add_animation(logger: TensorBoardLogger, tag: str, frames: Picture, step: int, fps: float) -> None:
    """Log uint8 [T, H, W, 3]. torch's own `add_video` would need moviepy for the same."""
    height, width = frames.shape[1:3]
    content = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=gif(frames, fps))
    writer = logger.experiment._get_file_writer()
    writer.add_summary(Summary(value=[Summary.Value(tag=tag, image=content)]), step)


def gif(frames: Picture, fps: float) -> bytes:
    """It repeats without end."""
    first, *rest = (Image.fromarray(np.ascontiguousarray(frame)) for frame in frames)
    stream = io.BytesIO()
    first.save(stream, "GIF", save_all=True, append_images=rest, duration=max(20, round(1000 / fps)), loop=0)
    return stream.getvalue()
