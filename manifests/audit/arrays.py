"""The arrays of a sample: there, of the shape and type of the format, and finite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.conventions import LANDMARK_COUNT
from manifests.decode import read_arrays
from manifests.errors import UserError

Array = NDArray[Any]
Add = Callable[[str, str, str, str], None]
"""Takes check, where, expected and seen."""

MOST_VIEWS, MOST_FRAMES, LARGEST_EDGE = 100, 10_001, 8192
"""What a configuration may ask for."""
MOST_COMPONENTS = 4096
"""Of a head's identity or expression; FLAME has 300 and 100."""


@dataclass(frozen=True)
class Shape:
    """How large a clip is by its manifest row."""

    views: int
    frames: int
    height: int
    width: int

    @property
    def watched(self) -> frozenset[int]:
        """Frames that stand for all: the first, the middle and the last."""
        return frozenset({0, self.frames // 2, self.frames - 1})

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Shape | None:
        """None if no clip can be so large."""
        sizes = [row[name] for name in ("views", "frames", "height", "width")]
        if any(type(size) is not int or size < 1 for size in sizes):
            return None
        shape = cls(*sizes)
        bounded = shape.views <= MOST_VIEWS and shape.frames <= MOST_FRAMES
        return shape if bounded and max(shape.height, shape.width) <= LARGEST_EDGE else None


def read(name: str, members: Mapping[str, bytes], shape: Shape, add: Add) -> dict[str, Array] | None:
    """The arrays of an npz member if they are sound; what is wrong with them goes to ``add``."""
    if name not in members:
        add("member-missing", name, name, "none")
        return None
    # No more than the largest arrays that this clip may have, whatever the archive declares. The archive itself
    # is bounded because a list of its entries takes many times its bytes.
    bound = (1 << 20) + shape.frames * (4 * MOST_COMPONENTS + 1024 * shape.views)
    if len(members[name]) > bound:
        add("member-undecodable", name, f"at most {bound} bytes", f"{len(members[name])} bytes")
        return None
    try:
        found = read_arrays(name, members[name], bound)
    except UserError as error:
        add("member-undecodable", name, "plain arrays", str(error))
        return None
    expected = _EXPECTED[name](shape)
    sound = True
    for entry, (sizes, kind) in expected.items():
        where = f"{name}:{entry}"
        if entry not in found:
            add("member-shape", where, f"an array {entry}", f"only {', '.join(sorted(found)) or 'nothing'}")
            sound = False
            continue
        array = found[entry]
        fits = array.ndim == len(sizes) and all(
            size in (want, None) or (want is None and size <= MOST_COMPONENTS)
            for size, want in zip(array.shape, sizes, strict=True)
        )
        if not fits or array.dtype.str != kind.str:
            wanted = " x ".join("n" if size is None else str(size) for size in sizes)
            add("member-shape", where, f"{kind} {wanted}", f"{array.dtype} {' x '.join(map(str, array.shape))}")
            sound = False
        elif array.dtype.kind == "f" and not np.isfinite(array).all():
            bad = np.argwhere(~np.isfinite(array))
            first = ", ".join(map(str, bad[0]))
            add("values-not-finite", where, "finite numbers", f"{len(bad)} that are not, the first at [{first}]")
            sound = False
    return found if sound else None


Sizes = dict[str, tuple[tuple[int | None, ...], np.dtype[Any]]]

_F32, _F64, _BOOL = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.bool_)


def _motion(shape: Shape) -> Sizes:
    turns = ("root", "neck", "jaw", "left_eye", "right_eye", "translation")
    return {
        "shape": ((None,), _F32),
        "expression": ((shape.frames, None), _F32),
        **dict.fromkeys(turns, ((shape.frames, 3), _F32)),
    }


def _cameras(shape: Shape) -> Sizes:
    pictures = shape.views, shape.frames
    return {"K": ((*pictures, 3, 3), _F64), "world_to_camera": ((*pictures, 4, 4), _F64)}


def _landmarks(shape: Shape) -> Sizes:
    pictures = shape.views, shape.frames
    return {
        "points": ((shape.frames, LANDMARK_COUNT, 3), _F32),
        "pixels": ((*pictures, LANDMARK_COUNT, 2), _F32),
        "visible": ((*pictures, LANDMARK_COUNT), _BOOL),
    }


_EXPECTED: dict[str, Callable[[Shape], Sizes]] = {
    "motion.npz": _motion,
    "cameras.npz": _cameras,
    "landmarks.npz": _landmarks,
}
