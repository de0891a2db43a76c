"""What an audit asks of this room: a stored clip's geometry made anew, its mesh, and the clip rendered again.

Everything comes from the sample's own record and arrays, which may be anybody's: the head is looked up by name
and hash among those of this machine, and sizes are checked before memory is taken.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.geometry.cameras import project
from datagen.geometry.normals import shading_normals, vertex_normals
from datagen.geometry.raster import View
from datagen.geometry.surface import Surface, make_surface
from datagen.heads.model import HeadModel, head_info, load_head
from datagen.heads.store import check_name
from manifests.audit.probe import Expected
from manifests.clip import Member, Motion
from manifests.errors import UserError

Array = NDArray[Any]

LARGEST_EDGE, MOST_FRAMES, MOST_SUBDIVISION = 8192, 10_001, 2
LONGEST_FOCAL_PX, FARTHEST_M = 1e6, 1e3
"""With a surface a millimetre before the camera, pixels stay within 1e12: whole numbers hold them."""
MOST_LAYERS = 40
"""How often faces may cover the picture, by the rectangles around them; a head's do 7 times at most."""


def probe(
    spec: Mapping[str, Any],
    motion: Mapping[str, Array],
    cameras: Mapping[str, Array],
    pictures: Sequence[tuple[int, int]],
) -> list[Expected]:
    """The mesh as the given (view, frame) pictures show it; see `manifests.audit.probe.GeometryProbe`.

    Raises UserError if the head is not on this machine, and ValueError if the arrays are not such as move it, or
    no cameras that see it from outside.
    """
    head, surface = _head(spec)
    try:
        return _expected(head, surface, spec, motion, cameras, pictures)
    except UserError as error:
        raise ValueError(str(error)) from error


def mesh_probe(spec: Mapping[str, Any], motion: Mapping[str, Array]) -> tuple[Array, Array]:
    """Vertices float32 [T, V, 3] in world metres and faces int32 [F, 3] of the clip's head, not subdivided."""
    head, _ = _head(spec)
    return head.pose(_motion(motion)), np.asarray(head.faces, np.int32)


def rerender(config: Mapping[str, Any], index: int, device: str | None) -> list[Member]:
    """The members of clip `index` of a corpus, from its resolved configuration.

    Raises UserError if the configuration is damaged, or the head or device is not on this machine.
    """
    from datagen.config import CorpusConfig
    from datagen.pipeline import Pipeline

    check_name(str(config.get("head", "")))
    text = json.dumps(config)
    if device is not None:
        changed = CorpusConfig.from_json(text).model_dump(mode="json")
        changed["render"]["device"] = device
        text = CorpusConfig.from_json(json.dumps(changed)).to_json()
    return _pipeline(Pipeline, text).members(index)


def _expected(
    head: HeadModel,
    surface: Surface,
    spec: Mapping[str, Any],
    motion: Mapping[str, Array],
    cameras: Mapping[str, Array],
    pictures: Sequence[tuple[int, int]],
) -> list[Expected]:
    width, height = _whole(spec, "width", LARGEST_EDGE), _whole(spec, "height", LARGEST_EDGE)
    moved = _motion(motion)
    _check_cameras(cameras, pictures)
    frames = sorted({frame for _, frame in pictures})
    some = _at(moved, frames)
    vertices = surface.refine(head.pose(some))
    neutral = surface.refine(head.pose(some.without_expression()))
    if not (np.abs(vertices) < FARTHEST_M).all() or not (np.abs(neutral) < FARTHEST_M).all():
        raise UserError(f"motion.npz: it moves the head farther than {FARTHEST_M:g} m; render the clip anew")
    points = surface.landmarks(vertices)
    made = []
    for view, frame in pictures:
        t = frames.index(frame)
        camera = cameras["K"][view, frame], cameras["world_to_camera"][view, frame]
        for posed in (vertices[t], neutral[t]):
            _check_work(posed[: len(head.template)], head.faces, camera, width, height)
        hits = View(vertices[t], surface.faces, *camera).hits(height, width)
        pose = View(neutral[t], surface.faces, *camera).hits(height, width)
        normals = vertex_normals(vertices[t], surface.faces), vertex_normals(neutral[t], surface.faces)
        made.append(
            Expected(
                view=view,
                frame=frame,
                mask=hits.mask,
                depth=hits.picture(hits.depth),
                pose_normals=pose.picture(shading_normals(pose, surface.faces, normals[1])),
                normals=hits.picture(shading_normals(hits, surface.faces, normals[0])),
                points=points[t].astype(np.float32),
                pixels=project(points[t], *camera)[0].astype(np.float32),
            )
        )
    return made


@functools.lru_cache(maxsize=1)
def _pipeline(kind: type, config_json: str) -> Any:
    return kind(config_json)


def _head(spec: Mapping[str, Any]) -> tuple[HeadModel, Surface]:
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


def _motion(arrays: Mapping[str, Array]) -> Motion:
    names = ("expression", "root", "neck", "jaw", "left_eye", "right_eye", "translation")
    try:
        motion = Motion(np.asarray(arrays["shape"]), *(np.asarray(arrays[name]) for name in names))
    except KeyError as error:
        raise UserError(f"motion.npz: {error} is missing; render the clip anew") from None
    frames = len(motion.expression) if motion.expression.ndim == 2 else 0
    sound = 0 < frames <= MOST_FRAMES and motion.shape.ndim == 1
    sound = sound and all(getattr(motion, name).shape == (frames, 3) for name in names[1:])
    sound = sound and all(np.isfinite(getattr(motion, name)).all() for name in ("shape", *names))
    if not sound:
        raise UserError("motion.npz: its arrays do not move one head over frames; render the clip anew")
    return motion


def _check_cameras(cameras: Mapping[str, Array], pictures: Sequence[tuple[int, int]]) -> None:
    """Raises UserError for cameras whose pixels the rasteriser could not count."""
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


def _check_work(vertices: Array, faces: Array, camera: tuple[Array, Array], width: int, height: int) -> None:
    """Raises UserError where the rectangles around the faces cover the picture too often to be drawn in good time."""
    pixels, depth = project(vertices, *camera)
    inside = np.where(depth[:, None] > 0, np.clip(pixels, 0, (width, height)), 0)
    first, second, third = (inside[corner] for corner in faces.T)
    low, high = np.minimum(np.minimum(first, second), third), np.maximum(np.maximum(first, second), third)
    covered = (high - low + 1).prod(axis=-1).sum()
    if covered > MOST_LAYERS * width * height + 16 * len(faces):
        raise UserError("motion.npz: its head is torn apart and fills the picture many times over; leave the clip out")


def _at(motion: Motion, frames: list[int]) -> Motion:
    return Motion(
        motion.shape,
        *(
            getattr(motion, name)[frames]
            for name in ("expression", "root", "neck", "jaw", "left_eye", "right_eye", "translation")
        ),
    )


def _whole(spec: Mapping[str, Any], name: str, most: int) -> int:
    value = spec.get(name)
    if type(value) is not int or not 1 <= value <= most:
        raise UserError(f"spec.json: {name} = {value!r}; must be a whole number up to {most}")
    return value
