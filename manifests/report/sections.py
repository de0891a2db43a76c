"""What stands in each section of the page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np

from manifests.audit.findings import CHECKS
from manifests.audit.report import AuditReport, shown
from manifests.corpus import Corpus
from manifests.licences import _others
from manifests.reader import CorpusReader
from manifests.report import charts, plots, promises, runs, thumbnails
from manifests.report.html import Html, join, tag
from manifests.report.numbers import percent, short, size, whole
from manifests.report.tally import COUNTED, Picked, Tally
from manifests.report.thumbnails import Thumbnail, UnreadableError
from manifests.status import duration

MOST_SOURCES: Final = 20
"""Of a view, that are told apart."""
_MOST_FINDINGS: Final = 20
_MOST_BARS: Final = 12
_MOST_RUNS_SHOWN: Final = 30
_MOST_CONFIG: Final = 200_000
_MOST_SOFTWARE: Final = 50
_MOST_ASSETS: Final = 200
_SEVERITIES: Final = ("error", "warning", "note")
_COUNT_TITLES: Final = {
    "split": "Split",
    "recipe": "Recipe",
    "template": "Template",
    "hair_style": "Hair",
    "trajectory": "Camera trajectory",
    "background": "Background",
}


def headline(reader: CorpusReader, tally: Tally, audit: AuditReport | None) -> Html:
    """The few numbers that a person asks for first, and the audit's verdict."""
    splits = ", ".join(f"{whole(count)} {split}" for split, count in tally.identities_by_split.items() if count)
    clips = ", ".join(f"{whole(count)} {split}" for split, count in tally.counts["split"].most_common(4))
    missing = tally.expected - tally.clips - tally.quarantined
    hours = tally.seconds / 3600
    tiles = [
        ("Clips", whole(tally.clips), f"{whole(missing)} still to come" if missing > 0 else "complete"),
        ("Video", f"{whole(round(hours))} h" if hours >= 10 else duration(tally.seconds), "counted once for all views"),
        ("Frames", short(tally.frames), f"{short(tally.frames / max(tally.clips, 1))} a clip"),
        ("Pictures", short(tally.pictures), "frames of all views"),
        ("Size", size(tally.bytes), f"{size(tally.bytes / max(tally.clips, 1))} a clip"),
        ("Identities", whole(tally.identities), splits),
        ("Splits", str(len(tally.counts["split"])), clips),
        ("Quarantined", whole(tally.quarantined), percent(tally.quarantined, tally.clips + tally.quarantined)),
    ]
    sources = f"A view over {whole(len(reader.sources))} corpora. " if reader.is_view else ""
    return join(
        [
            tag("p", sources, *_verdict(audit), class_="lead"),
            tag("dl", *(_tile(*tile) for tile in tiles), class_="tiles"),
        ]
    )


class Gallery:
    """The pictures of a report; clips that cannot be shown are left out and named."""

    def __init__(self, reader: CorpusReader, tally: Tally) -> None:
        self._reader, self._tally = reader, tally

    def sheet(self) -> Html:
        """Clips from all over the corpus, four moments of each."""
        shown_clips, problems = self._draw(self._tally.sheet, thumbnails.strip)
        figures = [
            tag("figure", _image(picture, picked.key), tag("figcaption", tag("code", picked.key), " ", _about(picked)))
            for picked, picture in shown_clips
        ]
        note = f"{_plural(len(figures), 'clip')}, evenly spread over the corpus; moments of their first two views."
        return join([_note(note) if figures else "", _problems(problems), tag("div", *figures, class_="sheet")])

    def montage(self) -> Html:
        """A table of pictures: recipes down, templates across."""
        cells = self._tally.montage
        recipes, templates = (sorted({cell[i] for cell in cells}) for i in (0, 1))
        drawn, problems = self._draw(list(cells.values()), thumbnails.still)
        pictures = {picked.key: picture for picked, picture in drawn}
        rows = [tag("tr", tag("th", ""), *(tag("th", name, scope="col") for name in templates))]
        for recipe in recipes:
            row = [tag("th", recipe, scope="row")]
            for template in templates:
                picked = cells.get((recipe, template))
                picture = pictures.get(picked.key) if picked else None
                blank = tag("div", "—", class_="blank") if drawn else Html("")
                image = _image(picture, f"{recipe}, {template}") if picture else blank
                count = _clips(self._tally.cells[recipe, template])
                row.append(tag("td", image, tag("small", count)))
            rows.append(tag("tr", *row))
        return join([_problems(problems), tag("div", tag("table", *rows, class_="montage"), class_="wide")])

    def _draw(
        self, clips: Sequence[Picked], draw: Callable[[CorpusReader, Picked], Thumbnail]
    ) -> tuple[list[tuple[Picked, Thumbnail]], list[str]]:
        drawn, problems = [], []
        for picked in clips:
            try:
                drawn.append((picked, draw(self._reader, picked)))
            except UnreadableError as error:
                problems.append(str(error))
        return drawn, problems


