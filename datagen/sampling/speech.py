"""Speech-like mouth motion: phrases and pauses, syllables of a consonant and a vowel, as visemes and a jaw.

It means nothing; it only moves as speech does. A syllable is one opening and closing of the jaw, three to six
in a second (MacNeilage 1998, "The frame/content theory of evolution of speech production").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datagen.sampling.curves import follow
from datagen.sampling.streams import lerp, rng, unit
from datagen.sections import MotionSettings

Array = NDArray[np.float64]
Shapes = dict[str, float]

# (jaw opening in [0, 1], face shapes). Names without a side mean both sides.
VOWELS: tuple[tuple[float, Shapes], ...] = (
    (1.00, {"mouthLowerDown": 0.25, "mouthUpperUp": 0.12}),  # a
    (0.70, {"mouthStretch": 0.25, "mouthLowerDown": 0.25, "mouthUpperUp": 0.10}),  # e
    (0.38, {"mouthStretch": 0.30, "mouthSmile": 0.18, "mouthLowerDown": 0.22}),  # i
    (0.75, {"mouthFunnel": 0.50, "mouthPucker": 0.15}),  # o
    (0.28, {"mouthPucker": 0.65, "mouthFunnel": 0.20}),  # u
    (0.55, {"mouthLowerDown": 0.12}),  # schwa
)
CONSONANTS: tuple[tuple[float, Shapes], ...] = (
    (0.00, {"mouthPress": 0.35, "mouthRollLower": 0.22, "mouthRollUpper": 0.18}),  # m b p
    (0.10, {"mouthRollLower": 0.45, "mouthUpperUp": 0.22}),  # f v
    (0.12, {"mouthStretch": 0.18, "mouthLowerDown": 0.28, "mouthUpperUp": 0.10}),  # s z
    (0.14, {"mouthFunnel": 0.42, "mouthShrugLower": 0.10}),  # sh ch
    (0.26, {"mouthLowerDown": 0.15}),  # t d n l
    (0.32, {"mouthUpperUp": 0.06}),  # k g h
)
PHRASE_SYLLABLES = (3, 14)
PAUSE_S = (0.25, 1.4)
JITTER = 0.25
"""Syllables are up to this much shorter or longer than the clip's rhythm."""

NAMES = tuple(sorted({name for _, shapes in VOWELS + CONSONANTS for name in shapes}))
_VOWELS = np.array([[jaw, *(shapes.get(name, 0.0) for name in NAMES)] for jaw, shapes in VOWELS])
_CONSONANTS = np.array([[jaw, *(shapes.get(name, 0.0) for name in NAMES)] for jaw, shapes in CONSONANTS])


def speaks(settings: MotionSettings, seed: int, index: int) -> bool:
    """Whether anything is said in a clip."""
    return unit(seed, "motion.speech", index) < settings.speech_share


@dataclass(frozen=True)
class Beats:
    """Stress over time as moves for ``follow``: starts [N], durations [N], levels [N + 1] in [0, 1].

    One move a syllable, with which the level goes to the syllable's stress; only the louder half has any.
    ``shortest_s`` is how long the shortest move of the clip may be.
    """

    starts: Array
    durations: Array
    levels: Array
    shortest_s: float


def beats(settings: MotionSettings, seed: int, index: int, end_s: float) -> Beats:
    """The stressed syllables of a clip up to ``end_s``; none in a silent one."""
    if not speaks(settings, seed, index):
        return Beats(np.zeros(1), np.ones(1), np.zeros(2), 1.0)
    return _keyframes(settings, seed, index, end_s)[3]


def speech_curve(settings: MotionSettings, seed: int, index: int, times: Array) -> tuple[Array, Array, Array]:
    """Jaw opening [T], activity [T] and face shapes [T, len(NAMES)] in [0, 1]; all 0 in a silent clip."""
    if not speaks(settings, seed, index):
        return np.zeros(len(times)), np.zeros(len(times)), np.zeros((len(times), len(NAMES)))
    articulation = 0.6 + 0.4 * unit(seed, "motion.speech.articulation", index)
    starts, durations, keys, _ = _keyframes(settings, seed, index, float(times[-1]))
    track = follow(starts, durations, keys, times)
    return track[:, 0] * articulation, track[:, 1], track[:, 2:] * articulation


def held_viseme(seed: int, identity: int) -> tuple[float, Shapes]:
    """Jaw opening and shapes of a word stopped half-way; a closed, resting mouth in two cases of three."""
    if unit(seed, "motion.held.speech", identity) > 1 / 3:
        return 0.0, {}
    return VOWELS[int(unit(seed, "motion.held.viseme", identity) * len(VOWELS))]


def _keyframes(settings: MotionSettings, seed: int, index: int, end_s: float) -> tuple[Array, Array, Array, Beats]:
    """Starts [N], durations [N] and keys [N + 1, 2 + names]: jaw, activity, shapes; then the beats.

    A row of variates belongs to each phrase, and one to each syllable in it, so earlier speech does not
    depend on ``end_s``.
    """
    rate = float(lerp(settings.syllables_per_s, unit(seed, "motion.speech.rate", index)))
    longest = PHRASE_SYLLABLES[1]
    shortest_s = PAUSE_S[0] + PHRASE_SYLLABLES[0] * (1 - JITTER) / rate
    phrases = int(end_s / shortest_s) + 4
    phrase_units = rng(seed, "motion.speech.phrase", index).random((phrases, 3))
    syllable_units = rng(seed, "motion.speech.syllable", index).random((phrases, longest, 5))
    rest = np.zeros(2 + len(NAMES))
    clock = -2.0 * float(phrase_units[0, 2])
    starts, durations, keys = [], [], [rest]
    stresses: list[tuple[float, float, float]] = []
    for (length, pause, _), syllables in zip(phrase_units, syllable_units, strict=True):
        if clock > end_s:
            break
        count = PHRASE_SYLLABLES[0] + int(length * (longest - PHRASE_SYLLABLES[0] + 1))
        for timing, consonant, vowel, stress, share in syllables[:count]:
            syllable_s = (1 + JITTER * (2 * timing - 1)) / rate
            closing_s = syllable_s * (0.4 + 0.1 * share)
            loud = 0.6 + 0.4 * stress
            stresses.append((clock, syllable_s, max(0.0, 2 * stress - 1)))
            for duration, key, size in (
                (closing_s, _CONSONANTS[int(consonant * len(CONSONANTS))], 1.0),
                (syllable_s - closing_s, _VOWELS[int(vowel * len(VOWELS))], loud),
            ):
                starts.append(clock)
                durations.append(duration)
                keys.append(np.array([key[0] * size, 1.0, *(key[1:] * size)]))
                clock += duration
        starts.append(clock)
        durations.append(0.18)
        stresses.append((clock, PAUSE_S[0], 0.0))
        keys.append(rest)
        clock += 0.18 + PAUSE_S[0] + (PAUSE_S[1] - PAUSE_S[0]) * float(pause) ** 1.5
    begin, last, levels = np.array(stresses).T
    stress_beats = Beats(begin, last, np.append(0.0, levels), min((1 - JITTER) / rate, PAUSE_S[0]))
    return np.array(starts), np.array(durations), np.array(keys), stress_beats
