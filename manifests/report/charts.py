"""Charts as SVG: columns, horizontal bars, a map of cells, a line. Colours come from the page's style sheet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from manifests.report.html import Html, join, tag
from manifests.report.numbers import number, short, ticks, whole

Array = NDArray[Any]
Span = tuple[float, float]

WIDTH, WIDE, HEIGHT = 400.0, 600.0, 230.0
"""Of a drawing: three beside each other on a page, or two; a unit is about a pixel."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 54.0, 10.0, 14.0, 40.0
_LEVELS: Final = 6
_BAR, _GAP = 15.0, 9.0
_LONGEST: Final = 26


@dataclass(frozen=True)
class Scale:
    """A stretch of values on a stretch of the drawing."""

    values: Span
    pixels: Span

    def __call__(self, value: float) -> float:
        (low, high), (start, end) = self.values, self.pixels
        return start + (end - start) * (value - low) / ((high - low) or 1)

    def within(self, span: Span) -> Span:
        """Pixels of a stretch of values, as far as it is on the drawing."""
        low, high = (self(max(self.values[0], min(self.values[1], end))) for end in span)
        return low, high


def columns(
    edges: Array,
    values: Array,
    across: str,
    up: str,
    promised: Span | None = None,
    written: Callable[[float], str] = short,
    described: Callable[[int], str] | None = None,
    width: float = WIDTH,
) -> Html:
    """A column for each bin [N] between its edges [N + 1]; those wholly outside what is promised stand out."""
    top = float(values.max()) if len(values) and values.max() > 0 else 1.0
    x, y = _scales((float(edges[0]), float(edges[-1])), (0, top * 1.05), width)
    whole_steps = _are_whole(edges), _are_whole(values)
    parts = [_frame(x, y, across, up, written, whole_steps)]
    for i, value in enumerate(values):
        if value > 0:
            low, high = float(edges[i]), float(edges[i + 1])
            outside = promised is not None and (high <= promised[0] + 1e-9 or low >= promised[1] - 1e-9)
            note = described(i) if described else f"{number(low)} to {number(high)}: {written(float(value))}"
            left, gap = x(low), min(1.0, 0.15 * (x(high) - x(low)))
            box = (left + gap / 2, x(high) - gap / 2), (y(0), y(float(value)))
            parts.append(_rectangle(*box, note, class_="out" if outside else "bar"))
    if promised is not None:
        begin, end = x.within(promised)
        path = f"M{begin:.1f} {_TOP - 2}v-6H{end:.1f}v6"
        note = f"promised: {number(promised[0])} to {number(promised[1])}"
        parts.append(tag("path", tag("title", note), d=path, class_="promise"))
    return _drawing((width, HEIGHT), f"{up} by {across}", parts)


def cells(
    across: Array, up: Array, counts: Array, names: tuple[str, str], promised: tuple[Span | None, Span | None]
) -> Html:
    """Counts [M, N] of the cells between edges [N + 1] across and [M + 1] up, on a ramp of their square roots, so
    that thin cells are seen beside dense ones. Empty cells are left blank; what is promised has a dashed line."""
    height = HEIGHT + 60
    x, y = _scales((float(across[0]), float(across[-1])), (float(up[0]), float(up[-1])), height=height - 22)
    most = int(counts.max()) if counts.size else 0
    parts = [_frame(x, y, *names, number)]
    for row, column in np.argwhere(counts > 0).tolist():
        left, right, bottom, top = across[column], across[column + 1], up[row], up[row + 1]
        count = int(counts[row, column])
        note = f"{number(left)} to {number(right)}, {number(bottom)} to {number(top)}: {whole(count)} clips"
        box = (x(left), x(right)), (y(bottom), y(top))
        parts.append(_rectangle(*box, note, class_="cell", fill_opacity=_strength(count, most)))
    if promised[0] is not None and promised[1] is not None:
        box = x.within(promised[0]), y.within(promised[1])
        parts.append(_rectangle(*box, "promised", class_="promise dashed"))
    parts.append(_legend(most, height - 16))
    return _drawing((WIDTH, height), f"clips by {names[0]} and {names[1]}", parts)


