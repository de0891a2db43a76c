"""`cache.json`: what the latents in a folder are of, so that no run mixes two caches."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Final

from manifests.conventions import SPLITS
from manifests.corpus import MOST
from manifests.errors import UserError
from manifests.layout import Layout
from manifests.storage import Storage
from manifests.text import shown
from training.data.choice import window_span

CACHE_FILE: Final = "cache.json"
FORMAT_VERSION: Final = 1
_MOST_SIZE: Final = 1 << 20
_LONGEST: Final = 64
"""Of names and SHA-256s, in characters."""


@dataclass(frozen=True)
class CacheRecord:
    """What a cache holds, or shall hold. All of it but `clips`, which grows with the corpus, decides its bytes."""

    format_version: int
    corpus: str
    """The corpus' name."""
    config_hash: str
    """The corpus' own: what its clips follow from."""
    clips: int
    clips_per_shard: int
    split: str | None
    """None for clips of all of them."""
    height: int
    width: int
    """Of the pictures."""
    codec: str
    """Digest."""
    expression: str | None
    """Digest of the encoder; None where no codes are held."""
    frames: int
    """Of a window."""
    stride: int
    """From the start of a window to that of the next, in frames of the clip; the first starts at frame 0."""
    step: int
    """From a frame of a window to its next."""
    channels: int
    slots: int
    rows: int
    columns: int
    """Of the latents."""
    code_size: int
    """Numbers of an expression; 0 where no codes are held."""

    @property
    def layout(self) -> Layout:
        return Layout(self.corpus, self.clips, self.clips_per_shard)

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        """Of one window: [z, S, h, w]."""
        return self.channels, self.slots, self.rows, self.columns

    def windows(self, frames: int) -> int:
        """How many a clip of so many frames has: those that lie in it whole."""
        return max(0, (frames - window_span(self.frames, self.step)) // self.stride + 1)

    def frames_of(self, window: int) -> range:
        """Which frames of a clip a window holds."""
        start = window * self.stride
        return range(start, start + window_span(self.frames, self.step), self.step)


def read_record(storage: Storage) -> CacheRecord:
    """Raises UserError if there is no cache, or its cache.json is damaged or of another version."""
    try:
        data = storage.read(CACHE_FILE)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"{storage.url}: no latents here (no {CACHE_FILE}); give a folder that `cache-latents` wrote"
        ) from None
    try:
        fields = json.loads(data)
        version = fields["format_version"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _damaged(storage) from None
    if type(version) is not int:
        raise _damaged(storage)
    if version != FORMAT_VERSION:
        raise UserError(
            f"{storage.url}: holds latents of format {version}, this program reads {FORMAT_VERSION}; "
            "cache them anew in another folder"
        )
    try:
        record = CacheRecord(**fields)
    except TypeError:
        raise _damaged(storage) from None
    if not _sound(record):
        raise _damaged(storage)
    return record


def settle_record(storage: Storage, wanted: CacheRecord) -> None:
    """Write cache.json, or see that it is there. Raises UserError, and changes nothing, if the place holds another
    cache, naming what differs in both, or other things."""
    names = storage.names()
    if CACHE_FILE in names:
        found = read_record(storage)
        for name, value in dataclasses.asdict(wanted).items():
            there = getattr(found, name)
            if there != value and name != "clips":
                raise UserError(
                    f"cache {storage.url}: holds latents with {name} {shown(str(there))}, wanted is "
                    f"{shown(str(value))}; choose another folder, or delete this one"
                )
        if found.clips >= wanted.clips:
            return
    elif names:
        raise UserError(f"cache {storage.url}: is not empty and holds no latents ({names[0]}); choose another folder")
    text = json.dumps(dataclasses.asdict(wanted), indent=2, sort_keys=True)
    storage.write(CACHE_FILE, f"{text}\n".encode())


def _sound(record: CacheRecord) -> bool:
    least_1 = ("clips", "clips_per_shard", "height", "width", "frames", "stride", "step", "channels", "slots", "rows")
    fields: dict[str, Any] = dataclasses.asdict(record)
    texts = [fields[name] for name in ("corpus", "config_hash", "codec", "expression") if fields[name] is not None]
    return (
        all(type(fields[name]) is int and 1 <= fields[name] <= MOST for name in (*least_1, "columns"))
        and type(record.code_size) is int
        and 0 <= record.code_size <= _MOST_SIZE
        and all(size <= _MOST_SIZE for size in record.latent_shape)
        and all(isinstance(text, str) and 0 < len(text) <= _LONGEST for text in texts)
        and None not in (record.corpus, record.config_hash, record.codec)
        and "/" not in record.corpus
        and (record.expression is None) == (record.code_size == 0)
        and record.split in (None, *SPLITS)
    )


def _damaged(storage: Storage) -> UserError:
    return UserError(f"{storage.url}/{CACHE_FILE} is damaged; delete the folder and cache the latents again")
