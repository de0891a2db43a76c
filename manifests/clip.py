"""What a clip is: the record that makes it, its motion and its cameras."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Motion:
    """Parameters of one head over T frames. Rotations are axis-angle in radians, translation in metres.

    shape [S], expression [T, E]; root, neck, jaw, left_eye, right_eye, translation [T, 3]; all float32.
    ``root`` turns the whole figure about the world origin, then ``translation`` moves it.
    """

    shape: Array
    expression: Array
    root: Array
    neck: Array
    jaw: Array
    left_eye: Array
    right_eye: Array
    translation: Array

    @property
    def frames(self) -> int:
        return len(self.expression)

    def at(self, frames: Sequence[int] | range | Array) -> Motion:
        """The same in some frames."""
        tracks = {name: track[list(frames)] for name, track in vars(self).items() if name != "shape"}
        return dataclasses.replace(self, **tracks)

    def without_expression(self) -> Motion:
        """The same pose with a neutral face: what the pose normals show (neutral expression, closed jaw)."""
        return dataclasses.replace(self, expression=np.zeros_like(self.expression), jaw=np.zeros_like(self.jaw))


@dataclass(frozen=True)
class Cameras:
    """V views over T frames: intrinsics [V, T, 3, 3] in pixels, world_to_camera [V, T, 4, 4]; float64."""

    intrinsics: Array
    world_to_camera: Array
    width: int
    height: int


@dataclass(frozen=True)
class TraitComponent:
    """An identity component that carries a trait: its coefficient is (trait - mean) / deviation."""

    name: str
    """A number among ``Traits``."""
    mean: float
    deviation: float


@dataclass(frozen=True)
class LidOpening:
    """How far the lids of an identity and expression are apart, as a share of the mean opening:
    1 + identity @ shape + expression @ coefficients, over the shapes of one eye; shut at 0."""

    identity: tuple[float, ...]
    expression: tuple[float, ...]


@dataclass(frozen=True)
class HeadInfo:
    """What is known of a head model without loading its arrays."""

    name: str
    kind: str
    """``flame`` or ``smplx``: the file format and the `smplx` class that reads it."""
    sha256: str
    licence: str
    identity_size: int
    expression_size: int
    expression_names: tuple[str, ...]
    """One name a component; empty for a basis without names (FLAME's PCA)."""
    head_centre: tuple[float, float, float]
    """Middle of the head (between ears, at eye height) of the mean shape, world metres: where cameras look."""
    traits: tuple[TraitComponent, ...] = ()
    """What the first identity components stand for; empty for a basis whose components have no meaning."""
    lids: LidOpening | None = None
    """What opens and closes the eyes; None where it is not known."""
    has_uv: bool = True
    """Whether its faces have texture coordinates, which textures and ``uv`` labels need."""


@dataclass(frozen=True)
class Traits:
    """What kind of adult an identity is; none of it says anything about skin tone, which is drawn by itself."""

    age_years: float
    gender: float
    """Gender expression of the face: 0 feminine to 1 masculine."""
    african: float
    asian: float
    european: float
    """Shares of three ancestries in the face's shape; they sum to 1."""

    @property
    def ancestry(self) -> str:
        """The one with the largest share."""
        return max(("african", "asian", "european"), key=lambda name: getattr(self, name))


@dataclass(frozen=True)
class Appearance:
    """How one identity looks. Colours are linear Rec.709 in [0, 1]."""

    melanin: float
    """0 (lightest) to 1 (darkest skin)."""
    haemoglobin: float
    """0 (pale) to 1 (ruddy)."""
    roughness: float
    freckles: float
    """0 (none) to 1 (covered)."""
    moles: int
    """How many there are on face and neck."""
    albedo: str
    """File name of a user's skin texture; empty for painted skin."""
    albedo_sha256: str
    iris_colour: tuple[float, float, float]
    hair_style: str
    """A field of ``datagen.sections.HairStyles``."""
    hair_colour: tuple[float, float, float]
    """Of hair that has not turned grey."""
    grey_share: float
    """Share of the hairs that are white."""
    hair_length_m: float
    brow_density: float
    """0.5 (sparse) to 1.5 (bushy)."""
    facial_hair: str
    """``none``, ``moustache``, ``goatee`` or ``beard``."""
    facial_hair_length_m: float
    clothing: str
    """A field of ``datagen.sections.Clothes``."""
    fabric: str
    """``jersey``, ``knit``, ``denim``, ``wool`` or ``satin``."""
    clothing_colour: tuple[float, float, float]
    neckline_m: float
    """Height of the collar above (+) or below (-) the neck joint, metres."""
    glasses: str
    """``none``, ``round``, ``rectangle`` or ``aviator``."""
    glasses_colour: tuple[float, float, float]
    head_covering: str
    """``none``, ``beanie``, ``cap`` or ``headscarf``."""
    head_covering_colour: tuple[float, float, float]
    seed: int
    """Seeds the fine pattern: blotches, strand placement."""


@dataclass(frozen=True)
class AreaLight:
    """A square area light that looks at the head centre. Position relative to it, world axes, metres."""

    position: tuple[float, float, float]
    power_w: float
    size_m: float
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Sky:
    """A clear sky with its sun, over plain ground. Directions as those of lights in a template."""

    sun_elevation_deg: float
    sun_azimuth_deg: float
    sun_size_deg: float
    turbidity: float
    ground: tuple[float, float, float]


@dataclass(frozen=True)
class Scene:
    """Light and background of one clip."""

    lights: tuple[AreaLight, ...]
    world_map: str
    """File name of a world map, shipped with Blender (``studio.exr`` ...) or the user's; empty for none."""
    world_colour: tuple[float, float, float]
    world_strength: float
    world_rotation_deg: float
    background: str
    """``black``, ``colour``, ``world`` (the blurred world) or ``image`` (a user's)."""
    background_colour: tuple[float, float, float]
    exposure_ev: float
    """Stops above what the light meter says (``datagen.blender.meter``), which follows from the fields here."""
    view_transform: str
    """``AgX`` or ``Standard``."""
    world_map_sha256: str = ""
    """Of a user's map; empty for one of Blender's."""
    sky: Sky | None = None
    """Stands in for map and colour."""
    background_image: str = ""
    """File name of the user's image behind the person."""
    background_image_sha256: str = ""
    background_blur: float = 0.0
    """Standard deviation of the image's blur, as a share of the picture's height."""


@dataclass(frozen=True)
class RenderSettings:
    """How pictures are made; part of the configuration, so part of what a clip is."""

    engine: str = "cycles"
    device: str = "cpu"
    samples: int = 16
    denoiser: str = "fast"
    max_bounces: int = 4
    subdivision: int = 1


@dataclass(frozen=True)
class ClipSummary:
    """What a person filters and plots a corpus by; one manifest column each."""

    camera_yaw_deg_min: float
    camera_yaw_deg_max: float
    camera_pitch_deg_min: float
    camera_pitch_deg_max: float
    camera_distance_m_min: float
    camera_distance_m_max: float
    focal_length_mm: float
    trajectory: str
    head_yaw_deg_min: float
    head_yaw_deg_max: float
    head_pitch_deg_min: float
    head_pitch_deg_max: float
    expression_activity: float
    """Mean over time of the expression vector's Euclidean length."""
    age_years: float
    gender: float
    ancestry: str
    """``african``, ``asian`` or ``european``: the largest share."""
    melanin: float
    hair_style: str
    facial_hair: str
    clothing: str
    glasses: str
    head_covering: str
    light_power_w: float
    background: str


@dataclass(frozen=True)
class ClipSpec:
    """Everything that made a clip, except the arrays: the sample's ``spec.json``."""

    format_version: int
    corpus: str
    config_hash: str
    seed: int
    index: int
    recipe: str
    template: str
    identity: int
    split: str
    head: HeadInfo
    fps: float
    frames: int
    views: int
    width: int
    height: int
    labels: tuple[str, ...]
    traits: Traits
    appearance: Appearance
    scene: Scene
    render: RenderSettings
    summary: ClipSummary
    software: dict[str, str]
    """Versions of what shapes the bytes: bpy, numpy, torch, smplx, av, factorportrait."""
    recording: str = ""
    """File name of the recorded motion that drives the head; empty if the motion was sampled or is held."""

    @property
    def key(self) -> str:
        return f"{self.corpus}-{self.index:09d}"


@dataclass(frozen=True)
class Clip:
    """One clip, ready to be rendered."""

    spec: ClipSpec
    motion: Motion
    cameras: Cameras


@dataclass(frozen=True)
class Member:
    """One file of a sample: its name behind the key (``v00.rgb.mp4``) and its bytes."""

    name: str
    data: bytes
