"""Auditing a corpus: its manifest and folder in one pass, and at level full every shard, clip and picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from manifests.audit.full import check_contents
from manifests.audit.probe import GeometryProbe, Rerender
from manifests.audit.quick import check_manifests
from manifests.audit.replayed import check_replays
from manifests.audit.report import AuditReport, Findings, Level, format_audit
from manifests.audit.sources import AuditedSource
from manifests.errors import UserError
from manifests.reader import CorpusReader

__all__ = ["AuditReport", "audit", "format_audit"]

Progress = Callable[[int, int], None]
"""Told the number of shards that are done, and of all."""

QUICK: Final = "what is in the shards: the quick level reads the manifest, and names and sizes of files"


def audit(
    out: str,
    *,
    level: Level = "quick",
    sample: float = 1.0,
    replay: int = 0,
    workers: int | None = None,
    address: str | None = None,
    probe: GeometryProbe | None = None,
    rerender: Rerender | None = None,
    journal: str | None = None,
    progress: Progress | None = None,
) -> AuditReport:
    """Find faults in a corpus folder or URL, or in a view over several.

    Quick reads the manifest, and names and sizes of files, with memory that does not grow with the clips beyond
    8 bytes each. Full also walks every shard's tar, and reads the members of a share `sample` of the clips, chosen by
    their keys, and of the first one of each corpus: in `workers` processes (default: one a core), or on the Ray
    cluster at `address`. It goes on where an audit that was stopped had come to, by the file `journal` (default: one
    in the cache). `replay` clips, evenly spread, are rendered again by `rerender` and compared byte by byte. Raises
    UserError if there is no corpus, or what is asked for cannot be had.
    """
    if level not in ("quick", "full"):
        raise UserError(f"--level {level}: no such level; choose quick or full")
    if not 0 < sample <= 1:
        raise UserError(f"--sample {sample:g}: must be above 0 and at most 1, the share of clips to read")
    if sample < 1 and level != "full":
        raise UserError(f"--sample {sample:g}: only a full audit reads clips; add --level full")
    if replay < 0 or (workers is not None and workers < 1):
        raise UserError(f"--replay {replay}, --workers {workers}: must be 0 or more, and 1 or more")
    if replay and rerender is None:
        raise UserError(f"--replay {replay}: nothing here can render; use the command `factorportrait audit`")
    reader = CorpusReader(out)
    found = Findings()
    sources = [
        AuditedSource(number, source.storage, source.corpus, f"{source.url}/" if reader.is_view else "")
        for number, source in enumerate(reader.sources)
    ]
    unchecked = check_manifests(sources, found)
    clips_read = 0
    if level == "full":
        circumstances = (reader.url, sample, "probe" if probe else "no probe")
        clips_read, few = check_contents(
            sources, found, circumstances, sample, workers, address, probe, journal, progress
        )
        unchecked += few
        if clips_read == 0:
            unchecked.insert(0, "any clip's members: there was no readable clip")
        if lacking := found.counts["geometry-unchecked"]:
            unchecked.append(f"the geometry of {lacking} clips: no head to check it against, see geometry-unchecked")
    else:
        unchecked.insert(0, QUICK)
    replayed = check_replays(reader, sources, found, replay, rerender) if replay and rerender else 0
    return AuditReport(
        url=reader.url,
        level=level,
        clips=sum(source.clips for source in sources),
        shards=sum(source.shards for source in sources),
        clips_read=clips_read,
        clips_replayed=replayed,
        counts={check: found.counts[check] for check in sorted(found.counts)},
        findings=found.all(),
        unchecked=tuple(unchecked),
    )
