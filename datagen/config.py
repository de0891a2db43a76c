"""The configuration of a corpus: all that decides what its clips are, and nothing about who makes them.

A person writes YAML (``datagen/corpora/*.yaml`` are commented examples). Angles are degrees, lengths metres,
times seconds; each field's unit is in its name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, model_validator

from datagen.settings import (
    Settings,
    Span,
    Weights,
    did_you_mean,
    parse_yaml,
    read_yaml,
    show,
    source_of,
    span_within,
    validate,
    within,
)
from datagen.templates import RenderTemplate, load_template, template_path
from manifests.clip import HeadInfo
from manifests.conventions import FORMAT_VERSION
from manifests.errors import UserError

CORPORA = Path(__file__).parent / "corpora"
"""Folder of the configurations that come with the project."""

NEAREST_M = 0.2
"""Any nearer to the head's centre, and a camera may stand inside the head."""
SPIRAL_NEAREST = 0.88
"""A spiral comes so much nearer than its distance."""
DEPTH_REACH_M = 5.5
"""Cameras this far away still see all of a person, shoulders and sway, within the stored range of depth."""

Weight = Annotated[float, within(0, 1_000_000)]
Share = Annotated[float, within(0, 1)]
Label = Literal["depth", "normals", "segmentation", "uv", "flow"]


def _four_k_plus_one(frames: int) -> int:
    if not 1 <= frames <= 10_001:
        raise ValueError("must be 4k+1 between 1 and 10001, such as 17 or 81")
    if frames % 4 != 1:
        lower = (frames - 1) // 4 * 4 + 1
        raise ValueError(
            f"must be 4k+1, because the video codec packs 4 frames to a slot after the first; "
            f"the nearest are {lower} and {lower + 4}"
        )
    return frames


def _picture_size(size: tuple[int, int]) -> tuple[int, int]:
    if not all(16 <= edge <= 8192 and edge % 8 == 0 for edge in size):
        raise ValueError("width and height must each be a multiple of 8 between 16 and 8192")
    return size


def _name(text: str) -> str:
    allowed = "abcdefghijklmnopqrstuvwxyz0123456789_-"
    if not 1 <= len(text) <= 64 or any(letter not in allowed for letter in text):
        raise ValueError("must be 1 to 64 of the characters a-z, 0-9, _ and -")
    return text


def _no_repeats(labels: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(labels)) < len(labels):
        raise ValueError("names a label twice; keep each once")
    return labels


class Recipes(Weights):
    """How often each cell of the paper's matrix of static and moving cameras and motion occurs."""

    phone: Weight = 0.0
    """Fixed near-frontal cameras, dynamic motion."""
    studio: Weight = 0.0
    """Fixed cameras spread over the yaw range, dynamic motion."""
    view_sweep: Weight = 0.0
    """Moving cameras, one expression and pose per identity held still."""
    dynamic_sweep: Weight = 0.0
    """Moving cameras, dynamic motion."""


class Splits(Weights):
    """Shares of the identities. No identity is in two splits."""

    train: Weight = 0.0
    validation: Weight = 0.0
    test: Weight = 0.0


class IdentitySettings(Settings):
    """The shape of the heads."""

    components: Annotated[int, within(0, 1000)] = 100
    """How many of the head's identity components vary, the first ones; at most as many as the head has."""
    spread: Annotated[float, within(0, 3)] = 1.0
    """Standard deviation of each coefficient, in units of the head's own standard deviation."""
    limit: Annotated[float, within(0.1, 5)] = 2.0
    """No coefficient lies further out than this many times the spread."""


class HairStyles(Weights):
    """How often each hair style occurs among the identities."""

    bald: Weight = 0.0
    buzz: Weight = 0.0
    short: Weight = 0.0
    bob: Weight = 0.0


class HairLengths(Settings):
    """Length of the strands for each hair style."""

    buzz_m: Annotated[Span, span_within(0.001, 0.02)] = (0.003, 0.009)
    short_m: Annotated[Span, span_within(0.01, 0.12)] = (0.025, 0.06)
    bob_m: Annotated[Span, span_within(0.08, 0.4)] = (0.16, 0.26)


