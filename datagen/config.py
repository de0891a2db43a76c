"""The configuration of a corpus: all that decides what its clips are, and nothing about who makes them.

A person writes YAML (``datagen/corpora/*.yaml`` are commented examples). Angles are degrees, lengths metres,
times seconds; each field's unit is in its name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, model_validator

from datagen.assets import IMAGES, RECORDINGS, AssetFolder, list_folder
from datagen.recordings import check_recordings
from datagen.sections import (
    AppearanceSettings,
    CameraSettings,
    IdentitySettings,
    MotionSettings,
    Recipes,
    RenderConfig,
    Splits,
    Weight,
)
from datagen.settings import (
    Settings,
    did_you_mean,
    parse_yaml,
    read_yaml,
    show,
    source_of,
    validate,
    within,
)
from datagen.templates import RenderTemplate, load_template, resolve_look, template_path
from manifests.clip import HeadInfo
from manifests.conventions import FORMAT_VERSION
from manifests.corpus import without_paths
from manifests.errors import UserError

CORPORA = Path(__file__).parent / "corpora"
"""Folder of the configurations that come with the project."""

NEAREST_M = 0.2
"""Any nearer to the head's centre, and a camera may stand inside the head."""
SPIRAL_NEAREST = 0.88
"""A spiral comes so much nearer than its distance."""
DEPTH_REACH_M = 5.5
"""Cameras this far away still see all of a person, shoulders and sway, within the stored range of depth."""

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
        most = head.identity_size - len(head.traits)
        if self.identity.components > most:
            raise UserError(
                f"identity.components = {self.identity.components}: head {head.name!r} has {most}; "
                f"set it to {most} or less"
            )
        if not head.has_uv and self.appearance.albedo_folder is not None:
            raise UserError(f"appearance.albedo_folder: {_no_uv(head)}, or leave the folder out")
        if not head.has_uv and "uv" in self.labels:
            raise UserError(f"labels = {show(self.labels)}: {_no_uv(head)}, or leave uv out")
        if self.motion.recordings is not None:
            check_recordings(self.motion.recordings.path, self.motion.recordings.files, head)

    @property
    def folders(self) -> list[AssetFolder]:
        """All folders of the user's files."""
        albedo = self.appearance.albedo_folder
        looks = [folder for _, entry in sorted(self.templates.items()) for folder in entry.look.folders]
        return [*looks, *([albedo] if albedo else [])]

    def content_hash(self, head: HeadInfo) -> str:
        """SHA-256 (hex) of all that shapes a clip: this without ``clips``, and the head file's hash.

        Of users' folders the files count, by their hashes, and not where the folders lie. Two runs with equal hashes
        make the same clips, so one may continue the other's output.
        """
        content = without_paths(self.model_dump(mode="json", exclude={"clips", "head"}))
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
    Templates and folders given by path are looked for beside the file; a folder that is an override, from where
    the command runs. Raises UserError, one line, about the first fault.
    """
    overrides = overrides or {}
    path = _find(path_or_name)
    raw = read_yaml(path)
    for key, text in overrides.items():
        _override(raw, key, text)
    named = source_of(str(path), overrides)
    _list_folders(raw, path.parent, overrides, named)
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
        elif isinstance(entry.get("look"), dict):
            entry = entry | {"look": resolve_look(entry["look"], folder, f"{source}: templates.{short}.look")}
        if short in inlined:
            raise UserError(f"{source}: templates.{name}: a second template named {short}; rename one file")
        inlined[short] = entry
    return inlined


def _list_folders(raw: dict[str, Any], folder: Path, overrides: Mapping[str, str], named: Callable[[str], str]) -> None:
    """Replaces the folders of users' files by what they hold; any other shape is left to validation."""
    for section, field, suffixes in (("appearance", "albedo_folder", IMAGES), ("motion", "recordings", RECORDINGS)):
        settings, path = raw.get(section), f"{section}.{field}"
        if isinstance(settings, dict) and field in settings:
            base = Path.cwd() if path in overrides else folder
            settings[field] = list_folder(settings[field], base, suffixes, f"{named(path)}: {path}")


def _no_uv(head: HeadInfo) -> str:
    return f"head {head.name!r} has no texture coordinates; import it with --uv FILE"


def _canonical(content: Any) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
