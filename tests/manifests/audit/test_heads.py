"""A configuration edited by hand is told from clips of another head."""

from __future__ import annotations

from typing import Any

import pytest

from tests.manifests.audit.plant import Copy

EDITS: list[dict[str, Any]] = [
    {"clips_per_shard": 4},
    {"camera": {"yaw_deg": [-91, 90]}},
    {"lenses": "wide"},
    {"head": "open-body"},
    {"identities": 3},
]


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("level", ["quick", "full"])
def test_an_edited_configuration_is_one_finding(copy: Copy, edit: dict[str, Any], level: str) -> None:
    def change(fields: dict[str, Any]) -> None:
        for name, value in edit.items():
            old = fields["config"].get(name)
            fields["config"][name] = {**old, **value} if isinstance(value, dict) else value

    copy.edit_corpus(change)
    report = copy.audit(level=level)
    (finding,) = [finding for finding in report.findings if finding.check != "geometry-unchecked"]
    assert (finding.check, finding.clip, finding.where) == ("config-differs", "", "corpus.json")
    assert not report.sound


def test_a_field_that_clips_have_too_is_found_in_each(copy: Copy) -> None:
    copy.edit_corpus(lambda fields: fields["config"].update(fps=30.0))
    assert copy.audit().counts == {"config-differs": 5}


def test_the_number_of_clips_is_not_hashed(copy: Copy) -> None:
    copy.edit_corpus(lambda fields: fields["config"].update(clips=9))
    assert copy.audit().counts == {}


def test_heads_of_single_clips_are_theirs(copy: Copy) -> None:
    for shard, at in ((0, 0), (0, 2), (1, 0)):
        copy.edit_row(shard, at, head_sha256="0" * 64)
    assert copy.audit().counts == {"head-differs": 3}
    copy.edit_row(0, 1, head_sha256=None)  # and now no clip is left whose head gives the hash
    assert copy.audit().counts == {"config-differs": 1}


def test_without_a_clip_nothing_is_judged(copy: Copy) -> None:
    kept = ("index", "key", "shard", "config_hash")
    for shard in (0, 1):
        copy.write_shard(shard, {})
        lost = [dict.fromkeys(row) | {name: row[name] for name in kept} for row in copy.rows(shard)]
        copy.write_rows(shard, [row | {"status": "quarantined", "error": "no light"} for row in lost])
    copy.edit_corpus(lambda fields: fields["config"].update(lenses="wide"))
    assert copy.audit().counts == {"clip-quarantined": 4}
