"""What an audit comes to: its verdict, and the exit status of the command."""

from __future__ import annotations

import dataclasses
import json

import pytest

from factorportrait import main
from manifests.audit.report import AuditReport, format_audit
from tests.manifests.audit.plant import Copy


def give_up(copy: Copy, shard: int) -> None:
    """The shard's last clip, without the bytes it had."""
    rows = copy.rows(shard)
    kept = ("index", "key", "shard", "config_hash")
    lost = dict.fromkeys(rows[-1]) | {name: rows[-1][name] for name in kept}
    samples = dict(list(copy.samples(shard).items())[:-1])
    copy.write_shard(shard, samples)
    copy.write_rows(shard, [*copy.rows(shard)[:-1], lost | {"status": "quarantined", "error": "no light"}])


def run(copy: Copy, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    return main(["audit", str(copy.out), *options]), capsys.readouterr().out


def test_a_sound_corpus_passes(copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    report = copy.audit()
    assert (report.worst, report.sound, report.passes(), report.passes(strict=True)) == (None, True, True, True)
    for options in ((), ("--strict",)):
        status, text = run(copy, capsys, *options)
        assert status == 0
        assert text.startswith(f"{copy.out}: sound\n")


def test_warnings_pass_unless_strict(copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    give_up(copy, 0)
    report = copy.audit()
    assert (report.worst, report.sound, report.passes(), report.passes(strict=True)) == ("warning", True, True, False)
    assert run(copy, capsys)[0] == 0
    status, text = run(copy, capsys, "--strict")
    assert status == 1
    assert text.startswith(f"{copy.out}: sound, with 1 warning\n")
    give_up(copy, 1)
    assert run(copy, capsys)[1].startswith(f"{copy.out}: sound, with 2 warnings\n")
    status, text = run(copy, capsys, "--strict", "--json")
    assert (status, json.loads(text)["sound"], json.loads(text)["worst"]) == (1, True, "warning")


def test_errors_never_pass(copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    give_up(copy, 0)
    copy.shard(1).unlink()
    report = copy.audit()
    assert (report.worst, report.sound, report.passes()) == ("error", False, False)
    assert AuditReport.from_json(report.to_json()).verdict == "FAULTS FOUND"
    for options in ((), ("--strict",)):
        status, text = run(copy, capsys, *options)
        assert status == 1
        assert text.startswith(f"{copy.out}: FAULTS FOUND\n")


def test_notes_pass_even_if_strict(copy: Copy) -> None:
    report = dataclasses.replace(copy.audit(), counts={"corpus-unfinished": 3})
    assert (report.worst, report.passes(strict=True)) == ("note", True)
    assert format_audit(report).startswith(f"{copy.out}: sound\n")


def test_what_could_not_run_is_no_verdict(copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    (copy.out / "corpus.json").unlink()
    assert run(copy, capsys, "--strict") == (2, "")


def test_the_help_says_what_the_exit_status_means(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["audit", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "Exit status 0: sound, even if with warnings; 1: errors were found, or with --strict warnings; 2:" in text
