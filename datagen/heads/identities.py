"""How open heads differ: sampled MakeHuman adults and the linear identity basis fitted to them.

An identity is a vector of coefficients over morph targets, so a principal component is one too: the same
component moves the head and the whole body.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .makehuman import ANCESTRIES, MakeHuman

Array = NDArray[Any]

SAMPLES = 3000
COMPONENTS = 250
_SEED = 20251
_COEFFICIENT_STEP = 1e-5
_TARGET_STEP = 1e-3
"""Coefficients and targets are whole multiples of these steps (MakeHuman's targets have three decimals), so that
their products add up exactly, in whatever order a processor or a number of threads takes them."""

_PEAK_SD_MM = {
    "head": 2.0,
    "forehead": 1.4,
    "ears": 1.8,
    "chin": 1.6,
    "neck": 1.2,
    "cheek": 0.9,
    "eyebrows": 0.9,
    "nose": 0.9,
    "mouth": 0.8,
    "eyes": 0.5,
    "asym": 0.4,
}
"""Spread of the most moved vertex of a local target, by folder."""
_MAX_COEFFICIENT_SD = 0.3
_SPREAD = {"l-eye-trans-in": 0.35, "forehead-nubian-decr": 0.04}
"""Own spread of the coefficient for targets that set a measured distance or that turn heads into
caricatures."""
_MEAN = {"l-eye-trans-in": -0.29, "l-eye-scale-decr": -0.7, "head-scale-horiz-decr": -0.1}
"""Mean coefficients that bring eye spacing, eye opening and head breadth to adult means; negative is the
opposite target."""


@dataclass(frozen=True)
class TargetSpace:
    """Morph targets [T, N, 3] in decimetres and how adults are spread over them: samples [S, T] of
    coefficients."""

    targets: Array
    samples: Array

    @property
    def mean(self) -> Array:
        return self.displacement(self.samples.mean(axis=0)[None])[0]

    def displacement(self, coefficients: Array) -> Array:
        """Displacements [K, N, 3] in decimetres for coefficients [K, T], which are rounded."""
        whole = np.rint(coefficients / _COEFFICIENT_STEP)
        total = np.tensordot(whole, np.rint(self.targets / _TARGET_STEP), axes=1)
        return total * (_COEFFICIENT_STEP * _TARGET_STEP)


def target_space(source: MakeHuman) -> TargetSpace:
    """Targets and sampled adults: both sexes, three ancestries and their mixtures, ages 25 to about 75."""
    rng = np.random.default_rng(_SEED)
    sexes, ages, levels = ("female", "male"), ("young", "old"), ("min", "average", "max")
    targets = [source.ancestry(*key) for key in product(ANCESTRIES, sexes, ages)]
    targets += [source.build(*key) for key in product(sexes, ages, levels, levels)]

    sex = _split(rng.beta(0.9, 0.9, SAMPLES))
    age = _split(0.75 * rng.beta(1.2, 1.8, SAMPLES))
    ancestry = rng.dirichlet([0.6] * 3, SAMPLES)
    muscle = _triangle(np.clip(rng.normal(0.5, 0.14, SAMPLES), 0.1, 0.9))
    weight = _triangle(np.clip(rng.normal(0.5, 0.16, SAMPLES), 0.1, 0.9))
    columns = [
        np.einsum("sa,sb,sc->sabc", ancestry, sex, age).reshape(SAMPLES, -1),
        np.einsum("sa,sb,sc,sd->sabcd", sex, age, muscle, weight).reshape(SAMPLES, -1),
    ]
    for axis in source.local_axes():
        peak_mm = 100 * max(np.abs(axis.positive).max(), np.abs(axis.negative).max())
        spread = min(_MAX_COEFFICIENT_SD, _PEAK_SD_MM[axis.folder] / peak_mm)
        spread = _SPREAD.get(axis.name, spread)
        coefficient = _MEAN.get(axis.name, 0.0) + spread * np.clip(rng.normal(size=SAMPLES), -2.5, 2.5)
        columns.append(np.stack([np.maximum(coefficient, 0), np.maximum(-coefficient, 0)], axis=1))
        targets += [axis.positive, axis.negative]
    return TargetSpace(np.stack(targets), np.concatenate(columns, axis=1))


def principal_components(space: TargetSpace, observed: Array) -> tuple[Array, Array]:
    """Components [K, T] over the targets, one standard deviation each, and the variance share [K] of each.

    ``observed`` [T, M] is each target as seen by the metric (weighted displacements of the head).
    """
    centred = space.samples - space.samples.mean(axis=0)
    gram = observed @ observed.T
    values, vectors = np.linalg.eigh(gram)
    seen = centred @ (vectors * np.sqrt(np.maximum(values, 0)))
    scores, singular, _ = np.linalg.svd(seen, full_matrices=False)
    components = scores[:, :COMPONENTS].T @ centred / np.sqrt(len(centred) - 1)
    largest = np.abs(components).argmax(axis=1)
    components *= np.sign(components[np.arange(len(components)), largest])[:, None]
    share = singular**2 / (singular**2).sum()
    return components, share[:COMPONENTS]


def _split(x: Array) -> Array:
    return np.stack([1 - x, x], axis=1)


def _triangle(x: Array) -> Array:
    """Shares of min, average and max for levels in [0, 1]: MakeHuman's piecewise linear blend."""
    return np.stack([np.maximum(0, 1 - 2 * x), 1 - np.abs(2 * x - 1), np.maximum(0, 2 * x - 1)], axis=1)
