"""An appearance to start from."""

from __future__ import annotations

from manifests.clip import Appearance

BLACK = (0.0, 0.0, 0.0)

PLAIN = Appearance(
    melanin=0.3,
    haemoglobin=0.5,
    roughness=0.4,
    freckles=0.0,
    moles=0,
    albedo="",
    albedo_sha256="",
    iris_colour=BLACK,
    hair_style="bald",
    hair_colour=BLACK,
    grey_share=0.0,
    hair_length_m=0.0,
    brow_density=1.0,
    facial_hair="none",
    facial_hair_length_m=0.0,
    clothing="crew",
    fabric="jersey",
    clothing_colour=BLACK,
    neckline_m=-0.06,
    glasses="none",
    glasses_colour=BLACK,
    head_covering="none",
    head_covering_colour=BLACK,
    seed=3,
)
