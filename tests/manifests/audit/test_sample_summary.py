"""A summary that says what the clip's own cameras, motion or record do not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from manifests.clip import ClipSummary
from tests.conftest import Generated
from tests.manifests.audit.members import Members, Plant, StoredClip, in_arrays, stored_clips


@pytest.fixture(scope="module")
def clips(corpus: Generated) -> list[StoredClip]:
    return stored_clips(str(corpus.out))


def says(field: str, value: Any) -> Plant:
    def plant(members: Members) -> None:
        spec = json.loads(members["spec.json"])
        spec["summary"][field] = value
        members["spec.json"] = json.dumps(spec).encode()

    return plant


@pytest.mark.parametrize("field", [name for name in ClipSummary.__dataclass_fields__ if name != "trajectory"])
def test_each_field_of_a_summary_is_held_against_the_clip(clips: list[StoredClip], field: str) -> None:
    for clip in clips:
        value = clip.row[field]
        step = 0.2 if field.startswith("camera_distance") else 0.1
        other = f"not {value}" if isinstance(value, str) else value + step
        result = clip.check(None, says(field, other), **{field: other})
        told = [(found.check, found.where) for found in result.findings if found.check != "geometry-unchecked"]
        assert told == [("spec-disagrees", f"spec.json:summary.{field}")]


@pytest.mark.parametrize("value", [None, True, [], {}, float("nan"), "x", 1e300])
def test_summaries_of_other_kinds_are_told(clips: list[StoredClip], value: Any) -> None:
    found = clips[0].check(None, says("camera_yaw_deg_min", value)).findings
    assert "spec.json:summary.camera_yaw_deg_min" in {one.where for one in found}


def test_a_shape_of_another_age_is_found(clips: list[StoredClip]) -> None:
    result = clips[0].check(None, in_arrays("motion.npz", lambda content: content["shape"].__iadd__(0.01)))
    told = {found.where for found in result.findings if found.check == "spec-disagrees"}
    assert told == {f"motion.npz:shape[{at}]" for at in range(4)}
