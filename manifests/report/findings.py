"""What an audit found, and what of the corpus could not be had."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from manifests.audit.findings import CHECKS, SEVERITIES
from manifests.audit.report import AuditReport
from manifests.report.html import Html, join, tag
from manifests.report.numbers import whole
from manifests.report.parts import note, plural, table
from manifests.report.tally import Tally
from manifests.text import shown

_MOST_FINDINGS: Final = 20


def verdict(audit: AuditReport | None) -> list[Html]:
    """One line: sound or not, how deep was looked, and how much was found."""
    if audit is None:
        return [tag("span", "not audited", class_="chip note")]
    by_severity: Counter[str] = Counter()
    for check, count in audit.counts.items():
        by_severity[CHECKS[check].severity] += count
    kind, word = ("good", "sound") if audit.sound else ("error", "faults found")
    told = ", ".join(plural(by_severity[name], name) for name in SEVERITIES if by_severity[name])
    depth = f"{audit.level} audit of {whole(audit.clips)} clips"
    depth += f", {whole(audit.clips_read)} of them read" if audit.level == "full" else ""
    link = tag("a", told or "no findings", href="#findings")
    return [tag("span", word, class_=f"chip {kind}"), join([" ", depth, ": ", link])]


def findings(tally: Tally, audit: AuditReport | None) -> Html:
    """What an audit found, worst first; and clips that were given up."""
    parts: list[Html] = []
    if audit is None:
        parts.append(note("This report was made without an audit."))
    else:
        found: dict[str, list[tuple[str, ...]]] = {check: [] for check in audit.counts}
        for finding in audit.findings:
            row = (finding.clip or "corpus", finding.where, finding.expected, finding.seen)
            found.setdefault(finding.check, []).append(tuple(map(shown, row)))
        for check in sorted(found, key=lambda check: (SEVERITIES.index(CHECKS[check].severity), check)):
            parts.append(_check(check, audit.counts.get(check, len(found[check])), found[check]))
        if not found:
            parts.append(note("The audit found nothing."))
        if audit.unchecked:
            parts += [tag("h3", "Not checked"), tag("ul", *(tag("li", shown(item)) for item in audit.unchecked))]
    parts += [note(f"Left out of this report, for it cannot be read: {item}", "warning") for item in tally.damaged]
    if tally.errors:
        title = f"The first {len(tally.errors)} of {whole(tally.quarantined)} clips that were given up"
        parts += [tag("h3", title), table(("Clip", "Error"), tally.errors)]
    return join(parts)


def _check(check: str, count: int, rows: Sequence[tuple[str, ...]]) -> Html:
    kind = CHECKS[check]
    title = [tag("span", kind.severity, class_=f"chip {kind.severity}"), Html(" "), tag("b", check), f" {kind.title} "]
    summary = tag("summary", *title, tag("span", whole(count), class_="count"))
    first = table(("Clip", "Where", "Expected", "Seen"), rows[:_MOST_FINDINGS])
    more = count - min(len(rows), _MOST_FINDINGS)
    rest = note(f"And {whole(more)} more; factorportrait audit --json lists them.") if more > 0 else Html("")
    opened = "" if kind.severity == "error" else None
    return tag("details", summary, tag("p", "To do: ", kind.remedy), first, rest, open=opened, class_="check")