def bars(
    rows: Sequence[tuple[str, float, float | None]], written: Callable[[float], str] = short, width: float = WIDTH
) -> Html:
    """A bar for each (name, value, expected value), the expected one as a tick."""
    top = max([value for _, value, _ in rows] + [wanted for _, _, wanted in rows if wanted is not None] + [1e-9])
    x = Scale((0, top), (150, width - 62))
    parts = []
    for i, (name, value, wanted) in enumerate(rows):
        y = 4 + i * (_BAR + _GAP)
        note = name + f": {written(value)}" + (f", expected {written(wanted)}" if wanted is not None else "")
        label = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
        bar = tag("rect", class_="bar", x=x(0), y=y, width=max(x(value) - x(0), 0.5), height=_BAR, rx=2)
        end = x(max(value, wanted or 0)) + 6
        texts = [
            tag("text", label, class_="name", x=142, y=y + 12, text_anchor="end"),
            tag("text", written(value), class_="value", x=end, y=y + 12),
        ]
        line = [] if wanted is None else [tag("path", d=f"M{x(wanted):.1f} {y - 2}v{_BAR + 4}", class_="expected")]
        parts.append(tag("g", tag("title", note), bar, *line, *texts))
    return _drawing((width, 8 + len(rows) * (_BAR + _GAP)), "bars", parts)


def line(
    across: Array, values: Array, names: tuple[str, str], breaks: Sequence[float] = (), width: float = WIDE
) -> Html:
    """A line through (across, values) [N], with an upright mark at each break."""
    top = float(values.max()) if len(values) and values.max() > 0 else 1.0
    x, y = _scales((0, float(across[-1]) if len(across) and across[-1] > 0 else 1.0), (0, top * 1.05), width)
    points = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in zip(across.tolist(), values.tolist(), strict=True))
    parts = [_frame(x, y, *names, short, (_are_whole(across), _are_whole(values)))]
    if points:
        area = f"{x(float(across[0])):.1f},{y(0):.1f} {points} {x(float(across[-1])):.1f},{y(0):.1f}"
        parts.append(tag("polygon", points=area, class_="area"))
    parts.append(tag("polyline", points=points, class_="line"))
    parts += [tag("path", d=f"M{x(at):.1f} {_TOP}V{y(0):.1f}", class_="break") for at in breaks]
    return _drawing((width, HEIGHT), f"{names[1]} by {names[0]}", parts)


def _scales(across: Span, up: Span, width: float = WIDTH, height: float = HEIGHT) -> tuple[Scale, Scale]:
    return Scale(across, (_LEFT, width - _RIGHT)), Scale(up, (height - _BOTTOM, _TOP))


def _are_whole(values: Array) -> bool:
    return bool(np.issubdtype(values.dtype, np.integer))


def _frame(
    x: Scale,
    y: Scale,
    across: str,
    up: str,
    written: Callable[[float], str],
    whole_steps: tuple[bool, bool] = (False, False),
) -> Html:
    """Grid lines, ticks, which may have to be whole, and the names of both axes."""
    (left, right), (bottom, top) = x.pixels, y.pixels
    parts = []
    for value in ticks(*y.values, 5, whole_steps[1]):
        at = y(value)
        parts.append(tag("path", d=f"M{left} {at:.1f}H{right}", class_="grid"))
        parts.append(tag("text", written(value), x=left - 6, y=at + 3.5, text_anchor="end"))
    for value in ticks(*x.values, 7, whole_steps[0]):
        at = x(value)
        parts.append(tag("path", d=f"M{at:.1f} {bottom}v4", class_="axis"))
        parts.append(tag("text", short(value), x=at, y=bottom + 15, text_anchor="middle"))
    parts.append(tag("path", d=f"M{left} {bottom}H{right}", class_="axis"))
    parts.append(tag("text", across, class_="title", x=(left + right) / 2, y=bottom + 32, text_anchor="middle"))
    middle = (bottom + top) / 2
    turned = f"rotate(-90 9 {middle:.1f})"
    parts.append(tag("text", up, class_="title", x=9, y=middle + 3, text_anchor="middle", transform=turned))
    return tag("g", *parts)


def _rectangle(across: Span, up: Span, note: str, **attributes: object) -> Html:
    """Between two stretches of pixels; `up` is from bottom to top."""
    width, height = across[1] - across[0], up[0] - up[1]
    return tag("rect", tag("title", note), x=across[0], y=up[1], width=width, height=height, **attributes)


def _legend(most: int, y: float) -> Html:
    """The ramp of a map: each level with the least count that has it."""
    parts = [tag("text", "clips", x=_LEFT, y=y + 9)]
    levels = sorted({max(1, round(most * (i / (_LEVELS - 1)) ** 2)) for i in range(_LEVELS)}) if most else []
    for i, count in enumerate(levels):
        x = _LEFT + 34 + i * 52
        parts.append(tag("rect", class_="cell", x=x, y=y, width=12, height=10, fill_opacity=_strength(count, most)))
        parts.append(tag("text", short(count), x=x + 16, y=y + 9))
    return tag("g", *parts)


def _strength(count: int, most: int) -> float:
    return 0.12 + 0.88 * (count / most) ** 0.5


def _drawing(size: tuple[float, float], described: str, parts: Sequence[Html]) -> Html:
    return tag("svg", join(parts), viewBox=f"0 0 {size[0]:.0f} {size[1]:.0f}", role="img", aria_label=described)
