"""Real clips' members, and ways to change them as a fault would."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from datagen.encode import _FORMATS, _PACK, _Video
from manifests.arrays import npz_bytes
from manifests.audit.probe import GeometryProbe
from manifests.audit.sample import SampleResult, check_sample
from manifests.corpus import Corpus
from manifests.decode import decode
from manifests.reader import CorpusReader

Members = dict[str, bytes]
Plant = Callable[[Members], object]
"""Changes members in place."""


@dataclass(frozen=True)
class StoredClip:
    """One clip as it lies in its shard."""

    row: dict[str, Any]
    members: Members
    corpus: Corpus

    def check(self, probe: GeometryProbe | None, plant: Plant = lambda _: None, **row: Any) -> SampleResult:
        """The result for the clip with a fault planted, and with other values in its row."""
        members = dict(self.members)
        plant(members)
        result = check_sample({**self.row, **row}, members, probe, self.corpus)
        for finding in result.findings:
            assert finding.clip == self.row["key"]
            assert all(text.isprintable() for text in (finding.where, finding.expected, finding.seen))
        return result

    def found(self, probe: GeometryProbe | None, plant: Plant = lambda _: None, **row: Any) -> set[str]:
        """The checks that found something."""
        return {finding.check for finding in self.check(probe, plant, **row).findings}


def stored_clips(url: str) -> list[StoredClip]:
    reader = CorpusReader(url)
    return [StoredClip(row, reader.members(row), reader.sources[row["source"]].corpus) for row in reader.rows()]


def encoded(label: str, frames: Any) -> bytes:
    """Frames as `manifests.decode` gives them, as the generator stores them."""
    writer = _Video(_FORMATS[label], frames.shape[1:3], 15)
    for frame in frames:
        writer.add(_PACK[label](frame) if label in _PACK else frame)
    return writer.close()


def in_video(name: str, change: Callable[[Any], Any]) -> Plant:
    """Change a video's decoded frames and encode them again."""

    def plant(members: Members) -> None:
        members[name] = encoded(name.split(".")[1], change(decode(name, members[name]).copy()))

    return plant


def in_arrays(name: str, change: Callable[[dict[str, Any]], object]) -> Plant:
    """Change an archive's arrays in place."""

    def plant(members: Members) -> None:
        content = decode(name, members[name])
        change(content)
        members[name] = npz_bytes(content)

    return plant


def archive(data: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    """An npz with one entry, ``shape.npy``."""
    with zipfile.ZipFile(file := io.BytesIO(), "w", compression) as out:
        out.writestr("shape.npy", data)
    return file.getvalue()
