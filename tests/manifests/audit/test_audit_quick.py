"""Faults planted in manifest and folder of a real corpus: the quick level finds each, and nothing else."""

from __future__ import annotations

import hashlib
import math
import os
import resource
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests.audit.audit import audit, format_audit
from manifests.audit.likeness import Sieve
from manifests.audit.report import MOST_KEPT, AuditReport
from manifests.errors import UserError
from manifests.reader import write_view
from manifests.storage import Storage
from manifests.table import SCHEMA
from tests.manifests.audit.plant import Copy

Plant = Callable[[Copy], Any]


def cut(copy: Copy) -> None:
    os.truncate(copy.shard(0), copy.shard(0).stat().st_size - 700)


def append(copy: Copy) -> None:
    with copy.shard(1).open("ab") as file:
        file.write(bytes(512))


def pipe(copy: Copy) -> None:
    copy.shard(1).unlink()
    os.mkfifo(copy.shard(1))


def piped_part(copy: Copy) -> None:
    copy.part(1).unlink()
    os.mkfifo(copy.out / "manifest" / "part-000001.parquet")


def stray(copy: Copy) -> None:
    shutil.copy(copy.shard(1), copy.shard(7))
    (copy.out / "shards" / "notes.txt").write_text("?")


def twice(copy: Copy) -> None:
    rows = copy.rows(0)
    copy.write_rows(0, [rows[0], rows[1], rows[1], rows[2]])


def members(copy: Copy, *names: str, drop: int = 0) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = copy.rows(1)[0]["members"]
    end = listed[-1]["offset"] + listed[-1]["size"]
    return listed[drop:] + [{"name": name, "offset": end, "size": 0, "sha256": ""} for name in names]


def give_up(copy: Copy) -> None:
    rows = copy.rows(0)
    lost = dict.fromkeys(rows[2]) | {"status": "quarantined", "error": "no\x1b[31m light"}
    lost |= {name: rows[2][name] for name in ("index", "key", "shard", "config_hash")}
    copy.write_rows(0, [*rows[:2], lost])
    os.truncate(copy.shard(0), rows[2]["offset"] + 1024)


def other_split(copy: Copy) -> None:
    split = {"train": "test", "test": "train"}[copy.rows(0)[2]["split"]]
    copy.edit_row(0, 2, split=split)


def same_parameters(copy: Copy) -> None:
    rows = copy.rows(0)
    own = ("index", "key", "offset", "size", "members")
    copy.write_rows(0, [rows[0], rows[1], {**rows[0], **{name: rows[2][name] for name in own}}])


FAULTS: list[tuple[str, Plant]] = [
    ("shard-missing", lambda copy: copy.shard(1).unlink()),
    ("file-extra", stray),
    ("file-extra", lambda copy: (copy.out / "manifest" / "part-000000.parquet.damaged").write_bytes(b"")),
    ("shard-truncated", cut),
    ("shard-malformed", append),
    ("shard-malformed", pipe),
    ("manifest-damaged", lambda copy: copy.part(0).write_bytes(b"PAR1" + bytes(100) + b"PAR1")),
    ("manifest-damaged", lambda copy: copy.part(0).write_bytes(b"")),
    ("manifest-damaged", piped_part),
    ("manifest-damaged", lambda copy: copy.edit_row(0, 1, error="x" * 100_000)),
    ("manifest-damaged", lambda copy: copy.edit_row(0, 1, labels=["depth"] * 100_000)),
    ("manifest-missing", lambda copy: copy.part(1).unlink()),
    ("manifest-missing", lambda copy: copy.write_rows(0, [row for i, row in enumerate(copy.rows(0)) if i != 1])),
    ("row-invalid", lambda copy: copy.edit_row(0, 1, melanin=math.nan)),
    ("row-invalid", lambda copy: copy.edit_row(0, 1, recipe="walk")),
    ("row-invalid", lambda copy: copy.edit_row(0, 1, identity=2)),
    ("row-invalid", lambda copy: copy.edit_row(0, 1, key="../../etc/passwd")),
    ("row-invalid", lambda copy: copy.edit_row(0, 1, status="maybe")),
    ("row-invalid", lambda copy: copy.edit_row(0, 1, offset=copy.rows(0)[1]["offset"] + 1)),
    ("row-invalid", lambda copy: copy.edit_row(0, 2, members=copy.rows(0)[1]["members"])),
    ("row-invalid", lambda copy: copy.edit_row(0, 0, head_yaw_deg_min=30.0, head_yaw_deg_max=-30.0)),
    ("key-duplicate", twice),
    ("key-duplicate", lambda copy: copy.edit_row(0, 1, key=copy.rows(0)[0]["key"])),
    ("clip-quarantined", give_up),
    ("config-differs", lambda copy: copy.edit_row(0, 0, config_hash="0" * 64)),
    ("config-differs", lambda copy: copy.edit_row(0, 0, fps=25.0)),
    ("head-differs", lambda copy: copy.edit_row(0, 0, head_sha256="0" * 64)),
    ("head-differs", lambda copy: copy.edit_row(0, 0, head="flame")),
    ("member-missing", lambda copy: copy.edit_row(1, 0, members=members(copy, drop=1))),
    ("member-unknown", lambda copy: copy.edit_row(1, 0, members=members(copy, "v00.smell.mkv"))),
    ("identity-in-two-splits", other_split),
    ("clips-alike", same_parameters),
    ("parameter-outlier", lambda copy: copy.edit_row(0, 1, melanin=1.5)),
    ("parameter-outlier", lambda copy: copy.edit_row(0, 1, light_power_w=500.0)),
    ("parameter-outlier", lambda copy: copy.edit_row(0, 1, head_yaw_deg_max=170.0)),
]


