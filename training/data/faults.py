"""Samples that cannot be read: counted, said, replaced, and too many of them an error."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from manifests.errors import UserError

LOG: Final = logging.getLogger(__name__)

_NAMED: Final = 5
"""How many of the last keys an error names."""


@dataclass(frozen=True)
class FaultLimit:
    """How many samples may be unreadable before training stops. Each rank counts its own."""

    rate: float = 0.01
    """Share of the last ``over`` clips that were tried."""
    over: int = 1000
    in_a_row: int = 20
    """As many clips tried for one sample, all unreadable, stop it at once."""

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise UserError(f"faults.rate: {self.rate} given; give a share from 0 to 1")
        for name in ("over", "in_a_row"):
            if getattr(self, name) < 1:
                raise UserError(f"faults.{name}: {getattr(self, name)} given; give at least 1")


@dataclass(frozen=True)
class Fault:
    """A clip that could not be read, and why."""

    key: str
    error: str


class Faults:
    """The count of a loader, in the main process."""

    def __init__(self, limit: FaultLimit) -> None:
        self.limit = limit
        self.total = 0
        """Clips that could not be read since the start of the process, each time one was met."""
        self.samples = 0
        """Samples that came."""
        self.last: deque[Fault] = deque(maxlen=_NAMED)
        self._recent: deque[bool] = deque(maxlen=limit.over)
        """Of the last clips tried, whether each failed."""

    def add(self, found: Sequence[Fault], whole: bool) -> None:
        """Count one sample: the clips that failed before one could be read, and whether one could.

        Raises UserError once more than ``rate * over`` of the last ``over`` clips tried have failed, which it says as
        soon as it is certain, or when none could be read.
        """
        for fault in found:
            LOG.warning("%s cannot be read, another takes its place: %s", fault.key, fault.error)
            self.total += 1
            self.last.append(fault)
            self._recent.append(True)
            if (recent := sum(self._recent)) > self.limit.rate * self.limit.over:
                raise UserError(
                    f"{recent} of the last {len(self._recent)} clips cannot be read, more than {self.limit.rate:.2%} "
                    f"of {self.limit.over}: {self._named()}"
                )
        if not whole:
            raise UserError(f"no clip can be read, the last {len(found)} in a row: {self._named()}")
        self.samples += 1
        self._recent.append(False)

    def _named(self) -> str:
        keys = ", ".join(fault.key for fault in self.last)
        return f"the last were {keys} ({self.last[-1].error}); audit the corpus with `factorportrait audit`"
