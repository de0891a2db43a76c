"""Lids that shut exactly: a blink takes away what opening the identity and the rest of the face leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manifests.clip import HeadInfo

Array = NDArray[np.float64]

LEAST_OPEN = 0.15
"""All but blinks together leave the eyes at least this much of a mean opening."""
_BLINK_ALONE = ("eyeLookDown", "eyeLookUp", "eyeWide", "eyeSquint")
"""They fade while the lids shut."""


@dataclass(frozen=True)
class Lids:
    """rest: the opening of a neutral face, as a share of the mean one; shares: what each whole shape adds."""

    rest: float
    shares: Mapping[str, float]

    @classmethod
    def of(cls, head: HeadInfo, shape: NDArray[np.float32], names: tuple[str, ...]) -> Lids:
        """The lids of one identity [S]; of a head that tells nothing of its lids, one that any blink shuts.

        ``names`` are those of the head's expression components as the curves go by.
        """
        if head.lids is None:
            return cls(1.0, {})
        identity = np.asarray(head.lids.identity[: len(shape)])
        rest = 1.0 + float(np.dot(identity, shape[: len(identity)].astype(np.float64)))
        shares = {name: share for name, share in zip(names, head.lids.expression, strict=True) if share}
        return cls(max(rest, LEAST_OPEN), shares)

    def settle(self, curves: Mapping[str, Array], blink: Array, side: str) -> dict[str, Array]:
        """The curves of one side ("Left") with ``blink`` [T] (1 is shut) put in; a curve of eyeBlink is a wink."""
        name = f"eyeBlink{side}"
        settled = dict(curves)
        blink = np.maximum(blink, settled.pop(name)) if name in settled else blink
        for other in _BLINK_ALONE:
            if other + side in settled:
                settled[other + side] = settled[other + side] * (1 - blink)
        closing = [one for one in settled if one.endswith(side) and self.shares.get(one, 0.0) < 0]
        opening = [one for one in settled if one.endswith(side) and self.shares.get(one, 0.0) > 0]
        most = self.rest + sum((self.shares[one] * settled[one] for one in opening), np.zeros_like(blink))
        less = sum((-self.shares[one] * settled[one] for one in closing), np.zeros_like(blink))
        kept = np.minimum(1.0, np.maximum(most - LEAST_OPEN, 0.0) / np.maximum(less, 1e-9))
        for one in closing:
            settled[one] = settled[one] * kept
        settled[name] = blink * (most - kept * less)
        return settled
