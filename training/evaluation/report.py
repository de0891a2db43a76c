"""An evaluation in figures: JSON, Markdown, and a page with the videos."""

from __future__ import annotations

import dataclasses
import html
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from training.evaluation.evaluate import GENERATED, REFERENCE, TRUTH, Evaluation, Measured
from training.evaluation.metrics import METRICS
from training.measures import Interval, mean_interval

JSON: Final = "evaluation.json"
_KINDS: Final = (GENERATED, TRUTH, REFERENCE)
_YAW_BINS_DEG: Final = ((0, 20), (20, 45), (45, 90), (90, 181))
_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}"
    ":root{color-scheme:light dark}table{border-collapse:collapse;margin:1rem 0}"
    "td,th{padding:.25rem .75rem;text-align:left;border-bottom:1px solid #8886}"
    "figure{display:inline-block;margin:.5rem}video{max-width:100%;image-rendering:pixelated}"
)


def summary(takes: tuple[Measured, ...], kind: str) -> dict[str, Interval]:
    """Mean and interval of each metric that was measured of videos of a kind."""
    out = {}
    for name in METRICS:
        values = [take.values[kind][name] for take in takes if name in take.values.get(kind, {})]
        values = [value for value in values if math.isfinite(value)]
        if values:
            out[name] = mean_interval(values)
    return out


def groups(evaluation: Evaluation) -> Iterator[tuple[str, tuple[Measured, ...]]]:
    """All takes, those of each recipe, and those of each range of yaw, that are not empty."""
    yield "all", evaluation.takes
    recipes = sorted({take.recipe for take in evaluation.takes})
    for recipe in recipes if len(recipes) > 1 else ():
        yield re.sub(r"[^\w .-]", "_", recipe), tuple(take for take in evaluation.takes if take.recipe == recipe)
    for low, high in _YAW_BINS_DEG:
        some = tuple(take for take in evaluation.takes if low <= take.yaw_deg < high)
        if some and len(some) < len(evaluation.takes):
            yield f"yaw {low} to {min(high, 180)} degrees", some


def to_json(evaluation: Evaluation) -> str:
    """Of everything; what is not finite is null."""
    figures = {
        name: {
            kind: {metric: dataclasses.asdict(interval) for metric, interval in summary(takes, kind).items()}
            for kind in _KINDS
        }
        for name, takes in groups(evaluation)
    }
    content = {
        "protocol": evaluation.protocol,
        "corpus": evaluation.corpus,
        "split": evaluation.split,
        "summary": figures,
        "frechet": _finite(evaluation.frechet),
        "frechet samples": evaluation.frechet_samples,
        "takes": [_finite(dataclasses.asdict(take)) for take in evaluation.takes],
        "not measured": evaluation.not_measured,
        "metrics": {name: dataclasses.asdict(metric) for name, metric in METRICS.items()},
    }
    return json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n"


def to_markdown(evaluation: Evaluation) -> str:
    """Tables of all, of each recipe and each range of yaw."""
    lines = [
        f"Protocol {evaluation.protocol}, {len(evaluation.takes)} clips of split {evaluation.split}. Mean and 95 % "
        "bootstrap interval over clips.",
        "",
    ]
    overall = {kind: summary(evaluation.takes, kind) for kind in _KINDS}
    shown = [name for name in METRICS if any(name in of for of in overall.values())]
    lines += ["| metric | generated | rendered truth | copied portrait |", "| --- | --- | --- | --- |"]
    for name in shown:
        metric = METRICS[name]
        better = "higher is better" if metric.higher_is_better else "lower is better"
        words = ", ".join(part for part in (metric.unit, better) if part)
        cells = " | ".join(str(of[name]) if name in of else "" for of in overall.values())
        lines.append(f"| {metric.words} ({words}) | {cells} |")
    if evaluation.frechet:
        distances = (f"{evaluation.frechet[kind]:.2f}" if kind in evaluation.frechet else "" for kind in _KINDS)
        lines.append(f"| Fréchet distance (lower is better) | {' | '.join(distances)} |")
    rest = list(groups(evaluation))[1:]
    if rest:
        lines += ["", f"| generated | clips | {' | '.join(METRICS[name].words for name in shown)} |"]
        lines.append("| --- | --- |" + " --- |" * len(shown))
        for group, takes in rest:
            of = summary(takes, GENERATED)
            cells = " | ".join(f"{of[name].mean:.2f}" if name in of else "" for name in shown)
            lines.append(f"| {group} | {len(takes)} | {cells} |")
    if evaluation.not_measured:
        lines += ["", "Not measured: " + "; ".join(f"{k} ({why})" for k, why in evaluation.not_measured.items()) + "."]
    lines += ["", *(f"- {METRICS[name].words}: {METRICS[name].definition}." for name in shown)]
    if evaluation.frechet:
        lines.append(
            "- Fréchet distance: of the feature network's features to those of the rendered videos, as Gaussians, of "
            f"{evaluation.frechet_samples} samples each (Heusel et al., 2017); few samples make it large, so compare "
            "it at equal numbers."
        )
    return "\n".join(lines) + "\n"


def to_html(evaluation: Evaluation, videos: dict[str, str]) -> str:
    """A page of the same, with videos: take's name -> file beside the page."""
    rows = "".join(_table(block) for block in to_markdown(evaluation).split("\n\n"))
    figures = "".join(
        f'<figure><video src="{html.escape(videos[take.name], quote=True)}" autoplay loop muted playsinline controls>'
        f"</video><figcaption>{html.escape(take.name)}<br>{html.escape(_figures(take))}</figcaption></figure>"
        for take in evaluation.takes
        if take.name in videos
    )
    title = f"{evaluation.protocol}: {evaluation.corpus}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1>{rows}{figures}</html>\n"
    )


def write_evaluation(evaluation: Evaluation, out: Path, videos: dict[str, str]) -> None:
    """``evaluation.json``, ``.md`` and ``.html`` in a folder."""
    out.mkdir(parents=True, exist_ok=True)
    (out / JSON).write_text(to_json(evaluation))
    (out / "evaluation.md").write_text(to_markdown(evaluation))
    (out / "evaluation.html").write_text(to_html(evaluation, videos))


def _table(block: str) -> str:
    """One block of our own Markdown: a table, a list or a paragraph."""
    lines = [line for line in block.split("\n") if line]
    if lines and lines[0].startswith("| "):
        cells = [[html.escape(cell.strip()) for cell in line.strip("|").split("|")] for line in lines]
        head = "".join(f"<th>{cell}</th>" for cell in cells[0])
        body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in cells[2:])
        return f"<table><tr>{head}</tr>{body}</table>"
    if lines and lines[0].startswith("- "):
        return "<ul>" + "".join(f"<li>{html.escape(line[2:])}</li>" for line in lines) + "</ul>"
    return f"<p>{html.escape(' '.join(lines))}</p>"


def _figures(take: Measured) -> str:
    found = take.values[GENERATED]
    known = [name for name in METRICS if math.isfinite(found.get(name, math.nan))]
    return ", ".join(f"{METRICS[name].words} {found[name]:.2f}" for name in known)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
