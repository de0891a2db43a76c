"""The sections of a corpus' configuration: whom it shows, how they move, from where, and how that is rendered.

Angles are degrees, lengths metres, times seconds; each field's unit is in its name.
"""

from __future__ import annotations

from typing import Annotated, Literal

from datagen.assets import AssetFolder
from datagen.settings import Settings, Span, Weights, span_within, within

Weight = Annotated[float, within(0, 1_000_000)]
Share = Annotated[float, within(0, 1)]


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


class Ages(Weights):
    """How often each group of adults occurs among the identities; ages are spread evenly within a group."""

    young: Weight = 0.0
    """20 to 35 years."""
    middle: Weight = 0.0
    """35 to 55 years."""
    old: Weight = 0.0
    """55 to 80 years."""


class Genders(Weights):
    """How often each gender expression of the face occurs among the identities."""

    feminine: Weight = 0.0
    between: Weight = 0.0
    masculine: Weight = 0.0


class Ancestries(Weights):
    """How often each ancestry is the main one of a face's shape. It does not touch the skin's tone."""

    african: Weight = 0.0
    asian: Weight = 0.0
    european: Weight = 0.0


class IdentitySettings(Settings):
    """Who the people are, and the shape of their heads. Of heads whose identity components have no meaning
    (FLAME, SMPL-X) age shows in the hair alone, and the other traits do not show."""

    ages: Ages = Ages(young=1, middle=1, old=1)
    genders: Genders = Genders(feminine=2, between=1, masculine=2)
    ancestries: Ancestries = Ancestries(african=1, asian=1, european=1)
    mixed_share: Share = 0.3
    """Share of the identities whose ancestry is mixed of two."""
    components: Annotated[int, within(0, 1000)] = 100
    """How many of the head's other identity components vary, the first ones; at most as many as the head has."""
    spread: Annotated[float, within(0, 3)] = 1.0
    """Standard deviation of each coefficient, in units of the head's own standard deviation."""
    limit: Annotated[float, within(0.1, 5)] = 2.0
    """No coefficient lies further out than this many times the spread."""
    typicality: Annotated[float, within(0.01, 0.9999)] = 0.95
    """The rule against caricatures: a face no farther from the mean one, by the Mahalanobis distance over all
    components with the traits', than this share of faces is; farther ones are drawn in."""


class HairStyles(Weights):
    """How often each hair style occurs among the identities."""

    bald: Weight = 0.0
    buzz: Weight = 0.0
    receding: Weight = 0.0
    short: Weight = 0.0
    side_part: Weight = 0.0
    curly: Weight = 0.0
    afro: Weight = 0.0
    bob: Weight = 0.0
    long_straight: Weight = 0.0
    long_wavy: Weight = 0.0
    ponytail: Weight = 0.0
    bun: Weight = 0.0


class HairLengths(Settings):
    """Length of the strands for each hair style."""

    buzz_m: Annotated[Span, span_within(0.001, 0.02)] = (0.003, 0.009)
    short_m: Annotated[Span, span_within(0.01, 0.12)] = (0.025, 0.06)
    """Also of receding hair, and of hair with a side parting."""
    curly_m: Annotated[Span, span_within(0.02, 0.2)] = (0.05, 0.1)
    afro_m: Annotated[Span, span_within(0.02, 0.2)] = (0.04, 0.09)
    bob_m: Annotated[Span, span_within(0.08, 0.4)] = (0.16, 0.26)
    long_m: Annotated[Span, span_within(0.2, 0.7)] = (0.32, 0.48)
    """Also of a ponytail and of the hair that a bun is made of."""


class FacialHair(Weights):
    """How often each kind of facial hair occurs among the identities with a masculine face."""

    none: Weight = 0.0
    moustache: Weight = 0.0
    goatee: Weight = 0.0
    beard: Weight = 0.0


class FacialHairLengths(Weights):
    """How often each length of facial hair occurs."""

    stubble: Weight = 0.0
    """1 to 2 mm."""
    short: Weight = 0.0
    """4 to 8 mm."""
    medium: Weight = 0.0
    """12 to 25 mm."""
    long: Weight = 0.0
    """40 to 80 mm; moustaches stop at 35 mm, of which 25 hang."""


class Clothes(Weights):
    """How often each garment occurs."""

    crew: Weight = 0.0
    v_neck: Weight = 0.0
    scoop: Weight = 0.0
    turtleneck: Weight = 0.0
    shirt: Weight = 0.0
    """With a collar, the top button open."""
    hoodie: Weight = 0.0
    jacket: Weight = 0.0
    """Lapels over a crew neck."""


class Fabrics(Weights):
    """How often each fabric occurs."""

    jersey: Weight = 0.0
    knit: Weight = 0.0
    denim: Weight = 0.0
    wool: Weight = 0.0
    satin: Weight = 0.0


class Glasses(Weights):
    """How often glasses occur, by the shape of their frame."""

    none: Weight = 0.0
    round: Weight = 0.0
    rectangle: Weight = 0.0
    aviator: Weight = 0.0


