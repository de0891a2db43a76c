"""Clips of a corpus at random: which there are, and windows of frames of their views, decoded."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from manifests.clip import Motion
from manifests.conventions import LANDMARK_COUNT
from manifests.decode import read_arrays, read_frames, read_json
from manifests.errors import UserError
from manifests.reader import CorpusReader
from training.data.columns import Columns, read_columns
from training.data.per_process import PerProcess
from training.data.places import Places

Array = NDArray[Any]

PICTURES: Final = {"rgb": "mp4", "alpha": "mkv", "pose_normals": "mkv"}
"""Members of a view that a window can hold, and their containers."""
_LONGEST_NUMBER: Final = 18
"""Digits of a clip's."""
_LABELS: Final = ("cameras.npz", "landmarks.npz")
"""Members of a clip that every window needs."""


@dataclass(frozen=True)
class ClipInfo:
    """What is known of a clip without opening its shard."""

    key: str
    identity: int
    recipe: str
    frames: int
    views: int
    shard: int


@dataclass(frozen=True)
class Window:
    """T frames of one view of one clip. Pictures are None where they were not asked for."""

    key: str
    """``faces-000000012.v01[0:5]``, or ``[0:9:2]`` of every second frame."""
    rgb: Array | None
    """uint8 [T, H, W, 3], over the background that the corpus was rendered with."""
    alpha: Array | None
    """uint8 [T, H, W]."""
    pose_normals: Array | None
    """float32 [T, H, W, 3]: unit in world space, or zero."""
    intrinsics: Array
    """float64 [T, 3, 3] pixels."""
    world_to_camera: Array
    """float64 [T, 4, 4] metres."""
    landmarks: Array
    """float32 [T, 70, 2] pixels."""
    visible: Array
    """bool [T, 70]."""


