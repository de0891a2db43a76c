"""A clip's name is told from everything else that a source may be."""

from __future__ import annotations

import pytest

from training.animation.names import ClipName, parse_clip


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("out/faces:faces-000000012", ClipName("out/faces", "faces-000000012")),
        ("out/faces:faces-000000012.v01", ClipName("out/faces", "faces-000000012", 1)),
        ("out/faces:faces-000000012.v01[3]", ClipName("out/faces", "faces-000000012", 1, 3)),
        ("s3://bucket/faces:my-faces-000000012[7]", ClipName("s3://bucket/faces", "my-faces-000000012", 0, 7)),
        ("a:b:c-1234567890", ClipName("a:b", "c-1234567890")),
    ],
)
def test_clips(text: str, name: ClipName) -> None:
    assert parse_clip(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "front", "poses.json", "motion.npz", "out/faces", ":faces-000000012", "out:faces-12", "out:faces-000000012.v1",
        "out:faces-000000012[x]", "out:../faces-000000012", "out:faces-000000012.v01[3] ", "",
    ],
)  # fmt: skip
def test_what_names_no_clip(text: str) -> None:
    assert parse_clip(text) is None
