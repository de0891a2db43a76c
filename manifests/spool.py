"""The spool: finished clips of unfinished shards, so that a crash loses no more than the clips in work."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from manifests import tar
from manifests.clip import Member
from manifests.layout import SPOOL, Layout, parse_spool_name, part_path, spool_folder
from manifests.manifest import read_part
from manifests.storage import COPY_BYTES, Storage
from manifests.table import OK, spec_columns

SPEC = "spec.json"


@dataclass(frozen=True)
class Spool:
    """What the spool holds of one shard."""

    rendered: frozenset[int] = field(default_factory=frozenset)
    quarantined: frozenset[int] = field(default_factory=frozenset)

    @property
    def clips(self) -> frozenset[int]:
        return self.rendered | self.quarantined


def pack(layout: Layout, clip: int, members: Sequence[Member]) -> list[bytes]:
    """A clip as a small tar, in pieces: the very entries that its shard will hold.

    Raises ValueError if the members lack a sound ``spec.json``, share a name, or have names that no tar of
    ours can hold.
    """
    specs = [member.data for member in members if member.name == SPEC]
    if len(specs) != 1 or len({member.name for member in members}) != len(members):
        raise ValueError(f"a sample needs one {SPEC} and no name twice")
    spec_columns(json.loads(specs[0]))
    pieces: list[bytes] = []
    for member in members:
        pieces.append(tar.header(f"{layout.key(clip)}.{member.name}", len(member.data)))
        pieces.append(member.data)
        pieces.append(bytes(tar.padding(len(member.data))))
    return [*pieces, tar.END]


def write_clip(storage: Storage, layout: Layout, clip: int, pieces: Sequence[bytes]) -> None:
    """Spool what `pack` made."""
    storage.write(layout.fragment_path(clip), pieces)


def write_error(storage: Storage, layout: Layout, clip: int, error: str) -> None:
    """Give a clip up: its row will say so."""
    record = json.dumps({"index": clip, "error": error}, ensure_ascii=False)
    storage.write(layout.error_path(clip), f"{record}\n".encode())


def read_error(storage: Storage, layout: Layout, clip: int) -> str:
    """Raises FileNotFoundError if the clip was not given up, ValueError if its record is damaged."""
    record = json.loads(storage.read(layout.error_path(clip)))
    if not isinstance(record, dict) or not isinstance(record.get("error"), str):
        raise ValueError(f"{layout.error_path(clip)} is damaged")
    return str(record["error"])


def read_spool(storage: Storage, layout: Layout, shard: int) -> Spool:
    """What is there of one shard. A clip that was both given up and rendered counts as rendered."""
    wanted = layout.clips_of(shard)
    found = [parsed for name in storage.names(spool_folder(shard)) if (parsed := parse_spool_name(name))]
    rendered = frozenset(clip for clip, failed in found if not failed and clip in wanted)
    quarantined = frozenset(clip for clip, failed in found if failed and clip in wanted)
    return Spool(rendered, quarantined - rendered)


def spooled_shards(storage: Storage) -> set[int]:
    """Shards that have a spool folder."""
    return {int(name) for name in storage.names(SPOOL) if name.isdecimal()}


def reopen(storage: Storage, layout: Layout, shard: int) -> None:
    """Take a committed shard apart into its spool, so that it can take in more clips.

    The part, and with it the commit, goes last: a crash before leaves the shard committed with a spool that
    nobody needs, a crash after leaves it uncommitted with a spool that holds all of it.
    """
    rows = read_part(storage, shard)
    with storage.open(layout.shard_path(shard)) as file:
        for row in rows:
            clip = row["index"]
            if clip not in layout.clips_of(shard):
                raise tar.DamagedTarError(f"{part_path(shard)} has a row of clip {clip}")
            if row["status"] != OK:
                write_error(storage, layout, clip, row["error"])
                continue
            with storage.stream(layout.fragment_path(clip)) as fragment:
                file.seek(row["offset"])
                left = row["size"]
                while left:
                    piece = file.read(min(left, COPY_BYTES))
                    if not piece:
                        raise tar.DamagedTarError(f"{layout.shard_path(shard)} is shorter than its manifest says")
                    fragment.write(piece)
                    left -= len(piece)
                fragment.write(tar.END)
    storage.delete(part_path(shard))
