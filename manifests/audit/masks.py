"""Labels of one picture are read off the same surface, so they are there in the same pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from manifests.audit.arrays import Add
from manifests.audit.images import listed

Array = NDArray[Any]

_THERE: Final[dict[str, Callable[[Array], Array]]] = {
    "depth": lambda depth: depth > 0,
    "normals": lambda normals: (normals != 0).any(axis=-1),
}
"""Where a label tells of a surface."""
_WITHIN: Final = ("uv", "flow")
"""Labels that are 0 beside the surface, and may be on it."""


class MasksCheck:
    """Compares where one view's labels are, picture by picture as they come."""

    def __init__(self, view: int, add: Add) -> None:
        self._prefix, self._add = f"v{view:02d}", add
        self._wrong: dict[tuple[str, str, str], list[tuple[int, int]]] = {}

    def take(self, start: int, pictures: Mapping[str, Array]) -> None:
        """The next window of `images.windows`."""
        if "alpha" in pictures and "segmentation" in pictures:
            stray = (pictures["segmentation"] > 0) != (pictures["alpha"] > 127)
            self._note(
                "segmentation", "labels-disagree", "a class where alpha is half or more, and only there", start, stray
            )
        surface = next((name for name in _THERE if name in pictures), None)
        if surface is None:
            return
        there = _THERE[surface](pictures[surface])
        for label, of in _THERE.items():
            if label in pictures and label != surface:
                expected = f"normals where {surface} is, and only there"
                self._note(label, "normals-disagree", expected, start, of(pictures[label]) != there)
        for label in _WITHIN:
            if label in pictures:
                stray = (pictures[label] != 0).any(axis=-1) & ~there
                self._note(label, "labels-disagree", f"nothing where {surface} is not", start, stray)

    def finish(self) -> None:
        """Tells what was seen."""
        for (label, check, expected), faults in self._wrong.items():
            most = max(count for _, count in faults)
            seen = f"{most} other pixels in {listed([frame for frame, _ in faults])}"
            self._add(check, f"{self._prefix}.{label}.mkv", expected, seen)

    def _note(self, label: str, check: str, expected: str, start: int, stray: Array) -> None:
        counts = stray.reshape(len(stray), -1).sum(axis=1)
        for at in np.flatnonzero(counts):
            self._wrong.setdefault((label, check, expected), []).append((start + int(at), int(counts[at])))
