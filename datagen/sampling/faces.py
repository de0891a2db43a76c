"""What faces do, as combinations of named shapes: emotions, small accents, and what excludes what.

Names are those of Apple's ARKit (52 shapes) and of MakeHuman's expression units. Names without a side stand
for both sides; a star stands for left and right within a name. Strengths are in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

Shapes = Mapping[str, float]

JAW = "jaw"
"""Stands for the jaw joint's opening in the tables; no face shape (jawOpen would open the mouth twice)."""

# fmt: off
EMOTIONS: Mapping[str, Shapes] = MappingProxyType({
    "neutral": {},
    "content": {"mouthSmile": 0.55, "cheekSquint": 0.25, "mouthDimple": 0.12},
    "smile": {"mouthSmile": 0.85, "cheekSquint": 0.55, "eyeSquint": 0.3, "mouthUpperUp": 0.25,
              "mouthLowerDown": 0.15, JAW: 0.12},
    "laugh": {"mouthSmile": 0.65, "cheekSquint": 0.6, "eyeSquint": 0.35, "mouthLowerDown": 0.3,
              "mouthUpperUp": 0.3, JAW: 0.5},
    "surprise": {"browInnerUp": 0.75, "browOuterUp": 0.75, "eyeWide": 0.6, "mouthFunnel": 0.15, JAW: 0.45},
    "fear": {"browInnerUp": 0.85, "browDown": 0.12, "eyeWide": 0.75, "mouthStretch": 0.45,
             "mouthLowerDown": 0.2, JAW: 0.15},
    "sadness": {"browInnerUp": 0.75, "mouthFrown": 0.55, "mouthShrugLower": 0.35, "eyeSquint": 0.12},
    "anger": {"browDown": 0.8, "eyeSquint": 0.35, "noseSneer": 0.3, "mouthPress": 0.4, "mouthFrown": 0.2},
    "outrage": {"browDown": 0.7, "eyeWide": 0.2, "noseSneer": 0.45, "mouthLowerDown": 0.45,
                "mouthUpperUp": 0.3, JAW: 0.35},
    "disgust": {"noseSneer": 0.75, "browDown": 0.35, "mouthUpperUp": 0.45, "eyeSquint": 0.35,
                "mouthFrown": 0.25},
    "pout": {"mouthPucker": 0.7, "mouthShrugLower": 0.25, "browDown": 0.15},
    "doubt": {"mouthPress": 0.45, "mouthDimple": 0.35, "browInnerUp": 0.25, "mouthShrugLower": 0.3},
    "squint": {"eyeSquint": 0.7, "browDown": 0.5, "cheekSquint": 0.35},
})

ACCENTS: tuple[Shapes, ...] = (
    {"browInnerUp": 0.6, "browOuterUp": 0.6}, {"browDown": 0.55}, {"browOuterUpLeft": 0.75},
    {"browOuterUpRight": 0.75}, {"noseSneer": 0.5}, {"cheekPuff": 0.6},
    {"mouthRollLower": 0.5, "mouthRollUpper": 0.45}, {"mouthLeft": 0.55}, {"mouthRight": 0.55},
    {"jawLeft": 0.55}, {"jawRight": 0.55}, {"jawForward": 0.5},
    {"mouthShrugUpper": 0.4, "mouthShrugLower": 0.45}, {"mouthStretch": 0.5}, {"mouthFunnel": 0.5},
    {"mouthDimpleLeft": 0.6, "mouthSmileLeft": 0.3}, {"mouthDimpleRight": 0.6, "mouthSmileRight": 0.3},
    {"cheekSquint": 0.5}, {"eyeWide": 0.5}, {"nose-*-dilatation": 0.6}, {"neck-platysma": 0.5},
    {"nose-compression": 0.5}, {"nose-depression": 0.5}, {"mouth-protusion": 0.3}, {"mouth-retraction": 0.3},
)
"""Small things a face does beside its emotion."""

EXCLUSIVE: tuple[tuple[str, str], ...] = (
    ("mouthSmile", "mouthFrown"), ("mouthSmile", "mouthPucker"), ("mouthSmile", "mouthFunnel"),
    ("mouthStretch", "mouthPucker"), ("mouthStretch", "mouthFunnel"), ("mouthPress", "mouthLowerDown"),
    ("mouthPress", "mouthUpperUp"), ("mouthRollLower", "mouthLowerDown"), ("mouthRollUpper", "mouthUpperUp"),
    ("mouthRollLower", "mouthShrugLower"), ("browDown", "browOuterUp"), ("eyeSquint", "eyeWide"),
    ("cheekPuff", "mouthSmile"), ("cheekPuff", "mouthStretch"),
)
"""Two of a pair, on the same side, never add up to more than 1: muscles that pull against each other."""
# fmt: on

EXCLUSIVE_SIDES = (("mouthLeft", "mouthRight"), ("jawLeft", "jawRight"))
CLOSED_LIPS = ("mouthPress", "mouthRollLower", "mouthRollUpper", "cheekPuff", "mouthShrugLower")
"""Shapes of closed lips, which fade as the jaw opens."""