def test_a_sound_corpus_is_sound(copy: Copy) -> None:
    report = copy.audit()
    assert report.sound
    assert report.findings == ()
    assert (report.clips, report.shards, report.clips_read) == (4, 2, 0)
    assert any("age_years" in item for item in report.unchecked)


@pytest.mark.parametrize(("check", "plant"), FAULTS)
def test_a_fault_is_found_and_nothing_else(copy: Copy, check: str, plant: Plant) -> None:
    plant(copy)
    report = copy.audit()
    assert set(report.counts) == {check}
    assert report.sound == (report.findings[0].severity != "error")
    assert all(finding.expected and finding.seen and finding.remedy for finding in report.findings)


def test_a_finding_names_the_clip_the_place_and_what_was_seen(copy: Copy) -> None:
    key = copy.rows(0)[1]["key"]
    copy.edit_row(0, 1, melanin=1.5)
    (finding,) = copy.audit().findings
    assert (finding.clip, finding.where, finding.expected, finding.seen) == (key, "melanin", "0 to 1", "1.5")


def test_one_fault_does_not_hide_another(copy: Copy) -> None:
    copy.part(0).write_bytes(b"garbage")
    copy.shard(1).unlink()
    assert set(copy.checks()) == {"manifest-damaged", "shard-missing"}


def test_a_run_that_was_stopped_is_no_fault(copy: Copy) -> None:
    copy.part(1).unlink()
    (record,) = (copy.out / "log").glob("run-*.json")
    record.write_text(record.read_text().replace('"finished"', '"interrupted"'))
    report = copy.audit()
    assert report.counts == {"corpus-unfinished": 1, "shard-extra": 1}
    assert report.sound


def spread(index: int, clips: int, low: float, high: float) -> float:
    return low + (high - low) * (index + 0.5) / clips


def varied(index: int, row: dict[str, Any], clips: int = 200) -> dict[str, Any]:
    """Parameters that fill the configured ranges."""
    turn = (index * 0.6180339887) % 1
    values = {
        "recipe": "studio",
        "camera_yaw_deg": 180 * turn - 90,
        "camera_pitch_deg": spread(index, clips, -15, 30),
        "head_yaw_deg": spread(index, clips, -40, 40),
        "head_pitch_deg": 44 * turn - 22,
    }
    pairs = {f"{name}_{end}": value for name, value in values.items() if name != "recipe" for end in ("min", "max")}
    activity = 1 + 0.3 * float(np.sin(index))
    age = spread(index, clips, 20, 80)
    return {
        "recipe": "studio",
        "melanin": turn,
        "age_years": age,
        "identity": index,
        "expression_activity": activity,
        **pairs,
    }


