"""Random numbers by name: each parameter of each clip or identity has a stream of its own.

A stream is a Philox counter keyed by the SHA-256 of its words (seed, name, indices). It depends on no other
stream and on no order of calls, so changing how one parameter is drawn leaves all others as they were.

Draw with ``Generator.random`` only, and map the unit variates to the range afterwards: numpy promises the
bits of Philox for good, but may change its distributions; and a range that is mapped to cannot shift what is
drawn behind it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray


def rng(seed: int, stream: str, *indices: int) -> np.random.Generator:
    """The generator of one stream, the same on every platform.

    Philox: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
    """
    words = "\0".join(["factorportrait", str(int(seed)), stream, *(str(int(index)) for index in indices)])
    digest = hashlib.sha256(words.encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def unit(seed: int, stream: str, *indices: int) -> float:
    """One variate in [0, 1) from one stream."""
    return float(rng(seed, stream, *indices).random())


@overload
def lerp(span: tuple[float, float], u: float) -> float: ...
@overload
def lerp(span: tuple[float, float], u: NDArray[np.float64]) -> NDArray[np.float64]: ...
def lerp(span: tuple[float, float], u: float | NDArray[np.float64]) -> float | NDArray[np.float64]:
    """Unit variates mapped to [low, high]."""
    return span[0] + (span[1] - span[0]) * u


def draw(span: tuple[float, float], seed: int, stream: str, *indices: int) -> float:
    """One value, uniform in [low, high], from one stream."""
    return lerp(span, unit(seed, stream, *indices))


def choose(weights: Sequence[tuple[str, float]], u: float) -> str:
    """The name whose stretch of the cumulative weights holds u in [0, 1). Weights need not sum to 1."""
    return place(weights, u)[0]


def place(weights: Sequence[tuple[str, float]], u: float) -> tuple[str, float]:
    """As ``choose``, and where in the name's stretch u lies, in [0, 1]."""
    total = sum(weight for _, weight in weights)
    mark, cumulative = u * total, 0.0
    for name, weight in weights:
        if mark < cumulative + weight:
            return name, (mark - cumulative) / weight
        cumulative += weight
    return [name for name, weight in weights if weight > 0][-1], 1.0  # rounding at the upper end


def spread_out(seed: int, stream: str, *terms: tuple[int, float]) -> float:
    """A low-discrepancy variate in [0, 1): the fraction of a seeded start plus each index times its constant.

    With irrational constants any few neighbouring indices cover the unit interval evenly (Weyl 1916), so
    small corpora hold of everything its share.
    """
    start = unit(seed, stream)
    return math.fmod(start + sum(math.fmod(index * constant, 1.0) for index, constant in terms), 1.0)
