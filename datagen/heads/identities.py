"""How open heads differ: sampled MakeHuman adults and the linear identity basis fitted to them.

An identity is a vector of coefficients over morph targets, so a component is one too: the same component
moves the head and the whole body. The first components are what age, gender expression and ancestry do on
average (least squares over the sampled adults); the others are principal components of what is left, so that
they neither age a face nor change its kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.clip import TraitComponent

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


_TRAITS = ("age_years", "gender", "african", "asian")
"""Of the ancestries two: the third's share is what they leave."""
_YOUNG_YEARS, _OLD_YEARS = 25.0, 90.0
"""Ages of MakeHuman's ``young`` and ``old`` targets."""
_OLDEST_SHARE = 0.85


@dataclass(frozen=True)
class TargetSpace:
    """Morph targets [T, N, 3] in decimetres and how adults are spread over them: samples [S, T] of
    coefficients, with the traits [S, 4] of each."""

    targets: Array
    samples: Array
    sampled_traits: Array

    @property
    def traits(self) -> tuple[TraitComponent, ...]:
        values = self.sampled_traits
        spread = zip(_TRAITS, values.mean(axis=0), values.std(axis=0), strict=True)
        return tuple(TraitComponent(name, round(float(mean), 4), round(float(sd), 4)) for name, mean, sd in spread)

    @property
    def mean(self) -> Array:
        return self.displacement(self.samples.mean(axis=0)[None])[0]

    def displacement(self, coefficients: Array) -> Array:
        """Displacements [K, N, 3] in decimetres for coefficients [K, T], which are rounded."""
        whole = np.rint(coefficients / _COEFFICIENT_STEP)
        total = np.tensordot(whole, np.rint(self.targets / _TARGET_STEP), axes=1)
        return total * (_COEFFICIENT_STEP * _TARGET_STEP)


def target_space(source: MakeHuman) -> TargetSpace:
    """Targets and sampled adults: both sexes, three ancestries and their mixtures, ages 25 to 80."""
    rng = np.random.default_rng(_SEED)
    sexes, ages, levels = ("female", "male"), ("young", "old"), ("min", "average", "max")
    targets = [source.ancestry(*key) for key in product(ANCESTRIES, sexes, ages)]
    targets += [source.build(*key) for key in product(sexes, ages, levels, levels)]

    male = rng.beta(0.9, 0.9, SAMPLES)
    old = _OLDEST_SHARE * rng.beta(1.2, 1.6, SAMPLES)
    ancestry = rng.dirichlet([0.6] * 3, SAMPLES)
    sex, age = _split(male), _split(old)
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
    years = _YOUNG_YEARS + (_OLD_YEARS - _YOUNG_YEARS) * old
    traits = np.column_stack([years, male, ancestry[:, :2]])
    return TargetSpace(np.stack(targets), np.concatenate(columns, axis=1), traits)


def identity_components(space: TargetSpace, observed: Array) -> tuple[Array, Array]:
    """Components [K, T] over the targets, one standard deviation each, and the variance share [K] of each.

    ``observed`` [T, M] is each target as seen by the metric (weighted displacements of the head). A trait's
    share is what it adds to those before it.
    """
    centred = space.samples - space.samples.mean(axis=0)
    given = np.array([(trait.mean, trait.deviation) for trait in space.traits])
    scores = (space.sampled_traits - given[:, 0]) / given[:, 1]
    traits = np.linalg.lstsq(scores, centred, rcond=None)[0]
    components, variance = _principal_components(centred - scores @ traits, observed)
    added = np.linalg.qr(scores)[0].T @ centred
    by_trait = ((added @ observed) ** 2).sum(axis=1) / (len(centred) - 1)
    total = np.trace(centred.T @ centred @ (observed @ observed.T)) / (len(centred) - 1)
    return np.concatenate([traits, components]), np.concatenate([by_trait, variance]) / total


def _principal_components(centred: Array, observed: Array) -> tuple[Array, Array]:
    """Components [K, T] of samples [S, T], one standard deviation each, and the variance [K] of each."""
    values, vectors = np.linalg.eigh(observed @ observed.T)
    seen = centred @ (vectors * np.sqrt(np.maximum(values, 0)))
    scores, singular, _ = np.linalg.svd(seen, full_matrices=False)
    components = scores[:, :COMPONENTS].T @ centred / np.sqrt(len(centred) - 1)
    largest = np.abs(components).argmax(axis=1)
    components *= np.sign(components[np.arange(len(components)), largest])[:, None]
    return components, singular[:COMPONENTS] ** 2 / (len(centred) - 1)


def _split(x: Array) -> Array:
    return np.stack([1 - x, x], axis=1)


def _triangle(x: Array) -> Array:
    """Shares of min, average and max for levels in [0, 1]: MakeHuman's piecewise linear blend."""
    return np.stack([np.maximum(0, 1 - 2 * x), 1 - np.abs(2 * x - 1), np.maximum(0, 2 * x - 1)], axis=1)
