"""Commands that read a corpus. The front door adds them to its own, and hands down what they need of the rooms
above: how to pose a head, and how to render a clip again."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from manifests.audit.probe import GeometryProbe, MeshProbe, Rerender

SOUND, FAULTS = 0, 1
"""Exit statuses of audit, replay, diff and reindex."""

ONE_CORPUS = ("reindex", "export")
"""Commands that take no view."""


@dataclass(frozen=True)
class Above:
    """What the rooms above give."""

    probe: Callable[[], GeometryProbe]
    mesh: MeshProbe
    rerender: Rerender


def add_commands(commands: Any, above: Above) -> None:
    """Add them to the subparsers ``commands``; each sets ``run``, which returns an exit status or None."""
    audit = _command(
        commands,
        "audit",
        "find faults in a corpus",
        _audit,
        "Exit status 0: sound, even if with warnings; 1: errors were found, or with --strict warnings; 2: it could not "
        "run. Quick reads the manifest and the names and "
        "sizes of shards; full reads the shards as well, in parallel, and goes on where an interrupted audit stopped.",
    )
    audit.add_argument("--level", choices=("quick", "full"), default="quick")
    audit.add_argument("--sample", type=float, default=1.0, metavar="SHARE", help="share of clips that full looks into")
    audit.add_argument("--replay", type=int, default=0, metavar="N", help="render N clips again and compare")
    audit.add_argument("--workers", type=int, metavar="N", help="processes of a full audit (default: one a core)")
    audit.add_argument("--address", metavar="ADDR", help="spread a full audit over an existing Ray cluster")
    audit.add_argument("--strict", action="store_true", help="exit status 1 for warnings too, not for errors alone")
    audit.add_argument("--json", action="store_true", help="print JSON")
    audit.set_defaults(above=above)

    report = _command(commands, "report", "one HTML file with pictures, plots, findings and licences", _report)
    report.add_argument("--html", required=True, metavar="FILE", help="file to write; it opens without a network")
    report.add_argument("--audit", metavar="FILE", help="findings of `audit --json` (default: a quick audit is made)")

    browse = _command(commands, "browse", "look through a corpus on a local web page", _browse)
    browse.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    browse.add_argument("--no-open", action="store_true", help="print the address, open no browser")
    browse.set_defaults(above=above)

    query = _command(commands, "query", "SQL over the manifest, which is the table `clips`", _query)
    query.add_argument("sql", metavar="SQL", help='such as "SELECT recipe, count(*) FROM clips GROUP BY recipe"')
    query.add_argument("--format", choices=("table", "csv", "json"), default="table")

    select = _command(commands, "select", "a list of clips that training and export take", _select)
    select.add_argument("--where", required=True, metavar="SQL", help='condition, such as "melanin > 0.5"')
    select.add_argument("--to", required=True, metavar="FILE", help=".txt (a key a line) or .parquet")

    replay = _command(commands, "replay", "render a clip again and compare it with what is stored", _replay)
    replay.add_argument("clip", metavar="CLIP", help="key of the clip")
    replay.add_argument("--device", help="render on this device instead: cpu, cuda, optix, hip, metal, oneapi")
    replay.set_defaults(above=above)

    merge = commands.add_parser(
        "merge",
        help="several corpora into one view, or the small parts of one manifest into few files",
        description="With --out: a view over the given corpora, which all reading commands but export take. Without: "
        "the small parts of the one given corpus' manifest are put into few files.",
    )
    merge.add_argument("sources", nargs="+", metavar="OUT")
    merge.add_argument("--out", metavar="VIEW", help="folder or URL of the view")
    merge.set_defaults(run=_merge)

    diff = commands.add_parser("diff", help="what two corpora do not share", description="Exit status 1 if anything.")
    diff.add_argument("a", metavar="A")
    diff.add_argument("b", metavar="B")
    diff.set_defaults(run=_diff)

    _command(
        commands,
        "reindex",
        "make lost manifest parts again from the shards",
        _reindex,
        "Exit status 1 if some could not be.",
    )

    export = _command(
        commands,
        "export",
        "copy a subset into a corpus folder of its own, with a dataset card",
        _export,
        "Without --where or --list: all clips that have a sample. Interrupted, the same command goes on; until it has "
        "ended, no command takes the folder for a corpus.",
    )
    export.add_argument("--to", required=True, metavar="DIR_OR_URL")
    chosen = export.add_mutually_exclusive_group()
    chosen.add_argument("--where", metavar="SQL", help="condition, such as \"split = 'train'\"")
    chosen.add_argument("--list", metavar="FILE", help="a list made by select")


def _command(
    commands: Any, name: str, summary: str, run: Callable[[argparse.Namespace], int | None], more: str = ""
) -> argparse.ArgumentParser:
    text = f"{summary[0].upper()}{summary[1:]}. {more}".strip()
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=text)
    kinds = "a corpus" if name in ONE_CORPUS else "a corpus, or of a view"
    parser.add_argument("out", metavar="OUT", help=f"folder or fsspec URL of {kinds}")
    parser.set_defaults(run=run)
    return parser


def _audit(arguments: argparse.Namespace) -> int:
    from manifests.audit.audit import audit, format_audit

    with _progress("shards audited") as progress:
        report = audit(
            arguments.out,
            level=arguments.level,
            sample=arguments.sample,
            replay=arguments.replay,
            workers=arguments.workers,
            address=arguments.address,
            probe=arguments.above.probe() if arguments.level == "full" else None,
            rerender=arguments.above.rerender,
            progress=progress,
        )
    print(report.to_json() if arguments.json else format_audit(report))
    return SOUND if report.passes(arguments.strict) else FAULTS


def _report(arguments: argparse.Namespace) -> None:
    from manifests.audit.audit import AuditReport, audit
    from manifests.report import write_report

    found = AuditReport.from_json(_read_text(arguments.audit)) if arguments.audit else audit(arguments.out)
    write_report(arguments.out, arguments.html, found)
    print(arguments.html)


def _browse(arguments: argparse.Namespace) -> None:
    from manifests.browse import serve

    serve(
        arguments.out,
        port=arguments.port,
        open_browser=not arguments.no_open,
        mesh=arguments.above.mesh,
        ready=lambda url: print(f"{url}  (Ctrl-C ends)", flush=True),
    )


def _query(arguments: argparse.Namespace) -> None:
    from manifests.query import format_table, query

    print(format_table(query(arguments.out, arguments.sql), arguments.format))


def _select(arguments: argparse.Namespace) -> None:
    from manifests.select import select

    count = select(arguments.out, arguments.where, arguments.to)
    print(f"{count} clips in {arguments.to}")


def _replay(arguments: argparse.Namespace) -> int:
    from manifests.replay import format_replay, replay

    report = replay(arguments.out, arguments.clip, arguments.above.rerender, arguments.device)
    print(format_replay(report))
    return SOUND if report.same else FAULTS


def _merge(arguments: argparse.Namespace) -> None:
    from manifests.merge import merge

    print(merge(arguments.sources, arguments.out))


def _diff(arguments: argparse.Namespace) -> int:
    from manifests.diff import diff, format_diff

    found = diff(arguments.a, arguments.b)
    print(format_diff(found))
    return SOUND if found.equal else FAULTS


def _reindex(arguments: argparse.Namespace) -> int:
    from manifests.reindex import format_reindex, reindex

    report = reindex(arguments.out)
    print(format_reindex(report))
    return FAULTS if report.problems else SOUND


def _export(arguments: argparse.Namespace) -> None:
    from manifests.export import export, format_export

    with _progress("shards copied") as progress:
        report = export(arguments.out, arguments.to, where=arguments.where, listed=arguments.list, progress=progress)
    print(format_export(report))


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Takes how many are done, of how many: a bar with the time left on a terminal, else a line a tenth."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield (
            lambda done, total: (
                print(f"{done:,} of {total:,} {what}", file=sys.stderr, flush=True)
                if done * 10 // total > (done - 1) * 10 // total
                else None
            )
        )
        return
    columns = TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _read_text(path: str) -> str:
    return Path(path).read_text("utf-8")
