"""What the configurations of all sources of a report promise together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from manifests.audit.promise import Promise, Span
from manifests.corpus import Corpus
from manifests.text import shown

_WEIGHTS: Final = {
    "split": "splits",
    "recipe": "recipes",
    "template": "templates",
    "ancestry": "identity.ancestries",
}
"""Manifest columns, and the configuration's fields that weigh their values."""

_LIGHT: Final = "light_power_w"
_UNPROMISED: Final = "expression_activity"


def span(corpora: Sequence[Corpus], parameter: str) -> Span | None:
    """The range that holds what every source promises of a parameter; None where one promises nothing."""
    spans = [_span(Promise(corpus), parameter) for corpus in corpora]
    found = [item for item in spans if item is not None and item[0] < item[1]]
    if not found or len(found) < len(spans):
        return None
    return min(low for low, _ in found), max(high for _, high in found)


def shares(corpora: Sequence[Corpus], clips: Sequence[float], column: str) -> dict[str, float] | None:
    """How many of so many clips of each source the weights of a column's values let expect, by value."""
    if column not in _WEIGHTS:
        return None
    expected: dict[str, float] = {}
    for corpus, count in zip(corpora, clips, strict=True):
        weights = _weights(Promise(corpus).field(_WEIGHTS[column]))
        if not weights:
            return None
        total = sum(weights.values())
        for name, weight in weights.items():
            expected[name] = expected.get(name, 0.0) + count * (weight / total)
    return expected


def _span(promise: Promise, parameter: str) -> Span | None:
    if parameter == _UNPROMISED:
        return None
    if parameter == _LIGHT:
        powers = promise.light_power
        used = [powers.get(name) for name in promise.names("templates") or []]
        known = [item for item in used if item is not None]
        whole = known and len(known) == len(used)
        return (min(low for low, _ in known), max(high for _, high in known)) if whole else None
    return promise.covered(parameter)


def _weights(value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping):
        return {}
    pairs = (
        (shown(str(name)), item.get("weight") if isinstance(item, Mapping) else item) for name, item in value.items()
    )
    return {
        name: float(weight)
        for name, weight in pairs
        if isinstance(weight, (int, float)) and math.isfinite(weight) and weight > 0
    }
