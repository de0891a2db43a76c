"""What an audit comes back with: findings, bounded in number, and how they are shown and stored."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

from manifests.audit.findings import CHECKS, SEVERITIES, Finding, Severity
from manifests.errors import UserError
from manifests.text import shown

Level = Literal["quick", "full"]

MOST_KEPT: Final = 1000
"""Findings kept of each check; the counts say how many there are."""
_PRINTED: Final = 5


@dataclass(frozen=True)
class AuditReport:
    """The outcome of an audit."""

    url: str
    level: Level
    clips: int
    """Rows of the manifest, quarantined ones included."""
    shards: int
    """Shards that have rows."""
    clips_read: int
    """Clips whose members were read and looked into."""
    clips_replayed: int
    counts: dict[str, int]
    """How many findings each check made; checks without any are left out."""
    findings: tuple[Finding, ...]
    """The first `MOST_KEPT` of each check, in the order of `CHECKS`."""
    unchecked: tuple[str, ...] = ()
    """What could not be checked, and why."""

    @property
    def worst(self) -> Severity | None:
        """The gravest severity of what was found; None if nothing was."""
        found = {CHECKS[check].severity for check in self.counts}
        return next((severity for severity in SEVERITIES if severity in found), None)

    @property
    def sound(self) -> bool:
        """Whether nothing was found that makes a corpus unsound: no error. Warnings do not."""
        return self.worst != "error"

    def passes(self, strict: bool = False) -> bool:
        """Whether the command ends with exit status 0: it is sound, and if `strict`, without a warning too."""
        return self.sound and not (strict and self.worst == "warning")

    @property
    def verdict(self) -> str:
        """``sound``, ``sound, with N warnings`` or ``FAULTS FOUND``."""
        warnings = sum(count for check, count in self.counts.items() if CHECKS[check].severity == "warning")
        if not self.sound:
            return "FAULTS FOUND"
        return f"sound, with {warnings} warning{'s' * (warnings != 1)}" if warnings else "sound"

    def to_json(self) -> str:
        """All of it; each finding with its severity, title and remedy."""
        content = dataclasses.asdict(self)
        content |= {"sound": self.sound, "worst": self.worst}
        content["findings"] = [
            {
                **dataclasses.asdict(finding),
                "severity": finding.severity,
                "title": CHECKS[finding.check].title,
                "remedy": finding.remedy,
            }
            for finding in self.findings
        ]
        return json.dumps(content, indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> AuditReport:
        """The inverse of `to_json`. Raises UserError if the text is no such report."""
        try:
            content = json.loads(text)
            numbers = [content[name] for name in ("clips", "shards", "clips_read", "clips_replayed")]
            counts = {str(check): int(count) for check, count in content["counts"].items()}
            names = [field.name for field in dataclasses.fields(Finding)]
            findings = tuple(Finding(**{name: str(item[name]) for name in names}) for item in content["findings"])
            known = {*counts, *(finding.check for finding in findings)} <= CHECKS.keys()
            if not known or content["level"] not in ("quick", "full") or any(type(n) is not int for n in numbers):
                raise ValueError("it names a check or level that this version does not have")
            unchecked = tuple(str(item) for item in content["unchecked"])
            clips, shards, clips_read, replayed = numbers
            return cls(
                str(content["url"]), content["level"], clips, shards, clips_read, replayed, counts, findings, unchecked
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise UserError(f"audit report: not what `audit --json` prints ({shown(reason)}); make it again") from None


@dataclass
class Findings:
    """Collects findings, only so many of each kind."""

    counts: Counter[str] = field(default_factory=Counter)
    _kept: dict[str, list[Finding]] = field(default_factory=dict)

    def add(self, check: str, clip: str, where: str, expected: object, seen: object) -> None:
        """Count a finding, and keep it if there is room."""
        self.take(Finding(check, shown(clip), shown(where), shown(expected), shown(seen)))

    def take(self, finding: Finding) -> None:
        self.counts[finding.check] += 1
        kept = self._kept.setdefault(finding.check, [])
        if len(kept) < MOST_KEPT:
            kept.append(finding)

    def room(self, check: str) -> int:
        """How many more of a check are kept."""
        return MOST_KEPT - len(self._kept.get(check, ()))

    def more(self, check: str, count: int) -> None:
        """Count findings that there is no room for."""
        if count > 0:
            self.counts[check] += count

    def all(self) -> tuple[Finding, ...]:
        """Those kept, in the order of `CHECKS`, and of their coming within one check."""
        return tuple(finding for check in CHECKS for finding in self._kept.get(check, ()))


def format_audit(report: AuditReport) -> str:
    """Some lines for a terminal: the verdict, and the first findings of each check with what to do."""
    read = f", {report.clips_read} of them read" if report.level == "full" else ""
    read += f", {report.clips_replayed} rendered again" if report.clips_replayed else ""
    lines = [
        f"{shown(report.url)}: {report.verdict}",
        f"  {report.level} audit of {report.clips} clips{read}, in {report.shards} shards",
    ]
    for check, findings in _by_check(report).items():
        kind, count = CHECKS[check], report.counts[check]
        lines += ["", f"{kind.severity} {check} ({count}): {kind.title}"]
        for finding in findings[:_PRINTED]:
            place = " ".join(part for part in (finding.clip, finding.where) if part)
            lines.append(f"  {place or 'corpus'}: expected {finding.expected}, seen {finding.seen}")
        if count > _PRINTED:
            lines.append(f"  ... and {count - _PRINTED} more" + (" (--json lists more)" if findings[_PRINTED:] else ""))
        lines.append(f"  to do: {kind.remedy}")
    if report.unchecked:
        lines += ["", "not checked:", *(f"  {item}" for item in report.unchecked)]
    return "\n".join(lines)


def finding_of(record: Mapping[str, Any]) -> Finding:
    """The inverse of `dataclasses.asdict`. Raises ValueError if the record is no finding of a known check."""
    try:
        values = {field.name: record[field.name] for field in dataclasses.fields(Finding)}
    except (KeyError, TypeError) as error:
        raise ValueError(f"no finding: {error}") from None
    if values["check"] not in CHECKS or not all(type(value) is str for value in values.values()):
        raise ValueError("no finding of a known check")
    return Finding(**cast("dict[str, str]", values))


def _by_check(report: AuditReport) -> dict[str, list[Finding]]:
    order = {check: number for number, check in enumerate(CHECKS)}
    found: dict[str, list[Finding]] = {check: [] for check in sorted(report.counts, key=order.__getitem__)}
    for finding in report.findings:
        found.setdefault(finding.check, []).append(finding)
    return dict(sorted(found.items(), key=lambda item: SEVERITIES.index(CHECKS[item[0]].severity)))
