"""The conventions every number in a corpus follows, written once.

World: the head model's space. Metres, right-handed, +Y up, the face looks along +Z; the origin is the neck
joint of the neutral mean shape, so that FLAME and SMPL-X heads agree.

Camera: OpenCV axes (x right, y down, z forward). ``K`` is in pixels and pixel (i, j) covers
[j, j+1) x [i, i+1): its centre is at (j + 0.5, i + 0.5). ``world_to_camera`` is 4x4.

Rotations are axis-angle in radians. Depth is z-depth in metres, not distance. Normals are unit vectors in
world space. Flow is in pixels, from frame t to t+1. Pluecker rays are (direction, origin x direction) in
world space. Times are seconds; degrees occur only in configuration a person types and in summaries.
"""

from typing import Final

FORMAT_VERSION: Final = 2
"""Of corpus.json, samples and manifest: raised whenever a column, a member or a record's field comes or goes.
2 brought each identity's age, gender expression and ancestry."""

RECIPES: Final = ("phone", "studio", "view_sweep", "dynamic_sweep")
"""The cells of the paper's matrix of static and moving cameras and motion."""

SPLITS: Final = ("train", "validation", "test")

AGE_GROUPS: Final = {"young": (20.0, 35.0), "middle": (35.0, 55.0), "old": (55.0, 80.0)}
"""Ages in years of each group of adults that a configuration weighs."""

LANDMARK_COUNT: Final = 70
"""68 points in the iBUG 300-W order (Sagonas et al. 2013, counted from the subject's right jaw), then the
subject's right and left pupil."""

RIGHT_PUPIL: Final = 68
LEFT_PUPIL: Final = 69

PARTS: Final = ("skin", "right_eye", "left_eye", "teeth", "tongue")
"""What a face of a head mesh belongs to; left and right are the subject's own."""

SEGMENTATION_CLASSES: Final = (
    "background", "skin", "hair", "brows", "lashes", "eye_white", "iris", "lips",
    "teeth", "tongue", "ears", "neck", "clothing", "glasses",
)  # fmt: skip
"""Segmentation pixel values are indices into this tuple."""

VIEW_LABELS: Final = ("depth", "normals", "segmentation", "uv", "flow")
"""Labels of each view that a configuration switches on; colour, alpha and pose normals are always there."""