def parameters(tally: Tally, corpora: Sequence[Corpus]) -> Html:
    """Histograms and maps against what the configuration promises."""
    legend = _note(
        "A bracket above the columns, or a dashed line in a map, marks what the configuration promises; columns "
        "outside it stand out. A clip whose value changes counts in every column, and every cell, that it passes."
    )
    return join([legend, plots.histograms(tally, corpora), tag("h3", "Coverage"), plots.maps(tally, corpora)])


def counts(tally: Tally, corpora: Sequence[Corpus]) -> Html:
    """Clips by what they are, with what the weights of the configuration let expect."""
    planned = [corpus.clips * tally.clips / max(tally.expected, 1) for corpus in corpora]
    figures = []
    for name in COUNTED:
        expected = promises.shares(corpora, planned, name)
        rows = _rows(tally.counts[name], expected)
        note = "clips; the tick is what the weights let expect" if expected else "clips"
        caption = tag("figcaption", tag("b", _COUNT_TITLES[name]), tag("small", note))
        figures.append(tag("figure", caption, charts.bars(rows)))
    return tag("div", *figures, class_="figures")


def throughput(records: Sequence[tuple[str, Sequence[runs.Run]]]) -> Html:
    """For each source: clips done and clips an hour, over hours of work; and its runs."""
    parts: list[Html] = []
    for name, found in records:
        if len(records) > 1:
            parts.append(tag("h3", name))
        measured = runs.throughput(found)
        if measured is None:
            parts.append(_note("The log holds no run whose speed could be told."))
        else:
            # Few people think in thousandths of an hour, or in thousands of hours.
            unit, scale = next((item for item in _UNITS if measured.hours[-1] * item[1] >= 3), _UNITS[-1])
            across, breaks = f"{unit} of work", [at * scale for at in measured.breaks]
            done = charts.line(measured.hours * scale, measured.clips, (across, "clips done"), breaks)
            rate = charts.line(measured.middles * scale, measured.rate, (across, "clips an hour"), breaks)
            figures = [
                tag("figure", tag("figcaption", tag("b", title)), chart)
                for title, chart in (("Clips done", done), ("Clips an hour", rate))
            ]
            parts.append(tag("div", *figures, class_="figures two"))
        head = ("Started (UTC)", "Took", "Workers", "Clips done", "Failed attempts", "Given up", "State")
        rows = [
            (
                datetime.fromtimestamp(run.started, UTC).strftime("%Y-%m-%d %H:%M:%S"),
                duration(run.seconds),
                *(whole(count) for count in (run.workers, run.clips, run.failures, run.quarantined)),
                run.state,
            )
            for run in found[-_MOST_RUNS_SHOWN:]
        ]
        parts.append(_table(head, rows, numeric=(1, 2, 3, 4, 5)) if rows else Html(""))
    return join(parts)


def findings(tally: Tally, audit: AuditReport | None) -> Html:
    """What an audit found, worst first; and clips that were given up."""
    parts: list[Html] = []
    if audit is None:
        parts.append(_note("This report was made without an audit."))
    else:
        found: dict[str, list[tuple[str, ...]]] = {check: [] for check in audit.counts}
        for finding in audit.findings:
            row = (finding.clip or "corpus", finding.where, finding.expected, finding.seen)
            found.setdefault(finding.check, []).append(tuple(map(shown, row)))
        for check in sorted(found, key=lambda check: (_SEVERITIES.index(CHECKS[check].severity), check)):
            parts.append(_check(check, audit.counts.get(check, len(found[check])), found[check]))
        if not found:
            parts.append(_note("The audit found nothing."))
        parts += [_note(f"Not checked: {shown(item)}") for item in audit.unchecked]
    parts += [_note(f"Left out of this report, for it cannot be read: {item}", "warning") for item in tally.damaged]
    if tally.errors:
        title = f"The first {len(tally.errors)} of {whole(tally.quarantined)} clips that were given up"
        parts += [tag("h3", title), _table(("Clip", "Error"), tally.errors)]
    return join(parts)


