"""Who is in a clip: identity, visit, split, recipe and the head's shape."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from datagen.config import CorpusConfig
from datagen.sampling.streams import choose, rng, spread_out, unit
from datagen.sections import IdentitySettings, Splits
from manifests.clip import HeadInfo, Traits

# Powers of the inverse plastic number: the two-dimensional R2 sequence (Roberts 2018, "The unreasonable
# effectiveness of quasirandom sequences").
PLASTIC = (0.7548776662466927, 0.5698402909980532)
# The third power in three dimensions. Each property has a constant of its own, so none goes with another.
TEMPLATE_STEP = 0.5497004779019703
GOLDEN = 0.6180339887498949


def identity_of(config: CorpusConfig, index: int) -> tuple[int, int]:
    """(identity, visit) of a clip: identities take turns, and a visit is one round of turns."""
    visit, identity = divmod(index, config.identities)
    return identity, visit


def recipe_of(config: CorpusConfig, index: int) -> str:
    """The recipe of a clip. Low discrepancy over identities and visits, so that 8 clips show all four."""
    identity, visit = identity_of(config, index)
    u = spread_out(config.seed, "recipe", (identity, PLASTIC[0]), (visit, PLASTIC[1]))
    return choose(config.recipes.items(), u)


def template_of(config: CorpusConfig, index: int) -> str:
    """The render template of a clip, spread evenly over neighbouring clips."""
    weights = sorted((name, template.weight) for name, template in config.templates.items())
    return choose(weights, spread_out(config.seed, "template", (index, TEMPLATE_STEP)))


def split_of(config: CorpusConfig, identity: int) -> str:
    """The split of an identity.

    Exact: over all identities each split gets its share to within one, and at least one identity wherever
    its share is above 0 and there are identities enough. The identities of a split are spread evenly: they
    are placed by a permutation n -> (a n + b) mod N with a near the golden section of N.
    """
    total = config.identities
    step = max(1, round(total * GOLDEN))
    while math.gcd(step, total) != 1:
        step += 1
    start = int(unit(config.seed, "split") * total)
    place = (identity * step + start) % total
    for name, count in split_counts(config.splits, total).items():
        if place < count:
            return name
        place -= count
    raise AssertionError("split counts sum to the number of identities")


def split_counts(splits: Splits, identities: int) -> dict[str, int]:
    """How many identities each split gets: largest remainders, after one for each share above 0.

    With fewer identities than shares above 0, the largest shares come first.
    """
    shares = {name: weight for name, weight in splits.items() if weight > 0}
    if identities < len(shares):
        kept = sorted(shares, key=lambda name: -shares[name])[:identities]
        return {name: int(name in kept) for name, _ in splits.items()}
    total = sum(shares.values())
    exact = {name: identities * weight / total for name, weight in shares.items()}
    counts = {name: max(1, math.floor(value)) for name, value in exact.items()}
    while (rest := identities - sum(counts.values())) != 0:
        behind = {name: exact[name] - count for name, count in counts.items() if rest > 0 or count > 1}
        counts[max(behind, key=behind.__getitem__) if rest > 0 else min(behind, key=behind.__getitem__)] += (
            1 if rest > 0 else -1
        )
    return {name: counts.get(name, 0) for name, _ in splits.items()}


def sample_shape(
    settings: IdentitySettings, head: HeadInfo, traits: Traits, seed: int, identity: int
) -> NDArray[np.float32]:
    """Identity coefficients [S]: those that the traits set, then normal ones, none beyond ``limit`` spreads.

    Truncated by the inverse of the normal distribution, so each coefficient follows from its own variate. Where the
    whole lies further from the mean than ``farthest`` allows, whatever the ``spread``, the drawn ones are shrunk
    together until it does not: no caricature is shown.
    """
    normal = NormalDist()
    low = normal.cdf(-settings.limit)
    first = len(head.traits)
    count = min(settings.components, head.identity_size - first)
    units = low + (1 - 2 * low) * rng(seed, "identity.shape", identity).random(count)
    drawn = np.array([normal.inv_cdf(min(max(u, 1e-12), 1 - 1e-12)) for u in units]).clip(
        -settings.limit, settings.limit
    )
    shape = np.zeros(head.identity_size, np.float32)
    shape[:first] = [(getattr(traits, trait.name) - trait.mean) / trait.deviation for trait in head.traits]
    room = farthest(settings, first + count) ** 2 - math.fsum(float(c) ** 2 for c in shape[:first])
    length = math.fsum(float(settings.spread * c) ** 2 for c in drawn)
    shrink = min(1.0, math.sqrt(max(room, 0.0) / length)) if length > 0 else 1.0
    bound = np.float32(settings.spread * settings.limit)
    shape[first : first + count] = np.clip((settings.spread * shrink * drawn).astype(np.float32), -bound, bound)
    return shape


def farthest(settings: IdentitySettings, count: int) -> float:
    """Greatest Mahalanobis distance of ``count`` coefficients from the mean face, traits among them: what the share
    ``typicality`` of people stays within.

    The chi-square quantile by Wilson and Hilferty 1931, times the variance of a normal cut at ``limit``.
    """
    normal, limit = NormalDist(), settings.limit
    variance = 1 - 2 * limit * normal.pdf(limit) / (1 - 2 * normal.cdf(-limit))
    part = 2 / (9 * max(count, 1))
    quantile = count * max(0.0, 1 - part + normal.inv_cdf(settings.typicality) * math.sqrt(part)) ** 3
    return math.sqrt(variance * quantile)
