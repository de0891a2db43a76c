"""Two heads as the sampler sees them: one whose expression components have names, and one without."""

import pytest

from manifests.clip import HeadInfo, TraitComponent

_PAIRED = (
    "browDown", "browOuterUp", "cheekSquint", "eyeBlink", "eyeLookDown", "eyeLookIn", "eyeLookOut",
    "eyeLookUp", "eyeSquint", "eyeWide", "mouthDimple", "mouthFrown", "mouthLowerDown", "mouthPress",
    "mouthSmile", "mouthStretch", "mouthUpperUp", "noseSneer",
)  # fmt: skip
_SINGLE = (
    "browInnerUp", "cheekPuff", "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthFunnel",
    "mouthLeft", "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower",
    "mouthShrugUpper", "tongueOut",
)  # fmt: skip
ARKIT = sorted([*(name + side for name in _PAIRED for side in ("Left", "Right")), *_SINGLE])


@pytest.fixture(scope="session")
def named_head() -> HeadInfo:
    return HeadInfo(
        name="open",
        kind="flame",
        sha256="ab" * 32,
        licence="CC0-1.0",
        identity_size=104,
        expression_size=len(ARKIT) + 2,
        expression_names=(*(f"arkit:{name}" for name in ARKIT), "nose-left-dilatation", "unknown"),
        head_centre=(0.0, 0.13, 0.02),
        traits=(
            TraitComponent("age_years", 47.0, 12.5),
            TraitComponent("gender", 0.5, 0.3),
            TraitComponent("african", 1 / 3, 0.28),
            TraitComponent("asian", 1 / 3, 0.28),
        ),
    )


@pytest.fixture(scope="session")
def plain_head() -> HeadInfo:
    return HeadInfo("flame2020", "flame", "cd" * 32, "licensed", 300, 100, (), (0.0, 0.1, 0.03))
