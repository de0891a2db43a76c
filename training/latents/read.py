"""Latents read back, a window at a time."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from manifests.corpus import Corpus
from manifests.errors import UserError
from manifests.reader import CorpusReader
from manifests.storage import Storage
from manifests.table import QUARANTINED
from training.codec.codec import Codec
from training.data.columns import read_columns
from training.data.per_process import PerProcess
from training.data.places import Places
from training.expression.encoder import ExpressionEncoder
from training.latents.members import STORED, expression_name, normals_name, npy_size, row_place, video_name
from training.latents.record import CacheRecord, read_record

_LONGEST_NUMBER: Final = 10
"""Digits of a clip's."""


@dataclass(frozen=True)
class LatentWindow:
    """A window of one view of one clip; float16 as stored.

    No codec looks ahead, so a window's first slot is what its first frame alone encodes to: the latents of a portrait.
    """

    key: str
    """``faces-000000012.v01[0:5]``."""
    frames: range
    """Of the clip."""
    video: Tensor
    """[z, S, h, w]."""
    normals: Tensor
    """[z, S, h, w]: of the pose normals in camera space."""
    expression: Tensor | None
    """[T, D]: a code a frame; None where the cache holds none."""


class LatentClips:
    """The clips of a cache, in the corpus' order. It pickles, and may be used after a fork."""

    def __init__(self, out: str, *, split: str | None = None) -> None:
        """``out`` is a folder or URL that `cache_latents` wrote; with ``split`` only clips of it. Raises UserError if
        there is no cache, it is damaged, or no clip is left."""
        storage = Storage(out)
        self.url = storage.url
        self.record: CacheRecord = read_record(storage)
        self._reader = PerProcess(functools.partial(_reader, storage.url, self.record))
        self._columns = read_columns(self._reader(), split, None, 1, 1)
        self._places = Places(self._columns.files)

    def __len__(self) -> int:
        return len(self._columns.index)

    def key(self, i: int) -> str:
        """Of the clip in its corpus."""
        return self.record.layout.key(int(self._columns.index[i]))

    def find(self, key: str) -> int:
        """The clip of that key. Raises UserError if the cache lacks it."""
        number = key.rpartition("-")[2]
        known = number.isdecimal() and len(number) <= _LONGEST_NUMBER
        i = int(np.searchsorted(self._columns.index, int(number))) if known else len(self)
        if i == len(self) or self.key(i) != key:
            raise UserError(f"clip {key!r}: {self.url} holds no latents of it; cache the corpus again")
        return i

    def left_out(self) -> set[str]:
        """Keys of clips that could not be encoded."""
        rows = self._reader().rows(["key", "status"])
        return {row["key"] for row in rows if row["status"] == QUARANTINED}

    def views(self, i: int) -> int:
        return int(self._columns.views[i])

    def windows(self, i: int) -> int:
        """How many windows each view of a clip has; `CacheRecord.frames_of` says which frames they hold."""
        return self.record.windows(int(self._columns.frames[i]))

    def read(self, i: int, view: int, window: int) -> LatentWindow:
        """One window, without the rest of its shard. Raises UserError for one that is not there, and for damage."""
        views, windows = self.views(i), self.windows(i)
        if not 0 <= view < views or not 0 <= window < windows:
            raise UserError(
                f"{self.key(i)}: view {view}, window {window} asked for, it has {views} views of {windows} windows"
            )
        frames = self.record.frames_of(window)
        shape: tuple[int, ...] = (windows, *self.record.latent_shape)
        wanted = {video_name(view): (shape, window, 1), normals_name(view): (shape, window, 1)}
        if self.record.code_size:
            codes = (int(self._columns.frames[i]), self.record.code_size)
            wanted[expression_name(view)] = (codes, frames.start, frames[-1] + 1 - frames.start)
        found = self._fetch(i, wanted)
        expression = found[expression_name(view)][:: frames.step].clone() if self.record.code_size else None
        step = f":{frames.step}" if frames.step > 1 else ""
        return LatentWindow(
            key=f"{self.key(i)}.v{view:02d}[{frames.start}:{frames[-1] + 1}{step}]",
            frames=frames,
            video=found[video_name(view)][0],
            normals=found[normals_name(view)][0],
            expression=expression,
        )

    def check(self, codec: Codec, expression: ExpressionEncoder | None = None) -> None:
        """Raises UserError, naming both, unless these are the models that the latents were made with."""
        pairs = [("codec", self.record.codec, codec.digest)]
        if expression is not None and self.record.expression is None:
            raise UserError(f"cache {self.url}: holds no expression codes; cache the corpus with an encoder")
        if expression is not None:
            pairs.append(("expression encoder", str(self.record.expression), expression.digest))
        for name, there, here in pairs:
            if there != here:
                raise UserError(
                    f"cache {self.url}: was made with {name} {there[:16]}, here is {here[:16]}; "
                    "cache the corpus with this one, or give the other"
                )

    def _fetch(self, i: int, wanted: Mapping[str, tuple[tuple[int, ...], int, int]]) -> dict[str, Tensor]:
        """Of members, each given by name, its array's shape, and the first and number of rows that are wanted."""
        columns, reader = self._columns, self._reader()
        storage = reader.sources[0].storage
        places = self._places.members(storage, int(columns.file[i]), int(columns.row[i]), int(columns.shard[i]))
        sizes = {str(place["name"]): place for place in places}
        members = []
        for name, (shape, first, count) in wanted.items():
            place = sizes.get(name)
            if place is None or place["size"] != npy_size(shape) or type(place["offset"]) is not int:
                said = "missing" if place is None else f"of {place['size']} bytes, not {npy_size(shape)}"
                raise UserError(f"{self.key(i)}.{name}: is {said}; delete {self.url} and cache it again")
            offset, size = row_place(shape, first)
            members.append({"name": name, "offset": place["offset"] + offset, "size": size * count})
        row = {"source": 0, "key": self.key(i), "shard": int(columns.shard[i]), "members": members}
        data = reader.members(row)
        return {
            name: torch.from_numpy(np.frombuffer(data[name], STORED).reshape(count, *shape[1:]).copy())
            for name, (shape, _, count) in wanted.items()
        }


def _reader(url: str, record: CacheRecord) -> CorpusReader:
    """A cache's manifest and shards are those of a corpus, so they are read as one."""
    corpus = Corpus(
        format_version=record.format_version,
        name=record.corpus,
        clips=record.clips,
        clips_per_shard=record.clips_per_shard,
        config_hash=record.config_hash,
        config={},
    )
    return CorpusReader(Storage(url), corpus)
