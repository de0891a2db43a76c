"""What a sample's record and arrays, which may be anybody's, say of its head, motion and cameras."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.geometry.surface import Surface, make_surface
from datagen.heads.model import HeadModel, head_info, load_head
from datagen.heads.store import check_name
from manifests.clip import Motion
from manifests.errors import UserError

Array = NDArray[Any]

MOST_FRAMES, MOST_SUBDIVISION = 10_001, 2
LONGEST_FOCAL_PX, FARTHEST_M = 1e6, 1e3
"""With a surface a millimetre before the camera, pixels stay within 1e12: whole numbers hold them."""
_TRACKS = ("expression", "root", "neck", "jaw", "left_eye", "right_eye", "translation")


def head_of(spec: Mapping[str, Any]) -> tuple[HeadModel, Surface]:
    """The clip's head and its surface as rendered. Raises UserError if the head is not on this machine."""
    try:
        name, sha256 = str(spec["head"]["name"]), str(spec["head"]["sha256"])
        levels = spec["render"]["subdivision"]
    except (KeyError, TypeError) as error:
        raise UserError(f"spec.json: says nothing of {error}; reindex or render the clip anew") from None
    check_name(name)
    if type(levels) is not int or not 0 <= levels <= MOST_SUBDIVISION:
        raise UserError(f"spec.json: render.subdivision = {levels!r}; must be 0 to {MOST_SUBDIVISION}")
    here = head_info(name).sha256
    if here != sha256:
        raise UserError(
            f"head {name!r}: the clip was made from file {sha256[:16]}, here is {here[:16]}; import that file"
        )
    return _loaded(name, sha256, levels)


@functools.lru_cache(maxsize=2)
def _loaded(name: str, sha256: str, levels: int) -> tuple[HeadModel, Surface]:
    head = load_head(name)
    return head, make_surface(head, levels)


def motion_of(arrays: Mapping[str, Array]) -> Motion:
    """The arrays of ``motion.npz``. Raises UserError if they do not move one head over frames."""
    try:
        motion = Motion(np.asarray(arrays["shape"]), *(np.asarray(arrays[name]) for name in _TRACKS))
    except KeyError as error:
        raise UserError(f"motion.npz: {error} is missing; render the clip anew") from None
    frames = len(motion.expression) if motion.expression.ndim == 2 else 0
    sound = 0 < frames <= MOST_FRAMES and motion.shape.ndim == 1
    sound = sound and all(getattr(motion, name).shape == (frames, 3) for name in _TRACKS[1:])
    sound = sound and all(np.isfinite(getattr(motion, name)).all() for name in ("shape", *_TRACKS))
    if not sound:
        raise UserError("motion.npz: its arrays do not move one head over frames; render the clip anew")
    return motion


def at_frames(motion: Motion, frames: Sequence[int] | slice) -> Motion:
    """The motion in some of its frames."""
    return Motion(motion.shape, *(getattr(motion, name)[frames] for name in _TRACKS))


def check_reach(vertices: Array) -> None:
    """Raises UserError for vertices that no head reaches."""
    if not (np.abs(vertices) < FARTHEST_M).all():
        raise UserError(f"motion.npz: it moves the head farther than {FARTHEST_M:g} m; render the clip anew")


def check_cameras(cameras: Mapping[str, Array], pictures: Sequence[tuple[int, int]]) -> None:
    """Raises UserError for cameras of (view, frame) whose pixels the rasteriser could not count."""
    try:
        chosen = [(cameras["K"][place], cameras["world_to_camera"][place]) for place in pictures]
        sound = all(k.shape == (3, 3) and pose.shape == (4, 4) for k, pose in chosen)
        sound = sound and all(
            (np.abs(k) < LONGEST_FOCAL_PX).all() and (k[2] == [0, 0, 1]).all() and (np.abs(pose) < FARTHEST_M).all()
            for k, pose in chosen
        )
    except (KeyError, IndexError):
        sound = False
    if not sound:
        raise UserError("cameras.npz: its arrays are no cameras of this clip; render the clip anew")