class HeadCoverings(Weights):
    """How often each head covering occurs."""

    none: Weight = 0.0
    beanie: Weight = 0.0
    cap: Weight = 0.0
    headscarf: Weight = 0.0


class AppearanceSettings(Settings):
    """Skin, eyes, hair and clothes of the identities."""

    melanin: Annotated[Span, span_within(0, 1)] = (0.0, 1.0)
    """Skin pigment: 0 the lightest, 1 the darkest human skin. Iris and hair colours go with it."""
    haemoglobin: Annotated[Span, span_within(0, 1)] = (0.15, 0.85)
    """Blood in the skin: 0 pale, 1 ruddy."""
    roughness: Annotated[Span, span_within(0, 1)] = (0.38, 0.6)
    """Roughness of the skin's gloss: low is oily, high is matte."""
    freckled_share: Share = 0.25
    """Share of the identities with freckles; they are stronger on lighter skin."""
    moles: Annotated[tuple[int, int], span_within(0, 60)] = (0, 12)
    """How many moles a person has on face and neck."""
    albedo_folder: AssetFolder | None = None
    """A folder of your own skin textures (.png, .jpg) in the head's UV layout, one for each identity, instead of
    painted skin; a path relative to this file."""
    masculine_hair: HairStyles = HairStyles(
        bald=0.08, buzz=0.16, receding=0.14, short=0.26, side_part=0.12, curly=0.07, afro=0.06, bob=0.02,
        long_straight=0.03, long_wavy=0.03, ponytail=0.02, bun=0.01,
    )  # fmt: skip
    """Hair styles of the identities whose gender expression is 0.5 or more."""
    feminine_hair: HairStyles = HairStyles(
        bald=0.02, buzz=0.03, short=0.1, side_part=0.05, curly=0.12, afro=0.06, bob=0.18,
        long_straight=0.16, long_wavy=0.14, ponytail=0.08, bun=0.06,
    )  # fmt: skip
    """Hair styles of the other identities."""
    hair_lengths: HairLengths = HairLengths()
    grey_onset_years: Annotated[Span, span_within(0, 200)] = (30.0, 62.0)
    """Age at which the first hair goes grey; the last one follows 35 years later."""
    brow_density: Annotated[Span, span_within(0.2, 2)] = (0.6, 1.3)
    """Number of the brows' hairs, as a share of the usual one."""
    facial_hair: FacialHair = FacialHair(none=0.5, moustache=0.08, goatee=0.1, beard=0.32)
    facial_hair_lengths: FacialHairLengths = FacialHairLengths(stubble=0.35, short=0.3, medium=0.25, long=0.1)
    clothes: Clothes = Clothes(crew=0.2, v_neck=0.15, scoop=0.1, turtleneck=0.12, shirt=0.18, hoodie=0.13, jacket=0.12)
    fabrics: Fabrics = Fabrics(jersey=0.4, knit=0.2, denim=0.15, wool=0.15, satin=0.1)
    neckline_m: Annotated[Span, span_within(-0.3, 0.15)] = (-0.075, -0.045)
    """Height of a crew neck's collar above (+) or below (-) the neck joint."""
    glasses: Glasses = Glasses(none=0.8, round=0.06, rectangle=0.09, aviator=0.05)
    head_coverings: HeadCoverings = HeadCoverings(none=0.93, beanie=0.03, cap=0.02, headscarf=0.02)


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
    """Mean blink rate of a clip in which nothing is said; people at rest blink 17 times (Bentivoglio et al. 1997,
    "Analysis of blink rate patterns in normal subjects"). Heads whose components have no names do not blink."""
    speaking_blinks_per_minute: Annotated[Span, span_within(0, 40)] = (20.0, 30.0)
    """As blinks_per_minute, where the person speaks; people who converse blink 26 times (same source)."""
    speech_share: Share = 0.6
    """Share of the dynamic clips in which the person speaks."""
    syllables_per_s: Annotated[Span, span_within(1, 8)] = (3.0, 6.0)
    """Rhythm of speech."""
    speech_nod_deg: Annotated[float, within(0, 10)] = 3.0
    """Greatest nod on a stressed syllable; less where the speed limit or the pitch range is narrow."""
    jaw_open_deg: Annotated[float, within(0, 25)] = 14.0
    """Limit of the jaw's opening."""
    emotion_strength: Annotated[Span, span_within(0, 1)] = (0.4, 1.0)
    """Strength of the emotions and accents that the face shows; 1 is the strongest the shapes allow."""
    extreme_share: Share = 0.15
    """Share of the clips whose faces are pulled as far as they go, many of them lopsided, whatever
    emotion_strength is. Of heads whose expression components have names."""
    recordings: AssetFolder | None = None
    """A folder of recorded motion (.npz, see datagen/recordings.py); a path relative to this file."""
    recorded_share: Share = 1.0
    """Share of the dynamic clips that a recording drives, if there are any; the others are sampled."""
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
