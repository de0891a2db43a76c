"""Which source makes the clips: a digest of those of this program's own files that shape a clip's bytes."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

BESIDE_CLIPS: Final = ("farm", "generate.py", "preview.py", "probe")
"""Of ``datagen``, what spreads, starts and looks at the work."""

SHAPING: Final = ("arrays", "clip", "conventions", "decode", "layout", "recording", "shard", "spool", "table", "tar")
"""Of ``manifests``, the modules that write a sample, a shard or a row, say in which steps they are stored, or read what
moves a head."""

DIGITS: Final = 12


def source_digest(root: Path) -> str:
    """A few hex digits that stand for the sources below `root`, the folder of ``datagen`` and ``manifests``.

    A checkout and a wheel of it give the same on every machine: names, contents and nothing else count, with line
    ends as git stores them. The configurations and render templates that come with the project are left out:
    a corpus' own hash covers what it took of them, as it covers the head.
    """
    digest = hashlib.sha256()
    for name, path in sorted(_files(root)):
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{name}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()[:DIGITS]


@functools.cache
def installed_digest() -> str:
    """That of the sources this process runs from, as they were when it was first asked for."""
    return source_digest(Path(__file__).parents[1])


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    for path in (root / "datagen").rglob("*.py"):
        parts = path.relative_to(root / "datagen").parts
        if parts[0] not in BESIDE_CLIPS and not any(part.startswith(".") for part in parts):
            yield "/".join(("datagen", *parts)), path
    for module in SHAPING:
        yield f"manifests/{module}.py", root / "manifests" / f"{module}.py"
