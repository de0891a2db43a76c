"""The hair styles: how much hair, how it is combed, and what shape its locks have."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Coil:
    """Locks that wind round their own course."""

    radius_m: float
    pitch_m: float
    """Length of the course that one turn takes."""
    flatness: float
    """0 a helix, 1 a wave in a plane."""
    straight_m: float
    """Length of the course from the root until the coil is full."""


@dataclass(frozen=True)
class Style:
    """How one cut grows. Lengths in metres, shares in [0, 1]."""

    comb: str
    """A name that ``combs.make_comb`` knows."""
    strands: int
    points: int
    """Control points of a strand."""
    radius_m: float
    """Of a strand at its root; thicker than a hair (0.04 mm), for fewer of them to cover the head."""
    body_m: float
    """Height of the hair's outer layer over the skin."""
    lift: float
    """Share of the skin's normal in the first direction."""
    gravity: float
    """Share of the way down in each new direction."""
    hold: float
    """Share of what rises above the body that is pressed back in each step."""
    clump: float
    """Share of its offset from its lock that a strand gives up at its tip."""
    frizz_m: float
    locks: int = 1500
    coil: Coil | None = None
    covers_ears: bool = False
    """Whether it lies over the ears; else it is cut round them."""
    hangs: bool = False
    """Whether it reaches the shoulders, where it stays when the head turns."""
    tint: float = 0.9
    """How far the scalp takes the hair's colour: what shows between strands is the lowest layer of hair."""


BALD = "bald"

STYLES = {
    "buzz": Style("clipped", 36000, 2, 0.00019, 0.001, 0.75, 0.0, 0.0, 0.0, 0.0006, tint=0.75),
    "receding": Style("crop", 20000, 5, 0.00020, 0.006, 0.40, 0.05, 0.8, 0.55, 0.0014, tint=0.75),
    "short": Style("crop", 21000, 5, 0.00022, 0.012, 0.50, 0.06, 0.7, 0.60, 0.0018),
    "side_part": Style("aside", 18000, 7, 0.00024, 0.017, 0.45, 0.10, 0.6, 0.60, 0.0014),
    "curly": Style(
        "curls", 6000, 22, 0.00030, 0.022, 0.75, 0.16, 0.25, 0.30, 0.0016,
        locks=650, coil=Coil(0.0050, 0.017, 0.0, 0.010), covers_ears=True,
    ),
    "afro": Style(
        "ball", 12000, 10, 0.00032, 0.004, 0.95, 0.0, 0.0, 0.10, 0.0040,
        locks=4000, coil=Coil(0.0028, 0.011, 0.0, 0.004),
    ),
    "bob": Style("bob", 10000, 9, 0.00030, 0.016, 0.35, 0.42, 0.8, 0.45, 0.0016, covers_ears=True),
    "long_straight": Style(
        "falling", 9000, 14, 0.00032, 0.014, 0.30, 0.36, 0.8, 0.35, 0.0020, covers_ears=True, hangs=True,
    ),
    "long_wavy": Style(
        "falling", 8000, 18, 0.00034, 0.020, 0.35, 0.34, 0.7, 0.40, 0.0022,
        locks=700, coil=Coil(0.0080, 0.075, 0.8, 0.09), covers_ears=True, hangs=True,
    ),
    "ponytail": Style("tied", 13000, 10, 0.00026, 0.005, 0.20, 0.0, 0.95, 0.80, 0.0010, hangs=True),
    "bun": Style("tied", 13000, 10, 0.00026, 0.005, 0.20, 0.0, 0.95, 0.80, 0.0010),
}  # fmt: skip
"""By name; ``BALD`` has none."""
