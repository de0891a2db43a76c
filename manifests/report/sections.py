"""What stands in each section of the page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np

from manifests.audit.report import AuditReport
from manifests.corpus import Corpus
from manifests.licences import corpus_assets
from manifests.reader import CorpusReader
from manifests.report import charts, plots, promises, runs
from manifests.report.findings import verdict
from manifests.report.html import Html, join, tag
from manifests.report.numbers import percent, short, size, whole
from manifests.report.parts import figure, note, plural, table
from manifests.report.tally import COUNTED, Tally
from manifests.status import duration
from manifests.text import shown

MOST_SOURCES: Final = 20
"""Of a view, that are told apart."""
_MOST_BARS: Final = 12
_MOST_RUNS_SHOWN: Final = 30
_MOST_CONFIG: Final = 200_000
_MOST_SOFTWARE: Final = 50
_MOST_ASSETS: Final = 200
_COUNT_TITLES: Final = {
    "split": "Split",
    "recipe": "Recipe",
    "template": "Template",
    "ancestry": "Main ancestry",
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
            tag("p", sources, *verdict(audit), class_="lead"),
            _unread(tally),
            tag("dl", *(_tile(*tile) for tile in tiles), class_="tiles"),
        ]
    )


def _unread(tally: Tally) -> Html:
    """What stands above everything if the numbers below are not those of the whole corpus."""
    if not tally.damaged_files:
        return Html("")
    lacking = plural(tally.damaged_files, "file") + " of the manifest cannot be read, and nothing of "
    lacking += "it is in this report" if tally.damaged_files == 1 else "them is in this report"
    if not tally.clips:
        lacking = f"No clip is shown: {lacking}"
    return note(f"{lacking}. {tally.damaged[0]}. Run factorportrait audit, then factorportrait reindex.", "error")


def parameters(tally: Tally, corpora: Sequence[Corpus]) -> Html:
    """Histograms and maps against what the configuration promises."""
    legend = note(
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
        told = "clips; the tick is what the weights let expect" if expected else "clips"
        figures.append(figure(_COUNT_TITLES[name], told, charts.bars(rows)))
    return tag("div", *figures, class_="figures")


def throughput(records: Sequence[tuple[str, Sequence[runs.Run]]]) -> Html:
    """For each source: clips done and clips an hour, over hours of work; and its runs."""
    parts: list[Html] = []
    for name, found in records:
        if len(records) > 1:
            parts.append(tag("h3", name))
        measured = runs.throughput(found)
        if measured is None:
            parts.append(note("The log holds no run whose speed could be told."))
        else:
            # Few people think in thousandths of an hour, or in thousands of hours.
            unit, scale = next((item for item in _UNITS if measured.hours[-1] * item[1] >= 3), _UNITS[-1])
            across, breaks = f"{unit} of work", [at * scale for at in measured.breaks]
            done = charts.line(measured.hours * scale, measured.clips, (across, "clips done"), breaks)
            rate = charts.line(measured.middles * scale, measured.rate, (across, "clips an hour"), breaks)
            figures = figure("Clips done", "in these runs", done), figure("Clips an hour", "as they went", rate)
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
        parts.append(table(head, rows, numeric=(1, 2, 3, 4, 5)) if rows else Html(""))
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
        stretches.edges, mean / scale, "shard", f"{unit} a shard", described=described, width=charts.WIDE
    )
    told = f"{whole(tally.shards)} shards with rows, {size(tally.bytes / max(tally.shards, 1))} on average"
    kinds = charts.bars(
        [(kind, count, None) for kind, count in tally.member_bytes.most_common(_MOST_BARS)], size, charts.WIDE
    )
    figures = figure("By kind of member", "all views together", kinds), figure("By shard", told, chart)
    head = ("Member", "Files", "Bytes", "Share", "Each")
    return join([tag("div", *figures, class_="figures two"), table(head, rows, numeric=(1, 2, 3, 4))])


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
        parts.append(note(f"And {whole(len(reader.sources) - MOST_SOURCES)} more corpora."))
    rows = [(name, sha256, licence) for (name, sha256), licence in heads.items()]
    parts += [tag("h3", "Head models in the rows"), table(("Head", "SHA-256 of its file", "Licence"), rows)]
    return join(parts)


def licences(corpora: Sequence[Corpus], heads: Mapping[tuple[str, str], str]) -> Html:
    """Every asset and program that shaped the clips, and its terms."""
    rows: list[tuple[str, ...]] = [
        ("head", name, f"{sha256[:12]}…", licence, "geometry of every person")
        for (name, sha256), licence in heads.items()
    ]
    others = dict.fromkeys(asset for corpus in corpora[:MOST_SOURCES] for asset in corpus_assets(corpus))
    for asset in sorted(others, key=lambda asset: (asset.kind != "world map", asset.name, asset.version)):
        rows.append((asset.kind, *(shown(text) for text in (asset.name, asset.version, asset.licence, asset.note))))
    return table(("Kind", "Asset", "Version", "Licence", "Note"), rows[:_MOST_ASSETS])


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


def _rows(found: Counter[str], expected: Mapping[str, float] | None) -> list[tuple[str, float, float | None]]:
    names = sorted(set(found) | set(expected or ()), key=lambda name: (-found[name], name))[:_MOST_BARS]
    return [(name, found[name], (expected or {}).get(name)) for name in names]


def _tile(title: str, value: str, note: str) -> Html:
    return tag("div", tag("dt", title), tag("dd", value), tag("dd", note, class_="small"))
