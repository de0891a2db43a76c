"""How often a clip was tried, and when to give it up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

WORKER_DIED = "worker process died"


class Attempts:
    """The failures of clips that are not done. A clip that a lost machine took with it has not failed."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._failures: dict[int, list[tuple[str, str | None]]] = defaultdict(list)

    def failed(self, clip: int, error: str, died_on: str | None = None) -> None:
        """`died_on` is the node of a worker process that died with the clip."""
        self._failures[clip].append((error, died_on))

    def verdict(self, clip: int, nodes: Collection[str]) -> str | None:
        """The error to give the clip up with, or None if it may be tried again.

        The death of a machine shows later than that of its processes, so this is asked anew with the nodes
        that are alive now, and counts a dead process only where its node has lived on.
        """
        errors = [error for error, node in self._failures[clip] if node is None or node in nodes]
        return errors[-1] if len(errors) >= self._most else None

    def forget(self, clip: int) -> None:
        """The clip is done or given up."""
        self._failures.pop(clip, None)