def sizes(tally: Tally) -> Html:
    """Bytes by kind of member, and along the shards."""
    total = sum(tally.member_bytes.values())
    rows = [
        (kind, whole(tally.member_count[kind]), size(count), percent(count, total),
         size(count / max(tally.member_count[kind], 1)))
        for kind, count in tally.member_bytes.most_common(_MOST_BARS * 2)
    ]  # fmt: skip
    rows.append(("headers and padding", "", size(max(tally.bytes - total, 0)), percent(tally.bytes - total, total), ""))
    stretches = tally.stretches
    mean = stretches.bytes / np.maximum(stretches.shards, 1)
    unit, scale = next((item for item in _SIZES if mean.max() >= item[1]), _SIZES[-1])

    def described(i: int) -> str:
        first, last = int(stretches.edges[i]), int(stretches.edges[i + 1]) - 1
        which = f"shard {whole(first)}" if first == last else f"shards {whole(first)} to {whole(last)}"
        return f"{which}: {size(float(mean[i]))} a shard, {whole(int(stretches.shards[i]))} with rows"

    chart = charts.columns(
        stretches.edges - 0.0, mean / scale, "shard", f"{unit} a shard", described=described, width=charts.WIDE
    )
    note = f"{whole(tally.shards)} shards with rows, {size(tally.bytes / max(tally.shards, 1))} on average"
    kinds = charts.bars(
        [(kind, count, None) for kind, count in tally.member_bytes.most_common(_MOST_BARS)], size, charts.WIDE
    )
    figures = [
        tag("figure", tag("figcaption", tag("b", "By kind of member"), tag("small", "all views together")), kinds),
        tag("figure", tag("figcaption", tag("b", "By shard"), tag("small", note)), chart),
    ]
    head = ("Member", "Files", "Bytes", "Share", "Each")
    return join([tag("div", *figures, class_="figures two"), _table(head, rows, numeric=(1, 2, 3, 4))])


def provenance(reader: CorpusReader, tally: Tally, heads: Mapping[tuple[str, str], str]) -> Html:
    """What made the corpus: configuration, seed, software, heads."""
    parts: list[Html] = []
    for source in reader.sources[:MOST_SOURCES]:
        corpus = source.corpus
        facts = [
            ("Corpus", corpus.name),
            *([("Source", shown(source.url))] if reader.is_view else []),
            ("Configuration hash", shown(corpus.config_hash)),
            ("Seed", shown(corpus.config.get("seed", "—"))),
            ("Head", shown(corpus.config.get("head", "—"))),
            ("Clips", f"{whole(corpus.clips)}, {whole(corpus.clips_per_shard)} a shard"),
            ("Format", str(corpus.format_version)),
            ("Software", ", ".join(f"{shown(name)} {shown(version)}" for name, version in _software(corpus))),
        ]
        folded = tag("details", tag("summary", "The whole configuration"), tag("pre", _written(corpus.config)))
        lines = (tag("tr", tag("th", name, scope="row"), tag("td", value)) for name, value in facts)
        parts.append(join([tag("table", *lines, class_="facts"), folded]))
    if len(reader.sources) > MOST_SOURCES:
        parts.append(_note(f"And {whole(len(reader.sources) - MOST_SOURCES)} more corpora."))
    rows = [(name, sha256, licence) for (name, sha256), licence in heads.items()]
    parts += [tag("h3", "Head models in the rows"), _table(("Head", "SHA-256 of its file", "Licence"), rows)]
    return join(parts)


