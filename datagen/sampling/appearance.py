"""How an identity looks: skin, iris, hair and clothes. All colours are linear Rec.709."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datagen.sampling.streams import choose, draw, lerp, rng, spread_out, unit
from datagen.sections import AppearanceSettings
from manifests.clip import Appearance, Traits

Colour = tuple[float, float, float]

# Each row: colour, share among the lightest skins, share among the darkest. Blue, grey and green eyes need
# little melanin in the iris as well; about 80 people in 100 worldwide have brown eyes.
IRISES: dict[str, tuple[Colour, float, float]] = {
    "dark brown": ((0.030, 0.014, 0.007), 0.06, 0.80),
    "brown": ((0.085, 0.038, 0.016), 0.24, 0.195),
    "amber": ((0.200, 0.100, 0.028), 0.05, 0.004),
    "hazel": ((0.130, 0.095, 0.035), 0.15, 0.001),
    "green": ((0.105, 0.150, 0.070), 0.10, 0.0),
    "grey": ((0.190, 0.220, 0.240), 0.08, 0.0),
    "blue": ((0.120, 0.210, 0.330), 0.32, 0.0),
}
HAIR: dict[str, tuple[Colour, float, float]] = {
    "black": ((0.008, 0.007, 0.006), 0.08, 0.93),
    "dark brown": ((0.020, 0.012, 0.008), 0.25, 0.065),
    "brown": ((0.052, 0.028, 0.015), 0.27, 0.005),
    "light brown": ((0.115, 0.066, 0.033), 0.18, 0.0),
    "blond": ((0.290, 0.185, 0.085), 0.16, 0.0),
    "red": ((0.165, 0.048, 0.016), 0.06, 0.0),
}
MELANIN_STEP, HAIR_STYLE_STEP = 0.41421356237309515, 0.5698402909980532
"""Constants of their low-discrepancy sequences, not those of recipe, template or split."""

GREYING_YEARS = 35.0
"""From the first grey hair to the last. With first ones at 30 to 62, 76 in 100 people between 45 and 65 have some,
on average 29 in 100 hairs: Panhan et al. 2012, "Greying of the human hair: a worldwide survey", counted 74
and 27."""


LONGEST_MOUSTACHE_M = 0.035
FACIAL_HAIR_M = {
    "stubble": (0.001, 0.002),
    "short": (0.004, 0.008),
    "medium": (0.012, 0.025),
    "long": (0.04, 0.08),
}
LENGTH_OF_STYLE = {
    "buzz": "buzz_m",
    "receding": "short_m",
    "short": "short_m",
    "side_part": "short_m",
    "curly": "curly_m",
    "afro": "afro_m",
    "bob": "bob_m",
    "long_straight": "long_m",
    "long_wavy": "long_m",
    "ponytail": "long_m",
    "bun": "long_m",
}
"""Which range of ``HairLengths`` a style's length is drawn from; a bald head has none."""


