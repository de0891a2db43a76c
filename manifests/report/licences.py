"""Everything that a corpus is made of and made with, and under which terms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from manifests.audit.promise import Promise
from manifests.audit.report import shown
from manifests.corpus import Corpus


@dataclass(frozen=True)
class Asset:
    """One thing with a licence."""

    name: str
    use: str
    licence: str
    note: str


_WORLD_MAPS: Final = {
    f"{name}.exr"
    for name in ("city", "courtyard", "forest", "interior", "night", "studio", "sunrise", "sunset")
}  # fmt: skip
"""Those that come with Blender."""

_SOFTWARE: Final = {
    "bpy": ("GPL-3.0-or-later", "the program's licence; pictures belong to whoever renders them"),
    "smplx": (
        "Max Planck licence, non-commercial scientific research",
        "every head is posed through it: read it before any commercial use",
    ),
    "av": ("BSD-3-Clause; its wheels hold FFmpeg with x264, GPL-2.0-or-later", "encodes the videos"),
    "factorportrait": ("Apache-2.0", "hair, clothing, skin, eyes and motion are computed by it, from no other asset"),
    "numpy": ("BSD-3-Clause", ""),
    "scipy": ("BSD-3-Clause", ""),
    "torch": ("BSD-3-Clause", ""),
    "opencolorio": ("BSD-3-Clause", "display transforms"),
}


def assets(corpora: Sequence[Corpus], heads: Mapping[tuple[str, str], str]) -> list[Asset]:
    """Of all sources; `heads` gives the licence of each (name, SHA-256)."""
    found = [
        Asset(f"head model {name}", "geometry of every person", licence, f"file {sha256[:16]}")
        for (name, sha256), licence in heads.items()
    ]
    for name in sorted({name for corpus in corpora for name in _world_maps(corpus)}):
        known = name in _WORLD_MAPS
        licence = "CC0 1.0 Universal" if known else "unknown"
        note = (
            "by Greg Zaal (Poly Haven), comes with Blender" if known else "no map of Blender's: ask who made the corpus"
        )
        found.append(Asset(f"world map {name}", "light and background", licence, note))
    for name in sorted({shown(name) for corpus in corpora for name in corpus.software}):
        licence, note = _SOFTWARE.get(name, ("see its own", ""))
        found.append(Asset(name, "software", licence, note))
    return found


def _world_maps(corpus: Corpus) -> Iterable[str]:
    templates = Promise(corpus).field("templates")
    for template in templates.values() if isinstance(templates, dict) else ():
        try:
            yield from (shown(str(name)) for name in template["look"]["world"]["maps"])
        except (TypeError, KeyError):
            continue