class Clips:
    """The sound clips of a corpus that are long enough and have enough views, in the manifest's order.

    What is held of a clip are a few numbers in arrays, so millions fit; it pickles, and may be used after a fork.
    """

    def __init__(
        self,
        corpus: str,
        *,
        split: str | None = "train",
        subset: str | None = None,
        frames: int = 1,
        views: int = 1,
        without_recipes: Collection[str] = (),
    ) -> None:
        """``corpus`` is a folder, a URL or a view over several; ``subset`` a list that ``select`` wrote; clips of
        ``without_recipes`` are left out.

        Raises UserError if there is no corpus, it is damaged or of another version, no clip is left (or none of
        the list is there), or those left differ in resolution or frame rate.
        """
        self._reader = PerProcess(functools.partial(CorpusReader, corpus))
        self._columns: Columns = read_columns(self._reader(), split, subset, frames, views, without_recipes)
        self._places = Places(self._columns.files)

    def __len__(self) -> int:
        return len(self._columns.index)

    @property
    def resolution(self) -> tuple[int, int]:
        """(height, width) of every picture."""
        return self._columns.resolution

    @property
    def fps(self) -> float:
        return self._columns.fps

    @property
    def frames(self) -> Array:
        """int32 [N]: how many each clip has."""
        return self._columns.frames

    @property
    def views(self) -> Array:
        """int32 [N]: how many each clip has."""
        return self._columns.views

    @property
    def shard_starts(self) -> Array:
        """int64 [S + 1]: the clips of the s-th shard are those from [s] to [s + 1]; no shard is empty."""
        return self._columns.shard_starts

    @property
    def digest(self) -> str:
        """SHA-256 of which clips these are, of which corpora."""
        columns, sources = self._columns, self._reader().sources
        hashed = hashlib.sha256(json.dumps([source.corpus.config_hash for source in sources]).encode())
        for column in (columns.source, columns.shard, columns.index):
            hashed.update(column.tobytes())
        return hashed.hexdigest()

    def key(self, i: int) -> str:
        columns = self._columns
        return self._reader().sources[columns.source[i]].corpus.layout.key(int(columns.index[i]))

    def find(self, key: str) -> int:
        """The clip of that key. Raises UserError where it is not among these, or in several corpora of a view."""
        columns, (name, _, number) = self._columns, key.rpartition("-")
        sources = [s for s, source in enumerate(self._reader().sources) if source.corpus.name == name]
        known = number.isdecimal() and len(number) <= _LONGEST_NUMBER
        index = columns.index == (int(number) if known else -1)
        found = np.flatnonzero(index & np.isin(columns.source, sources))
        if len(found) != 1 or self.key(int(found[0])) != key:
            raise UserError(
                f"clip {key!r}: {len(found) if known else 0} clips of {self._reader().url} have that key; "
                "`factorportrait query` lists them"
            )
        return int(found[0])

    def info(self, i: int) -> ClipInfo:
        columns = self._columns
        return ClipInfo(
            self.key(i),
            int(columns.identity[i]),
            columns.recipes[columns.recipe[i]],
            int(columns.frames[i]),
            int(columns.views[i]),
            int(columns.shard[i]),
        )

    def same_identity(self, i: int) -> Array:
        """int32, ascending: the clips of that clip's person, itself among them. People of two corpora are two."""
        columns = self._columns
        first, stop = columns.person_starts[columns.person[i] : columns.person[i] + 2]
        found: Array = columns.by_person[first:stop]
        return found

    def person(self, i: int) -> int:
        """Number of that clip's person, from 0 to `people`; people of two corpora are two."""
        return int(self._columns.person[i])

    @property
    def people(self) -> int:
        """How many there are; of two corpora they are others."""
        return len(self._columns.person_starts) - 1

    @property
    def of_same_identity(self) -> Array:
        """int64 [N]: how many clips each clip's person has, itself counted."""
        return np.diff(self._columns.person_starts)[self._columns.person]

    def windows(
        self, i: int, wanted: Sequence[tuple[int, range]], members: Collection[str] = tuple(PICTURES)
    ) -> list[Window]:
        """Windows of clip ``i``, each a view and its frames, with the pictures named. The shard is opened once.

        Raises UserError for a view or frame that the clip lacks, and for what is damaged.
        """
        fetched = self.fetch(i, {name for view, _ in wanted for name in window_members(view, members)})
        return [self.decode(i, fetched, view, frames, members) for view, frames in wanted]

    def motion(self, i: int) -> Motion:
        """Of the head; float32. Raises UserError if it is damaged."""
        name = "motion.npz"
        arrays = read_arrays(f"{self.key(i)}.{name}", self.fetch(i, {name})[name])
        try:
            return Motion(**arrays)
        except TypeError:
            raise UserError(f"{self.key(i)}.{name}: holds {sorted(arrays)}, no motion; audit the corpus") from None

    def spec(self, i: int) -> dict[str, Any]:
        """What made the clip. Raises UserError if it is damaged."""
        return read_json(f"{self.key(i)}.spec.json", self.fetch(i, {"spec.json"})["spec.json"])

    def fetch(self, i: int, names: Collection[str]) -> dict[str, bytes]:
        """Members of clip ``i`` as they are stored. Raises UserError if one is not there."""
        columns, reader = self._columns, self._reader()
        source, shard = int(columns.source[i]), int(columns.shard[i])
        storage = reader.sources[source].storage
        places = self._places.members(storage, int(columns.file[i]), int(columns.row[i]), shard)
        row = {"source": source, "key": self.key(i), "shard": shard, "members": places}
        wanted: Callable[[str], bool] = set(names).__contains__
        found = reader.members(row, wanted)
        for name in names:
            if name not in found:
                raise UserError(f"{self.key(i)}: has no member {name!r}; audit the corpus, or ask for what it has")
        return found

    def decode(
        self, i: int, fetched: Mapping[str, bytes], view: int, frames: range, members: Collection[str]
    ) -> Window:
        """A window of clip ``i`` from what `fetch` gave of its `window_members`.

        Raises UserError if one is damaged, or lacks the view or a frame.
        """
        key = self.key(i)
        if len(frames) == 0 or frames.step < 1 or frames.start < 0:
            raise UserError(f"{key}: frames {frames} asked for; give at least one, in their order, from 0 on")
        cameras, landmarks = (read_arrays(f"{key}.{name}", fetched[name]) for name in _LABELS)

        def label(arrays: dict[str, Array], name: str, *shape: int) -> Array:
            array = arrays.get(name)
            if array is None or array.ndim != 2 + len(shape) or array.shape[2:] != shape:
                found = "absent" if array is None else f"of shape {array.shape}"
                raise UserError(f"{key}: label {name} is {found}; it is damaged: audit the corpus")
            if not 0 <= view < len(array) or frames[-1] >= array.shape[1]:
                have = f"{array.shape[0]} views of {array.shape[1]} frames"
                raise UserError(f"{key}: view {view}, frames to {frames[-1] + 1} asked for, it has {have}")
            return array[view, frames.start : frames[-1] + 1 : frames.step]

        def picture(member: str) -> Array | None:
            if member not in members:
                return None
            name = _picture_name(view, member)
            decoded = read_frames(f"{key}.{name}", fetched[name], frames.start, frames[-1] + 1)[:: frames.step]
            if decoded.shape[1:3] != self.resolution:
                raise UserError(f"{key}.{name}: is {decoded.shape[2]}x{decoded.shape[1]}, not as the manifest says")
            return decoded

        step = f":{frames.step}" if frames.step > 1 else ""
        return Window(
            key=f"{key}.v{view:02d}[{frames.start}:{frames[-1] + 1}{step}]",
            rgb=picture("rgb"),
            alpha=picture("alpha"),
            pose_normals=picture("pose_normals"),
            intrinsics=label(cameras, "K", 3, 3),
            world_to_camera=label(cameras, "world_to_camera", 4, 4),
            landmarks=label(landmarks, "pixels", LANDMARK_COUNT, 2),
            visible=label(landmarks, "visible", LANDMARK_COUNT),
        )


def window_members(view: int, members: Collection[str]) -> set[str]:
    """Names of what a window of a view with these pictures is decoded from."""
    return {*_LABELS, *(_picture_name(view, member) for member in members)}


def _picture_name(view: int, member: str) -> str:
    """``v01.rgb.mp4``. Raises UserError for what is no picture of a view."""
    if member not in PICTURES:
        raise UserError(f"member {member!r}: is no picture of a window; choose among {', '.join(PICTURES)}")
    return f"v{view:02d}.{member}.{PICTURES[member]}"
