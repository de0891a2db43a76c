"""What a corpus promises of its clips, as far as its configuration can be believed to say so."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from manifests.conventions import AGE_GROUPS, VIEW_LABELS
from manifests.corpus import Corpus, without_paths

Span = tuple[float, float]

ARRAYS: Final = ("spec.json", "motion.npz", "cameras.npz", "landmarks.npz")
ALWAYS: Final = ("rgb", "alpha", "pose_normals")
"""What every view has."""
MOST_VIEWS: Final = 100

FIXED: Final = {
    "frames": "frames",
    "fps": "fps",
    "views": "views",
    "width": "resolution.0",
    "height": "resolution.1",
    "seed": "seed",
}
"""Manifest columns that are the same in all clips, and the configuration's fields that say so."""

_SPANS: Final = {
    "camera_yaw_deg": "camera.yaw_deg",
    "camera_pitch_deg": "camera.pitch_deg",
    "camera_distance_m": "camera.distance_m",
    "focal_length_mm": "camera.focal_length_mm",
    "head_yaw_deg": "motion.yaw_deg",
    "head_pitch_deg": "motion.pitch_deg",
    "melanin": "appearance.melanin",
}
_SAMPLED: Final = ("head_yaw_deg", "head_pitch_deg")
_AGE: Final = "age_years"
_GENDER: Final = "gender"
_PHONE: Final = {"camera_yaw_deg": "camera.phone_yaw_deg", "camera_pitch_deg": "camera.phone_pitch_deg"}


@dataclass(frozen=True)
class Promise:
    """One corpus' configuration; whatever in it has an unexpected shape promises nothing."""

    corpus: Corpus

    def field(self, path: str) -> Any:
        """A value of the configuration by its dotted path; None where there is none."""
        value: Any = self.corpus.config
        for name in path.split("."):
            if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
                value = value[int(name)]
            elif isinstance(value, dict):
                value = value.get(name)
            else:
                return None
        return value

    def number(self, path: str) -> float | None:
        value = self.field(path)
        return value if isinstance(value, (int, float)) and math.isfinite(value) else None

    def names(self, path: str) -> list[str] | None:
        """Names with a weight above 0, or those of a list."""
        value = self.field(path)
        if isinstance(value, dict):
            return [str(name) for name, weight in value.items() if not isinstance(weight, (int, float)) or weight > 0]
        return [str(name) for name in value] if isinstance(value, list) else None

    def span(self, parameter: str, recipe: str) -> Span | None:
        """The range of a parameter in clips of a recipe."""
        if parameter == _AGE:
            ends = [span for span, _ in self.ages]
            return (min(ends)[0], max(ends)[1]) if ends else None
        if parameter == _GENDER:
            return (0.0, 1.0)
        if parameter in _SAMPLED and self.field("motion.recordings"):
            return None  # people who were recorded turned as they liked
        return self._span((_PHONE if recipe == "phone" else {}).get(parameter) or _SPANS[parameter])

    @cached_property
    def ages(self) -> list[tuple[Span, float]]:
        """The range of each group of ages in years, and its share of the identities."""
        weights = {name: self.number(f"identity.ages.{name}") or 0.0 for name in AGE_GROUPS}
        total = sum(weights.values())
        return [(AGE_GROUPS[name], weight / total) for name, weight in weights.items() if 0 < weight <= total]

    def covered(self, parameter: str) -> Span | None:
        """The widest range of a parameter over the recipes in use."""
        spans = [span for recipe in self.names("recipes") or [] if (span := self.span(parameter, recipe))]
        return (min(low for low, _ in spans), max(high for _, high in spans)) if spans else None

    @cached_property
    def light_power(self) -> dict[str, Span]:
        """The range of the lights' summed power in watts, for each template."""
        found = {}
        templates = self.field("templates")
        for name in templates if isinstance(templates, dict) else {}:
            lights = self.field(f"templates.{name}.look.lights") if "." not in name else None
            powers = [_power(light) for light in lights.values()] if isinstance(lights, dict) else [None]
            whole = [span for span in powers if span is not None]
            if len(whole) == len(powers):
                found[str(name)] = (sum(low for low, _ in whole), sum(high for _, high in whole))
        return found

    @property
    def subset(self) -> bool:
        """Whether clips were left out on purpose."""
        return self.corpus.subset is not None

    def is_head(self, sha256: str) -> bool:
        """Whether the configuration and a head file's hash give the corpus' hash, which covers both: neither can be
        told from another by itself. Templates are part of the configuration, so no further file is needed."""
        config = without_paths(self.corpus.config)
        content = {name: value for name, value in config.items() if name not in ("clips", "head")}
        content["head"] = {"name": self.corpus.config.get("head"), "sha256": sha256}
        content["format_version"] = self.corpus.format_version
        try:
            text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        except ValueError:
            return False
        return hashlib.sha256(text.encode()).hexdigest() == self.corpus.config_hash

    def _span(self, path: str) -> Span | None:
        return _as_span(self.field(path))


def member_names(views: int, labels: list[str]) -> list[str]:
    """Names behind the key of all members of a sample; labels that are none give no name."""
    wanted = [*ALWAYS, *(label for label in dict.fromkeys(labels) if label in VIEW_LABELS)]
    suffix = {"rgb": "mp4"}
    return [
        *ARRAYS,
        *(
            f"v{view:02d}.{label}.{suffix.get(label, 'mkv')}"
            for view in range(min(views, MOST_VIEWS))
            for label in wanted
        ),
    ]


def _as_span(value: Any) -> Span | None:
    sound = (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(item, (int, float)) and math.isfinite(item) for item in value)
    )
    return (float(value[0]), float(value[1])) if sound else None


def _power(light: Any) -> Span | None:
    return _as_span(light.get("power_w")) if isinstance(light, dict) else None
