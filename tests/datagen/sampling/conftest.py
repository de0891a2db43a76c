"""Two heads as the sampler sees them: one whose expression components have names, and one without."""

import pytest

from manifests.clip import HeadInfo

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
        identity_size=100,
        expression_size=len(ARKIT) + 2,
        expression_names=(*(f"arkit:{name}" for name in ARKIT), "nose-left-dilatation", "unknown"),
        head_centre=(0.0, 0.13, 0.02),
    )


@pytest.fixture(scope="session")
def plain_head() -> HeadInfo:
    return HeadInfo("flame2020", "flame", "cd" * 32, "licensed", 300, 100, (), (0.0, 0.1, 0.03))