def licences(corpora: Sequence[Corpus], heads: Mapping[tuple[str, str], str]) -> Html:
    """Every asset and program that shaped the clips, and its terms."""
    rows: list[tuple[str, ...]] = [
        ("head", name, sha256[:16], licence, "geometry of every person") for (name, sha256), licence in heads.items()
    ]
    others = dict.fromkeys(asset for corpus in corpora[:MOST_SOURCES] for asset in _others(corpus))
    for asset in sorted(others, key=lambda asset: (asset.kind != "world map", asset.name, asset.version)):
        rows.append((asset.kind, *(shown(text) for text in (asset.name, asset.version, asset.licence, asset.note))))
    return _table(("Kind", "Asset", "Version", "Licence", "Note"), rows[:_MOST_ASSETS])


_UNITS: Final = (("days", 1 / 24), ("hours", 1.0), ("minutes", 60.0))
_SIZES: Final = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def _software(corpus: Corpus) -> list[tuple[str, str]]:
    return sorted(corpus.software.items())[:_MOST_SOFTWARE]


def _written(config: Mapping[str, object]) -> str:
    try:
        text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False)
    except RecursionError:
        return "nested too deeply to be shown"
    return text if len(text) <= _MOST_CONFIG else f"{text[:_MOST_CONFIG]}\n… cut here"


def _verdict(audit: AuditReport | None) -> list[Html]:
    if audit is None:
        return [tag("span", "not audited", class_="chip note")]
    by_severity: Counter[str] = Counter()
    for check, count in audit.counts.items():
        by_severity[CHECKS[check].severity] += count
    kind, verdict = ("good", "sound") if audit.sound else ("error", "faults found")
    told = ", ".join(_plural(by_severity[name], name) for name in _SEVERITIES if by_severity[name])
    depth = f"{audit.level} audit of {whole(audit.clips)} clips"
    depth += f", {whole(audit.clips_read)} of them read" if audit.level == "full" else ""
    link = tag("a", told or "no findings", href="#findings")
    return [tag("span", verdict, class_=f"chip {kind}"), join([" ", depth, ": ", link])]


def _check(check: str, count: int, rows: Sequence[tuple[str, ...]]) -> Html:
    kind = CHECKS[check]
    title = [tag("span", kind.severity, class_=f"chip {kind.severity}"), Html(" "), tag("b", check), f" {kind.title} "]
    summary = tag("summary", *title, tag("span", whole(count), class_="count"))
    table = _table(("Clip", "Where", "Expected", "Seen"), rows[:_MOST_FINDINGS])
    more = count - min(len(rows), _MOST_FINDINGS)
    rest = _note(f"And {whole(more)} more; factorportrait audit --json lists them.") if more > 0 else Html("")
    opened = "" if kind.severity == "error" else None
    return tag("details", summary, tag("p", "To do: ", kind.remedy), table, rest, open=opened, class_="check")


def _rows(found: Counter[str], expected: Mapping[str, float] | None) -> list[tuple[str, float, float | None]]:
    names = sorted(set(found) | set(expected or ()), key=lambda name: (-found[name], name))[:_MOST_BARS]
    return [(name, found[name], (expected or {}).get(name)) for name in names]


def _tile(title: str, value: str, note: str) -> Html:
    return tag("div", tag("dt", title), tag("dd", value), tag("dd", note, class_="small"))


def _about(picked: Picked) -> str:
    row = picked.row
    parts = [row["recipe"], row["template"], f"identity {row['identity']}", row["split"]]
    return " · ".join(shown(part) for part in parts if part is not None)


def _image(picture: Thumbnail, described: str) -> Html:
    return tag("img", src=picture.uri, width=picture.width, height=picture.height, alt=described, loading="lazy")


def _clips(count: int) -> str:
    return _plural(count, "clip")


def _plural(count: int, name: str) -> str:
    return f"1 {name}" if count == 1 else f"{whole(count)} {name}s"


def _problems(problems: Sequence[str]) -> Html:
    if not problems:
        return Html("")
    return _note(f"{_plural(len(problems), 'clip')} cannot be shown: {problems[0]}", "warning")


def _note(text: str, kind: str = "") -> Html:
    return tag("p", text, class_=f"aside {kind}".strip())


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int] = ()) -> Html:
    def row(cell: str, values: Sequence[str]) -> Html:
        return tag(
            "tr", *(tag(cell, value, class_="number" if i in numeric else None) for i, value in enumerate(values))
        )

    body = tag("tbody", *(row("td", values) for values in rows))
    return tag("div", tag("table", tag("thead", row("th", head)), body), class_="wide")
