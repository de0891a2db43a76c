"""What one clip's members tell of their soundness, with nothing believed of what they declare.

`check_sample` never raises on what a sample holds: whatever is wrong with it becomes a finding. It takes memory
for a window of pictures and a few expected ones, by the sizes of the manifest row, which are bounded first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from manifests.audit import arrays, fingerprint, geometry, images, places, summary
from manifests.audit.colour import ColourCheck
from manifests.audit.findings import Finding
from manifests.audit.masks import MasksCheck
from manifests.audit.probe import GeometryProbe
from manifests.conventions import VIEW_LABELS
from manifests.corpus import Corpus
from manifests.decode import read_json
from manifests.errors import UserError
from manifests.table import spec_columns
from manifests.text import shown

ALWAYS = ("rgb", "alpha", "pose_normals")
ARCHIVES = ("motion", "cameras", "landmarks")
LARGEST_SPEC = 1 << 20
"""Bytes; a clip's record has some thousand."""


@dataclass(frozen=True)
class SampleResult:
    """What was found in one clip."""

    findings: tuple[Finding, ...]
    """Each kind at most once for each member."""
    fingerprint: bytes
    """For `fingerprint.alike`; empty where the clip could not be read."""


def check_sample(
    row: Mapping[str, Any], members: Mapping[str, bytes], probe: GeometryProbe | None, corpus: Corpus
) -> SampleResult:
    """Findings in the ``members`` (name behind the key -> bytes) of a finished clip by its manifest ``row``.

    The record is held against the row and the corpus, arrays and videos against the sizes in the row, landmarks
    against cameras, colour against labels, and all of them against the ``probe``'s geometry: pixel by pixel in the
    first, middle and last picture of each view, and at some places in every one.
    """
    shape = arrays.Shape.of_row(row)
    if shape is None:
        seen = f"{row['views']} views of {row['frames']} frames, {row['width']} x {row['height']}"
        return SampleResult((Finding("row-invalid", row["key"], "manifest", "sizes that a clip can have", seen),), b"")
    found = _Findings(row["key"])
    spec = _spec(members, row, corpus, found)
    stored = {name: arrays.read(f"{name}.npz", members, shape, found.add) for name in ARCHIVES}
    sound = {name: value for name, value in stored.items() if value is not None}
    whole = len(sound) == len(ARCHIVES)
    posable = whole and spec is not None
    if "cameras" in sound:
        posable &= geometry.check_cameras(sound["cameras"], found.add)
    if "cameras" in sound and "landmarks" in sound:
        geometry.check_landmarks(sound["cameras"], sound["landmarks"], shape, found.add)
    if spec is not None:
        summary.check_summary(spec, sound, corpus.config, found.add)
    labels = [*ALWAYS, *(label for label in VIEW_LABELS if label in (row["labels"] or []))]
    thumbnails: list[bytes] = []
    expected: geometry.Meshes = {}
    known = None
    if posable and spec is not None and probe is not None:
        known = places.expected_places(probe, spec, sound, found.add)
    for view in range(shape.views):
        if posable and spec is not None and view % geometry.views_at_once(shape) == 0:
            expected = geometry.expect(probe, spec, sound, shape, view, found.add)
        looks = images.ViewCheck(view, shape, sound.get("landmarks"), found.add)
        checks = (
            looks,
            geometry.MeshCheck(view, expected, str(row["hair_style"]), found.add),
            places.PlacesCheck(view, shape, known, sound.get("cameras"), found.add),
            MasksCheck(view, found.add),
            ColourCheck(view, shape, found.add),
        )
        for start, pictures in images.windows(view, labels, members, shape, found.add):
            for check in checks:
                check.take(start, pictures)
        for check in checks:
            check.finish()
        thumbnails += looks.thumbnails
    made = fingerprint.make(sound["motion"], sound["cameras"], thumbnails) if whole and thumbnails else b""
    return SampleResult(tuple(found.made.values()), made)


class _Findings:
    """Findings of one clip, each kind once a member."""

    def __init__(self, clip: str) -> None:
        self._clip = clip
        self.made: dict[tuple[str, str], Finding] = {}

    def add(self, check: str, where: str, expected: str, seen: str) -> None:
        where = shown(where)
        self.made.setdefault((check, where), Finding(check, self._clip, where, shown(expected), shown(seen)))


def _spec(
    members: Mapping[str, bytes], row: Mapping[str, Any], corpus: Corpus, found: _Findings
) -> dict[str, Any] | None:
    """The record, held against its row and the corpus; None if there is none."""
    name = "spec.json"
    if name not in members:
        found.add("member-missing", name, name, "none")
        return None
    if len(members[name]) > LARGEST_SPEC:
        found.add("member-undecodable", name, f"at most {LARGEST_SPEC} bytes", f"{len(members[name])} bytes")
        return None
    try:
        spec = read_json(name, members[name])
    except UserError as error:
        found.add("member-undecodable", name, "a JSON object", str(error))
        return None
    try:
        columns = spec_columns(spec)
    except ValueError as error:
        found.add("member-undecodable", name, "the record of a clip", str(error))
        return None
    for column, value in columns.items():
        if row.get(column) != value:
            found.add("spec-disagrees", f"{name}:{column}", shown(row.get(column)), shown(value))
    software = spec.get("software")
    software = software if isinstance(software, dict) else {}
    promised = corpus.software or software  # some corpora promise none
    other = [package for package in sorted({*software, *promised}) if software.get(package) != promised.get(package)]
    if other:
        expected, seen = (
            ", ".join(f"{package} {shown(versions.get(package, 'absent'))}" for package in other)
            for versions in (promised, software)
        )
        found.add("software-differs", f"{name}:software", expected, seen)
    return spec
