"""What the page asks for: choices, the mesh before a dragged camera, a portrait as the model sees it, a video."""

from __future__ import annotations

import dataclasses
import functools
import math
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datagen.heads.model import HeadModel
from manifests.clip import Motion
from manifests.errors import UserError
from manifests.pictures import Picture, normals_picture
from training.animation.camera_paths import KeyPose, camera_path
from training.animation.material import Reader
from training.animation.shot import model_head
from training.data.clips import Clips
from training.pipeline import PortraitPipeline
from training.pose_normals import camera_space, render_pose_normals
from training.progress import Show, silent
from training.sheets import as_pictures

Array = NDArray[Any]

PATHS: Final = {
    "hold": "stay where it was dragged",
    "approach": "from the front to where it was dragged",
    "turntable": "from side to side",
    "spiral": "circles before the face",
}
KINDS: Final = {
    "portrait": (".png", ".jpg", ".jpeg", ".webp"),
    "driver": (".mp4", ".mov", ".mkv", ".webm", ".npz"),
}
"""What may be uploaded."""
MOST_FRAMES: Final = 240
MOST_YAW_DEG: Final = 180.0
MOST_PITCH_DEG: Final = 60.0
_PREVIEW: Final = 192
_LEAST_SHOWN: Final = 256
_MOST_CLIPS: Final = 200


@dataclass(frozen=True)
class Studio:
    """One model, and clips of a corpus to choose from."""

    pipeline: PortraitPipeline
    corpus: str | None = None
    split: str = "test"
    folder: str | None = None
    """Where videos are written, each in a folder of its own (default: the system's temporary one)."""
    ended: threading.Event = field(default_factory=threading.Event)
    """Once it is set, the video that is being made is given up."""
    busy: threading.Lock = field(default_factory=threading.Lock)
    """Held while one is made."""

    @functools.cached_property
    def clips(self) -> tuple[str, ...]:
        """Names of clips, the first views of a split; none without a corpus."""
        if self.corpus is None:
            return ()
        clips = Clips(self.corpus, split=self.split)
        return tuple(f"{self.corpus}:{clips.key(i)}.v00" for i in range(min(len(clips), _MOST_CLIPS)))

    def source(self, what: str, upload: str | None, chosen: int | None) -> str:
        """An uploaded file as ``what``, one of `KINDS`, or the chosen one of `clips`. Raises UserError for a file of
        another kind, and where there is neither."""
        if upload is not None:
            if Path(upload).suffix.lower() not in KINDS[what]:
                raise UserError(f"{what} {Path(upload).name}: is of no known kind; upload {', '.join(KINDS[what])}")
            return upload
        if chosen is None or not 0 <= chosen < len(self.clips):
            raise UserError(f"{what}: none given; upload one" + (" or choose a clip" if self.clips else ""))
        return self.clips[chosen]

    def portrait(self, source: str) -> Picture:
        """uint8 [h, w, 3]: a picture or a clip as the model sees it. Raises UserError as `animate`."""
        model = self.pipeline.model
        face = Reader(model.encode, self._head, model.footage, model.detector).face(source)
        return _enlarged(as_pictures(face.picture[:, None]))[0]

    def preview(self, yaw_deg: float, pitch_deg: float) -> Picture:
        """uint8 [h, w, 3]: the mean head's normals before a camera."""
        head, footage = self._head, self.pipeline.model.footage
        pose = [_key_pose(0, yaw_deg, pitch_deg)]
        track = camera_path(pose, np.zeros(1), footage, head.info.head_centre, (_PREVIEW, _PREVIEW))
        still = np.zeros((1, 3), np.float32)
        motion = Motion(
            shape=np.zeros(1, np.float32),
            expression=np.zeros((1, head.info.expression_size), np.float32),
            **dict.fromkeys(("root", "neck", "jaw", "left_eye", "right_eye", "translation"), still),
        )
        seen = track.intrinsics, track.world_to_camera
        normals = render_pose_normals(head, motion, *seen, _PREVIEW, _PREVIEW, 0)
        return normals_picture(np.moveaxis(camera_space(normals, seen[1]), 0, -1))[0]

    def make(
        self,
        portrait: str,
        driver: str,
        *,
        yaw_deg: float = 0.0,
        pitch_deg: float = 0.0,
        path: str = "hold",
        frames: int = 16,
        seed: int = 0,
        progress: Show = silent,
    ) -> tuple[str, str]:
        """Files of the video, enlarged where it is small, and of it beside what it was made from. Raises
        UserError for what does not fit."""
        if path not in PATHS:
            raise UserError(f"camera path {path[:40]!r}: is none; choose {', '.join(PATHS)}")
        if not 1 <= frames <= MOST_FRAMES:
            raise UserError(f"frames: {frames} asked for; ask for 1 to {MOST_FRAMES}")
        there = _key_pose(0, yaw_deg, pitch_deg)
        footage = self.pipeline.model.footage
        camera: str | list[KeyPose] = path
        if path == "hold":
            camera = [there]
        elif path == "approach":
            camera = [KeyPose(0), _key_pose(max(frames - 1, 1) / footage.fps, yaw_deg, pitch_deg)]

        def show(done: float, total: float, words: str) -> None:
            if self.ended.is_set():
                raise UserError("the page was closed before the video was made; open it again")
            progress(done, total, words)

        with self.busy:
            video = self.pipeline(portrait, driver, camera=camera, num_frames=frames, seed=seed, progress=show)
            folder = Path(tempfile.mkdtemp(prefix="video-", dir=self.folder))
            dataclasses.replace(video, frames=_enlarged(video.frames)).save(folder / "video.mp4")
            video.save_beside(folder / "beside.mp4", self.pipeline.model)
        return str(folder / "video.mp4"), str(folder / "beside.mp4")

    @functools.cached_property
    def _head(self) -> HeadModel:
        return model_head(self.pipeline.model)


def _key_pose(time_s: float, yaw_deg: float, pitch_deg: float) -> KeyPose:
    """Held within what a camera can be dragged to. Raises UserError for what is no number."""
    if not math.isfinite(yaw_deg) or not math.isfinite(pitch_deg):
        raise UserError(f"camera: yaw {yaw_deg} and pitch {pitch_deg} given; give degrees")
    yaw = float(np.clip(yaw_deg, -MOST_YAW_DEG, MOST_YAW_DEG))
    return KeyPose(time_s, yaw, float(np.clip(pitch_deg, -MOST_PITCH_DEG, MOST_PITCH_DEG)))


def _enlarged(pictures: Array) -> Array:
    scale = max(1, -(-_LEAST_SHOWN // max(pictures.shape[1:3])))
    size = pictures.shape[2] * scale, pictures.shape[1] * scale
    return np.stack([np.asarray(Image.fromarray(each).resize(size, Image.Resampling.BICUBIC)) for each in pictures])