def sample_appearance(settings: AppearanceSettings, traits: Traits, seed: int, identity: int) -> Appearance:
    """The appearance of one identity, the same in all its clips."""

    def stream(name: str) -> float:
        return unit(seed, f"appearance.{name}", identity)

    def span(name: str, limits: tuple[float, float]) -> float:
        return draw(limits, seed, f"appearance.{name}", identity)

    def units(name: str, count: int) -> NDArray[np.float64]:
        return rng(seed, f"appearance.{name}", identity).random(count)

    # Skin and hair style are spread out evenly over neighbouring identities, so that few show many.
    evenness = spread_out(seed, "appearance.melanin", (identity, MELANIN_STEP))
    melanin = float(lerp(settings.melanin, evenness))
    masculine = traits.gender >= 0.5
    styles = settings.masculine_hair if masculine else settings.feminine_hair
    hair_style = choose(styles.items(), spread_out(seed, "appearance.hair_style", (identity, HAIR_STYLE_STEP)))
    lengths = getattr(settings.hair_lengths, LENGTH_OF_STYLE[hair_style]) if hair_style != "bald" else (0.0, 0.0)
    hair = _mixed(HAIR, melanin, stream("hair_colour"), units("hair_tint", 2))
    grey = (traits.age_years - span("grey_onset", settings.grey_onset_years)) / GREYING_YEARS
    albedo, albedo_sha256 = settings.albedo_folder.choose(stream("albedo")) if settings.albedo_folder else ("", "")
    facial_hair = choose(settings.facial_hair.items(), stream("facial_hair")) if masculine else "none"
    return Appearance(
        melanin=melanin,
        haemoglobin=span("haemoglobin", settings.haemoglobin),
        roughness=span("roughness", settings.roughness),
        freckles=_freckles(settings.freckled_share, melanin, units("freckles", 2)),
        moles=int(settings.moles[0] + (settings.moles[1] - settings.moles[0] + 1) * stream("moles") ** 2),
        albedo=albedo,
        albedo_sha256=albedo_sha256,
        iris_colour=_mixed(IRISES, melanin, stream("iris_colour"), units("iris_tint", 2)),
        hair_style=hair_style,
        hair_colour=hair,
        grey_share=min(max(grey, 0.0), 1.0),
        hair_length_m=span("hair_length", lengths),
        brow_density=span("brow_density", settings.brow_density) * (1.0 if masculine else 0.8),
        facial_hair=facial_hair,
        facial_hair_length_m=_facial_hair_length(settings, facial_hair, units("facial_hair_length", 2)),
        clothing=choose(settings.clothes.items(), stream("clothes")),
        fabric=choose(settings.fabrics.items(), stream("fabric")),
        clothing_colour=_cloth(units("clothing", 3)),
        neckline_m=span("neckline", settings.neckline_m),
        glasses=choose(settings.glasses.items(), stream("glasses")),
        glasses_colour=_frame(units("glasses_colour", 3)),
        head_covering=choose(settings.head_coverings.items(), stream("head_covering")),
        head_covering_colour=_cloth(units("head_covering_colour", 3)),
        seed=int(stream("seed") * 2**31),
    )


def _freckles(share: float, melanin: float, u: NDArray[np.float64]) -> float:
    """Freckles stand out less on darker skin, and not at all on the darkest."""
    return float((0.25 + 0.75 * u[1]) * min(1.0, max(0.0, 1.6 - 2.0 * melanin))) if u[0] < share else 0.0


def _facial_hair_length(settings: AppearanceSettings, kind: str, u: NDArray[np.float64]) -> float:
    if kind == "none":
        return 0.0
    length = float(lerp(FACIAL_HAIR_M[choose(settings.facial_hair_lengths.items(), float(u[0]))], float(u[1])))
    return min(length, LONGEST_MOUSTACHE_M) if kind == "moustache" else length


def _frame(u: NDArray[np.float64]) -> Colour:
    """Black, tortoiseshell or metal."""
    shade = 0.7 + 0.6 * float(u[1])
    red, green, blue = ((0.012, 0.012, 0.013), (0.10, 0.042, 0.015), (0.45, 0.42, 0.38))[int(u[0] * 3)]
    return _clipped(red * shade, green * shade, blue * shade)


def _mixed(
    table: dict[str, tuple[Colour, float, float]], melanin: float, u: float, tint: NDArray[np.float64]
) -> Colour:
    """A colour from a table whose shares go from the light to the dark column as melanin grows.

    Light eyes and hair are already rare at middling melanin, hence the steep curve. ``tint`` varies the
    brightness by a factor of about 0.75 to 1.33 and the warmth a little.
    """
    x = min(max(melanin / 0.55, 0.0), 1.0)
    darkness = x * x * (3 - 2 * x)
    name = choose([(key, light + (dark - light) * darkness) for key, (_, light, dark) in table.items()], u)
    brightness = 0.75 * (1.33 / 0.75) ** tint[0]
    warmth = 1.0 + 0.12 * (2 * tint[1] - 1)
    red, green, blue = table[name][0]
    return _clipped(red * brightness * warmth, green * brightness, blue * brightness / warmth)


def _cloth(units: NDArray[np.float64]) -> Colour:
    """Any hue, mostly muted, and as often dark as light."""
    hue, saturation = float(units[0]) * 6.0, 0.75 * float(units[1]) ** 1.6
    value = 0.015 * (0.7 / 0.015) ** float(units[2])
    ramp = [min(max(abs((hue - shift) % 6.0 - 3.0) - 1.0, 0.0), 1.0) for shift in (0.0, 2.0, 4.0)]
    red, green, blue = (value * (1 - saturation + saturation * channel) for channel in ramp)
    return _clipped(red, green, blue)


def _clipped(red: float, green: float, blue: float) -> Colour:
    return (min(max(red, 0.0), 1.0), min(max(green, 0.0), 1.0), min(max(blue, 0.0), 1.0))
