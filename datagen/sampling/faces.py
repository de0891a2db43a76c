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

EXTREMES: tuple[Shapes, ...] = (
    {JAW: 1.0, "mouthLowerDown": 0.5, "mouthUpperUp": 0.4, "mouthStretch": 0.5, "browInnerUp": 0.8, "eyeSquint": 0.5},
    {JAW: 0.8, "noseSneer": 1.0, "browDown": 1.0, "mouthUpperUp": 0.9, "mouthLowerDown": 0.9, "eyeSquint": 0.5},
    {JAW: 0.35, "mouthSmile": 1.0, "cheekSquint": 0.7, "eyeSquint": 0.3, "mouthUpperUp": 0.35, "mouthLowerDown": 0.3},
    {JAW: 0.8, "browInnerUp": 1.0, "browOuterUp": 1.0, "eyeWide": 1.0},
    {"mouthSmileLeft": 1.0, "cheekSquintLeft": 0.7, "mouthDimpleLeft": 0.9},
    {"mouthSmileRight": 1.0, "cheekSquintRight": 0.7, "mouthDimpleRight": 0.9},
    {"noseSneerLeft": 1.0, "mouthUpperUpLeft": 1.0, "eyeSquintLeft": 0.8, "browDownLeft": 0.6},
    {"noseSneerRight": 1.0, "mouthUpperUpRight": 1.0, "eyeSquintRight": 0.8, "browDownRight": 0.6},
    {"mouthLowerDownLeft": 1.0, "mouthStretchLeft": 0.6, "mouthFrownLeft": 0.4, JAW: 0.1},
    {"mouthLowerDownRight": 1.0, "mouthStretchRight": 0.6, "mouthFrownRight": 0.4, JAW: 0.1},
    {"browOuterUpLeft": 1.0, "browInnerUp": 0.4, "browDownRight": 0.9, "mouthPressRight": 0.6},
    {"browOuterUpRight": 1.0, "browInnerUp": 0.4, "browDownLeft": 0.9, "mouthPressLeft": 0.6},
    {"eyeBlinkLeft": 1.0, "cheekSquintLeft": 0.9, "mouthSmileLeft": 0.6},
    {"eyeBlinkRight": 1.0, "cheekSquintRight": 0.9, "mouthSmileRight": 0.6},
    {"mouthLeft": 1.0, "noseSneerLeft": 0.3}, {"mouthRight": 1.0, "noseSneerRight": 0.3},
    {"jawLeft": 1.0, JAW: 0.4}, {"jawRight": 1.0, JAW: 0.4}, {"jawForward": 1.0, "mouthShrugLower": 0.4},
    {"mouthPucker": 1.0, "eyeSquint": 0.2}, {"mouthFunnel": 1.0, JAW: 0.35, "browInnerUp": 0.4},
    {"mouthFrown": 1.0, "mouthShrugLower": 0.9, "browInnerUp": 1.0},
    {"mouthShrugUpper": 1.0, "mouthShrugLower": 1.0, "browOuterUp": 0.7, "browInnerUp": 0.5},
    {"mouthRollLower": 1.0, "mouthRollUpper": 1.0}, {"mouthPress": 1.0, "mouthDimple": 0.8, "browDown": 0.8},
    {"cheekPuff": 1.0, "eyeWide": 0.5}, {"mouthStretch": 1.0, "eyeWide": 0.9, "browInnerUp": 0.9, "neck-platysma": 0.8},
    {"eyeSquint": 0.6, "cheekSquint": 0.4, "noseSneer": 0.5, "browDown": 0.9, "mouthUpperUp": 0.4},
)
"""Faces pulled as far as they go, many of them lopsided."""

EXCLUSIVE: tuple[tuple[str, str], ...] = (
    ("mouthSmile", "mouthFrown"), ("mouthSmile", "mouthPucker"), ("mouthSmile", "mouthFunnel"),
    ("mouthStretch", "mouthPucker"), ("mouthStretch", "mouthFunnel"), ("mouthPress", "mouthLowerDown"),
    ("mouthPress", "mouthUpperUp"), ("mouthRollLower", "mouthLowerDown"), ("mouthRollUpper", "mouthUpperUp"),
    ("mouthRollLower", "mouthShrugLower"), ("browDown", "browOuterUp"), ("eyeSquint", "eyeWide"),
    ("cheekPuff", "mouthSmile"), ("cheekPuff", "mouthStretch"), ("eyeSquint", "cheekSquint"),
)
"""Two of a pair, on the same side, never add up to more than 1: muscles that pull against each other."""
# fmt: on

EXCLUSIVE_SIDES = (
    ("mouthLeft", "mouthRight"), ("jawLeft", "jawRight"), ("mouthLeft", "jawLeft"), ("mouthRight", "jawRight"),
    ("mouthPucker", "mouthLeft"), ("mouthPucker", "mouthRight"),
)  # fmt: skip
CLOSED_LIPS = ("mouthPress", "mouthRollLower", "mouthRollUpper", "cheekPuff", "mouthShrugLower")
"""Shapes of closed lips, which fade as the jaw opens."""
NOT_USED = {
    "jawOpen": "the jaw joint opens the mouth",
    "mouthClose": "it only undoes jawOpen, and by itself pushes the lips through each other",
    "tongueOut": "the open head's tongue passes through its lower lip",
}
"""ARKit shapes that are never played, and why."""
