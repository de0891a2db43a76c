"""Long hair between a head that turns and shoulders that do not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from datagen.geometry.posed import PosedClip, rigid_fit

Array = NDArray[Any]


class Bend:
    """Rest points that follow the head and the shoulders by shares, as skin follows its joints."""

    def __init__(self, posed: PosedClip, points: Array, head_share: Array) -> None:
        """``points`` [..., 3], rest metres; ``head_share`` [...] of 1 follows the head alone, of 0 the shoulders."""
        rest = posed.rest
        floor = max(float(rest[:, 1].min()), -0.2)
        shoulders = (rest[:, 1] < 0.5 * floor) & (rest[:, 1] > floor - 0.05) & (np.abs(rest[:, 0]) < 0.2)
        self._head = posed.head_to_world
        self._body = rigid_fit(rest[shoulders], posed.vertices[:, shoulders])
        flat, share = points.reshape(-1, 3), head_share.reshape(-1, 1)
        homogeneous = np.concatenate([flat, np.ones((len(flat), 1), np.float32)], axis=1)
        self._weighted = np.concatenate([share * homogeneous, (1 - share) * homogeneous], axis=1).astype(np.float32)

    def at(self, frame: int) -> Array:
        """The points [N, 3] in one frame, world metres."""
        both = np.concatenate([self._head[frame, :3].T, self._body[frame, :3].T]).astype(np.float32)
        return np.asarray(self._weighted @ both)

    def alike(self, a: int, b: int) -> bool:
        """Whether two frames show the same."""
        return np.array_equal(self._head[a], self._head[b]) and np.array_equal(self._body[a], self._body[b])