@pytest.fixture
def grown(copy: Copy) -> Copy:
    copy.edit_corpus(lambda corpus: corpus["config"].update(identities=200))
    return copy


def only_ranges(report: AuditReport) -> list[tuple[str, str, str]]:
    """The findings on parameters: the grown corpus' configuration is not the one that was hashed."""
    wanted = ("parameter-outlier", "coverage-hole")
    return [(item.check, item.where, item.expected) for item in report.findings if item.check in wanted]


def test_filled_ranges_have_no_holes(grown: Copy) -> None:
    grown.grow(200, varied)
    report = grown.audit()
    assert only_ranges(report) == []
    assert set(report.counts) <= {"config-differs", "identity-in-two-splits"}


@pytest.mark.parametrize(
    ("column", "low", "high"),
    [("camera_yaw_deg", 10, 60), ("camera_pitch_deg", 0, 12), ("head_yaw_deg", -12, 6), ("head_pitch_deg", -8, 2)],
)
def test_an_empty_stretch_of_a_range_is_a_hole(grown: Copy, column: str, low: float, high: float) -> None:
    def change(index: int, row: dict[str, Any]) -> dict[str, Any]:
        values = varied(index, row)
        inside = low < values[f"{column}_min"] < high
        return values | ({f"{column}_min": low, f"{column}_max": low} if inside else {})

    grown.grow(200, change)
    found = only_ranges(grown.audit())
    assert [(check, where) for check, where, _ in found] == [("coverage-hole", column)]
    begin, end = map(float, found[0][2].removeprefix("clips from ").split(" to "))
    assert low <= begin < end <= high + 1e-3


def test_dark_skin_that_is_not_there_is_a_hole(grown: Copy) -> None:
    grown.grow(200, lambda index, row: varied(index, row) | {"melanin": (index * 0.6180339887) % 0.5})
    assert [item[:2] for item in only_ranges(grown.audit())] == [("coverage-hole", "melanin")]


def test_old_people_that_are_not_there_are_a_hole(grown: Copy) -> None:
    grown.grow(600, lambda index, row: varied(index, row, 600) | {"age_years": spread(index, 600, 20, 62)})
    grown.edit_corpus(lambda corpus: corpus["config"].update(identities=600))
    found = only_ranges(grown.audit())
    assert [item[:2] for item in found] == [("coverage-hole", "age_years")]
    begin, end = map(float, found[0][2].removeprefix("clips from ").split(" to "))
    assert 62 <= begin < 66
    assert end == 80