class AppearanceSettings(Settings):
    """Skin, eyes, hair and clothes of the identities."""

    melanin: Annotated[Span, span_within(0, 1)] = (0.0, 1.0)
    """Skin pigment: 0 the lightest, 1 the darkest human skin. Iris and hair colours go with it."""
    haemoglobin: Annotated[Span, span_within(0, 1)] = (0.15, 0.85)
    """Blood in the skin: 0 pale, 1 ruddy."""
    roughness: Annotated[Span, span_within(0, 1)] = (0.38, 0.6)
    """Roughness of the skin's gloss: low is oily, high is matte."""
    hair_styles: HairStyles = HairStyles(bald=0.1, buzz=0.25, short=0.4, bob=0.25)
    hair_lengths: HairLengths = HairLengths()
    grey_share: Share = 0.12
    """Share of the identities whose hair has gone partly or wholly grey."""
    neckline_m: Annotated[Span, span_within(-0.3, 0.15)] = (-0.075, -0.045)
    """Height of the collar above (+) or below (-) the neck joint."""


class MotionSettings(Settings):
    """Head, eyes and face over time, in the clips with dynamic motion; the held pose in the others."""

    yaw_deg: Annotated[Span, span_within(-80, 80)] = (-40.0, 40.0)
    """Head turn; positive to the subject's left."""
    pitch_deg: Annotated[Span, span_within(-60, 60)] = (-22.0, 22.0)
    """Head nod; positive is down."""
    roll_deg: Annotated[Span, span_within(-45, 45)] = (-12.0, 12.0)
    """Head tilt; positive towards the subject's right shoulder."""
    speed_deg_per_s: Annotated[float, within(1, 600)] = 180.0
    """Limit of the head's angular speed."""
    body_share: Share = 0.2
    """Share of each head turn that the whole figure makes; the neck makes the rest."""
    sway_m: Annotated[float, within(0, 0.1)] = 0.006
    """How far the body sways in each direction."""
    eye_yaw_deg: Annotated[float, within(0, 30)] = 30.0
    """Limit of the eyes' turn in the head, to each side. People reach about 45, comfortably 30."""
    eye_pitch_deg: Annotated[float, within(0, 20)] = 20.0
    """Limit of the eyes' turn in the head, up and down."""
    blinks_per_minute: Annotated[Span, span_within(0, 40)] = (15.0, 20.0)
    """Mean blink rate of a clip. Heads whose expression components have no names do not blink."""
    speech_share: Share = 0.6
    """Share of the dynamic clips in which the person speaks."""
    syllables_per_s: Annotated[Span, span_within(1, 8)] = (3.0, 6.0)
    """Rhythm of speech."""
    jaw_open_deg: Annotated[float, within(0, 25)] = 14.0
    """Limit of the jaw's opening."""
    emotion_strength: Annotated[Span, span_within(0, 1)] = (0.4, 1.0)
    """Strength of the emotions and accents that the face shows; 1 is the strongest the shapes allow."""
    expression_components: Annotated[int, within(0, 500)] = 20
    """Of heads whose expression components have no names (FLAME): how many vary, the first ones."""
    expression_spread: Annotated[float, within(0, 3)] = 0.8
    """Of heads whose expression components have no names: standard deviation of each over time."""


class Trajectories(Weights):
    """How often each camera path occurs among the sweeps."""

    turntable: Weight = 0.0
    """Round the head at constant height; to and fro if the yaw range is less than a full circle."""
    spiral: Weight = 0.0
    """A circle on the view sphere that widens and narrows, with the distance breathing."""
    arc: Weight = 0.0
    """To and fro between two far viewpoints, easing in and out."""
    handheld: Weight = 0.0
    """One viewpoint, held by an unsteady hand."""


class CameraSettings(Settings):
    """Where the cameras are and what lens they have. The sensor is 36 mm wide, and so is the picture."""

    yaw_deg: Annotated[Span, span_within(-180, 180)] = (-90.0, 90.0)
    """Direction of the camera about the vertical axis; 0 is in front, positive to the subject's left."""
    pitch_deg: Annotated[Span, span_within(-80, 80)] = (-15.0, 30.0)
    """Height of the camera as an angle above the head's horizontal plane."""
    phone_yaw_deg: Annotated[Span, span_within(-45, 45)] = (-12.0, 12.0)
    """As yaw_deg, for the near-frontal cameras of the phone recipe."""
    phone_pitch_deg: Annotated[Span, span_within(-45, 45)] = (-10.0, 8.0)
    """As pitch_deg, for the phone recipe."""
    roll_deg: Annotated[Span, span_within(-45, 45)] = (-3.0, 3.0)
    """Turn of the camera about its line of sight."""
    focal_length_mm: Annotated[Span, span_within(10, 300)] = (55.0, 100.0)
    """Focal length on the 36 mm sensor; one lens for all views of a clip."""
    distance_m: Annotated[Span, span_within(0.35, 10)] = (0.5, 2.0)
    """Distance from the aim point. head_share chooses it within this range, if given."""
    head_share: Annotated[Span, span_within(0.05, 2)] | None = (0.48, 0.6)
    """Height of a head (0.24 m) as a share of the picture's height; null draws the distance freely."""
    aim_height_m: Annotated[Span, span_within(-0.5, 0.5)] = (-0.035, -0.01)
    """Height of the aim point above the head's centre; below it, to take in the shoulders."""
    aim_jitter_m: Annotated[float, within(0, 0.2)] = 0.01
    """How far the aim point may lie off on each axis."""
    trajectories: Trajectories = Trajectories(turntable=1, spiral=1, arc=1, handheld=1)
    sweep_deg_per_s: Annotated[Span, span_within(0, 360)] = (20.0, 45.0)
    """Greatest angular speed of the moving cameras."""
    handheld_deg: Annotated[float, within(0, 10)] = 2.5
    """How far a hand-held camera strays in yaw and in pitch."""


