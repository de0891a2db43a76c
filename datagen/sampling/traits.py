"""What kind of adult an identity is: age, gender expression and ancestry."""

from __future__ import annotations

from datagen.sampling.streams import choose, lerp, place, rng, spread_out, unit
from datagen.sections import IdentitySettings
from manifests.clip import Traits
from manifests.conventions import AGE_GROUPS

AGE_STEP, GENDER_STEP, ANCESTRY_STEP = 0.6457513110645906, 0.3166247903554, 0.605551275463989
"""Constants of their low-discrepancy sequences (the fractions of the roots of 7, 11 and 13), so that a few
neighbouring identities already differ in all three and none goes with another."""

_GENDERS = {"feminine": (0.0, 0.3), "between": (0.3, 0.7), "masculine": (0.7, 1.0)}
_ANCESTRIES = ("african", "asian", "european")


def sample_traits(settings: IdentitySettings, seed: int, identity: int) -> Traits:
    """The traits of one identity, the same in all its clips."""
    group, within_group = place(settings.ages.items(), spread_out(seed, "traits.age", (identity, AGE_STEP)))
    gender, within_gender = place(settings.genders.items(), spread_out(seed, "traits.gender", (identity, GENDER_STEP)))
    ancestry = _ancestry(settings, seed, identity)
    return Traits(
        age_years=float(lerp(AGE_GROUPS[group], within_group)),
        gender=float(lerp(_GENDERS[gender], within_gender)),
        african=ancestry["african"],
        asian=ancestry["asian"],
        european=ancestry["european"],
    )


def _ancestry(settings: IdentitySettings, seed: int, identity: int) -> dict[str, float]:
    """Shares that sum to 1: one ancestry, or two that are mixed."""
    weights = settings.ancestries.items()
    first = choose(weights, spread_out(seed, "traits.ancestry", (identity, ANCESTRY_STEP)))
    shares = dict.fromkeys(_ANCESTRIES, 0.0) | {first: 1.0}
    others = [(name, weight) for name, weight in weights if name != first]
    if any(weight > 0 for _, weight in others) and unit(seed, "traits.mixed", identity) < settings.mixed_share:
        second_u, amount = rng(seed, "traits.mixture", identity).random(2)
        second = choose(others, float(second_u))
        shares[second] = 0.5 * float(amount)
        shares[first] = 1.0 - shares[second]
    return shares