def test_an_age_group_without_weight_is_no_hole(grown: Copy) -> None:
    young_and_old = {"ages": {"young": 1.0, "middle": 0.0, "old": 1.0}}
    grown.edit_corpus(lambda corpus: corpus["config"].update(identities=600, identity=young_and_old))
    age = lambda index: spread(index // 2, 300, *((20, 35), (55, 80))[index % 2])  # noqa: E731
    grown.grow(600, lambda index, row: varied(index, row, 600) | {"age_years": age(index)})
    assert only_ranges(grown.audit()) == []


def test_a_child_is_an_outlier(copy: Copy) -> None:
    copy.edit_row(0, 1, age_years=9.0)
    (finding,) = copy.audit().findings
    assert (finding.check, finding.where, finding.expected) == ("parameter-outlier", "age_years", "20 to 80")


def test_a_gap_in_expression_is_a_hole(grown: Copy) -> None:
    grown.grow(300, lambda index, row: varied(index, row, 300) | {"expression_activity": 1 + index % 2 + index / 1500})
    assert {item[:2] for item in only_ranges(grown.audit())} == {("coverage-hole", "expression_activity")}


def test_an_expression_far_from_all_others_is_an_outlier(grown: Copy) -> None:
    grown.grow(200, lambda index, row: varied(index, row) | ({"expression_activity": 9.0} if index == 77 else {}))
    report = grown.audit()
    assert [item[:2] for item in only_ranges(report)] == [("parameter-outlier", "expression_activity")]
    assert [f.clip for f in report.findings if f.check == "parameter-outlier"] == [grown.layout.key(77)]


def test_findings_are_bounded_and_counted(grown: Copy) -> None:
    grown.grow(MOST_KEPT + 50, lambda index, row: {"recipe": "walk"})
    report = grown.audit()
    assert report.counts["row-invalid"] == MOST_KEPT + 50
    assert sum(finding.check == "row-invalid" for finding in report.findings) == MOST_KEPT


def test_a_view_is_audited_across_its_corpora(copy: Copy) -> None:
    other = Copy.of(copy.out, copy.out.parent / "other")
    other.shard(0).unlink()
    view = copy.out.parent / "view"
    write_view(Storage(str(view)), [str(copy.out), str(other.out)])
    report = audit(str(view))
    assert report.counts == {"clips-alike": 4, "key-duplicate": 4, "shard-missing": 1}
    assert report.findings[0].where == f"{other.out}/{other.layout.shard_path(0)}"
    assert report.clips == 8


def test_it_reads_any_file_system(copy: Copy) -> None:
    memory = Storage("memory://audited")
    for file in sorted(copy.out.rglob("*")):
        if file.is_file():
            memory.write(str(file.relative_to(copy.out)), file.read_bytes())
    assert audit("memory://audited").counts == {}
    memory.delete(copy.layout.shard_path(1))
    assert audit("memory://audited").counts == {"shard-missing": 1}
    assert audit("memory://audited", level="full", workers=1).clips_read == 3
    memory.fs.rm("/audited", recursive=True)


def test_the_report_goes_through_json(copy: Copy) -> None:
    give_up(copy)
    report = copy.audit()
    assert AuditReport.from_json(report.to_json()) == report
    with pytest.raises(UserError, match="audit report"):
        AuditReport.from_json(report.to_json().replace("clip-quarantined", "clip-lost"))


def test_the_text_says_what_to_do_and_no_control_characters(copy: Copy) -> None:
    give_up(copy)
    text = format_audit(copy.audit())
    assert "clip-quarantined (1)" in text
    assert "to do: see its error" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": "deep"}, "choose quick or full"),
        ({"sample": 0.0}, "above 0"),
        ({"replay": 1}, "nothing here can render"),
        ({"workers": 0}, "1 or more"),
    ],
)
def test_what_cannot_be_is_refused(copy: Copy, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        copy.audit(**options)


def test_many_hashes_are_thinned_and_equal_ones_share_their_fate() -> None:
    hashes = np.random.default_rng(3).integers(0, 2**64, 5000, np.uint64)
    sieve = Sieve(unique=False, most=1000)
    sieve.add(hashes)
    sieve.add(hashes[::-1])
    values, counts = np.unique(sieve.values(), return_counts=True)
    assert 250 < len(values) <= 500
    assert (counts == 2).all()
    assert set(values) == {value for value in hashes if value < sieve.share * 2**64}


def test_a_subset_lacks_nothing_until_it_lacks_a_clip_of_its_own(copy: Copy) -> None:
    copy.part(1).unlink()
    copy.shard(1).unlink()
    rows = copy.rows(0)
    copy.write_rows(0, [rows[0], rows[2]])
    keys = "".join(f"{row['key']}\n" for row in (rows[0], rows[2])).encode()
    subset = {"clips": 2, "shards": 1, "keys_sha256": hashlib.sha256(keys).hexdigest(), "where": ""}
    copy.edit_corpus(lambda corpus: corpus.update(subset=subset))
    assert copy.audit().counts == {}
    copy.write_rows(0, [rows[2]])
    assert copy.audit().counts == {"manifest-missing": 1}


def test_a_manifest_that_unpacks_to_terabytes_takes_no_memory(copy: Copy) -> None:
    """A long text that a Parquet file holds once, and repeats a few million times."""
    rows = pa.Table.from_pylist(copy.rows(1), SCHEMA)
    at = SCHEMA.get_field_index("labels")
    words = pa.DictionaryArray.from_arrays(np.zeros(5_000_000, np.int32), pa.array(["x" * 100_000]))
    offsets = np.linspace(0, 5_000_000, 10_001).astype(np.int32)
    labels = pa.ListArray.from_arrays(pa.array(offsets), words)
    many = pa.concat_tables([rows] * 10_000).combine_chunks()
    pq.write_table(many.set_column(at, "labels", labels), copy.part(1), compression="zstd", store_schema=False)
    assert copy.part(1).stat().st_size < 10_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert set(copy.checks()) == {"manifest-damaged"}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000