class RenderConfig(Settings):
    """How the pictures are made."""

    engine: Literal["cycles", "eevee"] = "cycles"
    device: Literal["cpu", "cuda", "optix", "hip", "metal"] = "cpu"
    """Asking for a device that is absent is an error, not a silent fall-back."""
    samples: Annotated[int, within(1, 65_536)] = 16
    """Paths per pixel."""
    denoiser: Literal["none", "fast", "accurate"] = "fast"
    max_bounces: Annotated[int, within(0, 64)] = 4
    """Longest light path."""
    subdivision: Annotated[int, within(0, 2)] = 1
    """Loop subdivision levels of the skin; each makes four triangles of one."""


class WeightedTemplate(Settings):
    """A render template and how often it occurs."""

    weight: Weight
    look: RenderTemplate


class CorpusConfig(Settings):
    """A whole corpus. Clip i follows from this, and from i."""

    name: Annotated[str, AfterValidator(_name)]
    """Begins the key of every sample: {name}-{clip:09d}."""
    seed: Annotated[int, within(0, 2**63 - 1)] = 0
    clips: Annotated[int, within(1, 1_000_000_000)]
    """How many clips. More may be added later: the earlier ones stay as they are."""
    identities: Annotated[int, within(1, 1_000_000_000)]
    """How many people; clip i shows identity i % identities."""
    clips_per_shard: Annotated[int, within(1, 1_000_000)] = 50
    """Clip i lies in shard i // clips_per_shard."""
    head: str = "open"
    """Head model: open, open-body, or the name of one that was imported."""
    frames: Annotated[int, AfterValidator(_four_k_plus_one)] = 81
    """Frames of a clip, 4k+1."""
    fps: Annotated[float, within(1, 240)] = 15.0
    """Frames per second."""
    views: Annotated[int, within(1, 100)] = 2
    """Cameras of a clip."""
    resolution: Annotated[tuple[int, int], AfterValidator(_picture_size)] = (512, 512)
    """[width, height] in pixels."""
    recipes: Recipes = Recipes(phone=1, studio=1, view_sweep=1, dynamic_sweep=1)
    templates: dict[str, WeightedTemplate]
    """Render templates. A file gives {name or path: weight}; loading puts the template's content here."""
    splits: Splits = Splits(train=0.8, validation=0.1, test=0.1)
    labels: Annotated[tuple[Label, ...], AfterValidator(_no_repeats)] = ()
    """Labels of each view beyond colour, alpha and pose normals."""
    identity: IdentitySettings = IdentitySettings()
    appearance: AppearanceSettings = AppearanceSettings()
    motion: MotionSettings = MotionSettings()
    camera: CameraSettings = CameraSettings()
    render: RenderConfig = RenderConfig()

    @model_validator(mode="after")
    def _some_template(self) -> CorpusConfig:
        weights = {name: template.weight for name, template in self.templates.items()}
        if not sum(weights.values()) > 0:
            raise ValueError(f"templates = {show(weights)}: needs at least one weight above 0")
        return self

    @model_validator(mode="after")
    def _cameras_outside(self) -> CorpusConfig:
        camera = self.camera
        nearest = (
            SPIRAL_NEAREST * camera.distance_m[0] - 3**0.5 * camera.aim_jitter_m - max(map(abs, camera.aim_height_m))
        )
        if nearest < NEAREST_M:
            raise ValueError(
                f"camera.distance_m = {show(camera.distance_m)}: with aim_height_m and aim_jitter_m a camera could "
                f"come within {max(nearest, 0):.2f} m of the head's centre; keep {NEAREST_M:g} m, by a larger distance"
            )
        return self

    @model_validator(mode="after")
    def _depth_in_reach(self) -> CorpusConfig:
        farthest = self.camera.distance_m[1]
        if "depth" in self.labels and farthest > DEPTH_REACH_M:
            raise ValueError(
                f"camera.distance_m = {show(self.camera.distance_m)}: depth is stored to 6.5 m; "
                f"stay below {DEPTH_REACH_M:g}, or leave depth out of labels"
            )
        return self

    def check_head(self, head: HeadInfo) -> None:
        """Raises UserError if the configuration asks for more than the head has."""
        if self.identity.components > head.identity_size:
            raise UserError(
                f"identity.components = {self.identity.components}: head {head.name!r} has {head.identity_size}; "
                f"set it to {head.identity_size} or less"
            )

    def content_hash(self, head: HeadInfo) -> str:
        """SHA-256 (hex) of all that shapes a clip: this without ``clips``, and the head file's hash.

        Two runs with equal hashes make the same clips, so one may continue the other's output.
        """
        content = self.model_dump(mode="json", exclude={"clips", "head"})
        content["head"] = {"name": head.name, "sha256": head.sha256}
        content["format_version"] = FORMAT_VERSION
        return hashlib.sha256(_canonical(content).encode()).hexdigest()

    def to_json(self) -> str:
        """The whole configuration with its templates inlined: a worker needs no other file."""
        return _canonical(self.model_dump(mode="json"))

    @classmethod
    def from_json(cls, text: str) -> CorpusConfig:
        """The inverse of ``to_json``. Raises UserError if the text is not a configuration."""
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError):
            raise UserError(f"stored configuration {show(text)}: not JSON; was it cut short?") from None
        return validate(cls, raw, "stored configuration")


