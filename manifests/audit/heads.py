"""Whether clips were made from the head, and the configuration, that their corpus says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from manifests.audit.promise import Promise
from manifests.audit.report import MOST_KEPT, Findings
from manifests.layout import CORPUS_FILE
from manifests.rows import Rows

Array = NDArray[np.bool_]


class HeadChecks:
    """The heads that one corpus' clips name, batch by batch.

    The corpus' hash covers its configuration and a head file, of which the configuration has no more than the name.
    If the file that any clip names gives that hash, the configuration is the one that was hashed, and a clip that
    names another is at fault. If none does, the configuration itself is another, and no clip's head can be judged.
    """

    def __init__(self, promise: Promise, found: Findings, place: Callable[[str], str]) -> None:
        self._promise, self._found, self._place = promise, found, place
        self._fits = self._any = False
        self._count = 0
        self._kept: list[tuple[str, str, str, str]] = []

    def add(self, rows: Rows, path: str) -> None:
        """Rows of the manifest file at `path`."""
        names, hashes = rows.codes("head"), rows.codes("head_sha256")
        head = str(self._promise.field("head"))
        right = np.array([sha256 is not None and self._promise.is_head(sha256) for sha256 in hashes[1]], bool)
        named = np.array([name == head for name in names[1]], bool)
        self._any |= bool(rows.ok.any())
        self._fits |= bool(right[hashes[0][rows.ok]].any())
        self._take(rows, rows.ok & ~named[names[0]], f"{self._place(path)} head", head)
        expected = "the head file that the corpus' hash was made with"
        self._take(rows, rows.ok & ~right[hashes[0]], f"{self._place(path)} head_sha256", expected)

    def finish(self) -> None:
        """Call behind the last batch."""
        if self._any and not self._fits:
            expected = f"a configuration with the hash {self._promise.corpus.config_hash}"
            seen = "one with another hash, whichever of the head files that clips name is taken"
            self._found.add("config-differs", "", self._place(CORPUS_FILE), expected, seen)
            return
        kept = self._kept[: self._found.room("head-differs")]
        for clip, where, expected, seen in kept:
            self._found.add("head-differs", clip, where, expected, seen)
        self._found.more("head-differs", self._count - len(kept))

    def _take(self, rows: Rows, bad: Array, where: str, expected: str) -> None:
        at = np.flatnonzero(bad)
        column = where.rpartition(" ")[2]
        for row in at[: MOST_KEPT - len(self._kept)]:
            self._kept.append((rows.text("key", int(row)), where, expected, rows.text(column, int(row))))
        self._count += len(at)