def shipped_corpora() -> list[str]:
    """Names of the configurations that come with the project."""
    return sorted(path.stem for path in CORPORA.glob("*.yaml"))


def load_config(path_or_name: str | Path, overrides: Mapping[str, str] | None = None) -> CorpusConfig:
    """A corpus configuration from a YAML file, or from a shipped one by name ("demo", "paper", "cluster").

    ``overrides`` maps dotted field paths to YAML text: {"clips": "100", "camera.yaw_deg": "[-30, 30]"}.
    Templates given by path are looked for beside the file. Raises UserError, one line, about the first fault.
    """
    overrides = overrides or {}
    path = _find(path_or_name)
    raw = read_yaml(path)
    for key, text in overrides.items():
        _override(raw, key, text)
    named = source_of(str(path), overrides)
    raw["templates"] = _inline(raw.get("templates", {"studio_black": 1}), path.parent, named("templates"))
    return validate(CorpusConfig, raw, named)


def _find(path_or_name: str | Path) -> Path:
    path = Path(path_or_name)
    if path.is_file():
        return path
    if str(path_or_name) in shipped_corpora():
        return CORPORA / f"{path_or_name}.yaml"
    if path.exists():
        raise UserError(f"{path}: not a file; give a corpus configuration in YAML")
    near = did_you_mean(str(path_or_name), shipped_corpora(), "shipped configurations")
    raise UserError(f"{path_or_name}: no such configuration file; {near}")


def _override(raw: dict[str, Any], key: str, text: str) -> None:
    """Sets one dotted field of the raw mapping in place."""
    source = f"override {key}={show(text)}"
    *sections, field = key.split(".")
    if not all(key.split(".")):
        raise UserError(f"{source}: {show(key)} is not a field path; write it like camera.yaw_deg")
    target = raw
    for section in sections:
        inner = target.setdefault(section, {})
        if not isinstance(inner, dict):
            raise UserError(f"{source}: {section} is a plain value without fields; override {section} itself")
        target = inner
    target[field] = parse_yaml(text, source)


def _inline(templates: Any, folder: Path, source: str) -> Any:
    """{name or path: weight} with the templates' content put in; any other shape is left to validation."""
    if not isinstance(templates, dict):
        raise UserError(f"{source}: templates = {show(templates)}: must be lines of `name or path: weight`")
    inlined: dict[str, Any] = {}
    for name, entry in templates.items():
        short = str(name)
        if not isinstance(entry, dict):
            where = template_path(short, folder, f"{source}: templates.{short}")
            short, look = where.stem, load_template(where)
            entry = {"weight": entry, "look": look.model_dump(mode="json")}
        if short in inlined:
            raise UserError(f"{source}: templates.{name}: a second template named {short}; rename one file")
        inlined[short] = entry
    return inlined


def _canonical(content: Any) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
