"""Numbers as a person reads them, and round ticks for an axis."""

from __future__ import annotations

import math


def whole(count: int) -> str:
    """``12,345``."""
    return f"{count:,}"


def short(value: float) -> str:
    """At most four characters and a unit: ``950``, ``12.3k``, ``1.2M``; ``0.05`` and ``−2.5`` as they are."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return number(value / (1e3 if unit == "k" else size)) + unit
    return number(value)


def number(value: float) -> str:
    """Three significant digits, without an exponent where that is short, and a true minus sign."""
    if not math.isfinite(value):
        return "—"
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}" if digits < 7 else f"{value:.2e}"
    return (text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text).replace("-", "−")


def size(count: float) -> str:
    """Bytes in decimal units: ``6.89 MB``."""
    for least, unit in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= least:
            return f"{number(count / least)} {unit}"
    return f"{number(count)} B"


def percent(part: float, total: float) -> str:
    return f"{number(100 * part / total)} %" if total else "—"


def ticks(low: float, high: float, most: int, whole_steps: bool = False) -> list[float]:
    """Round values within [low, high], up to about `most`; steps are 1, 2 or 5 times a power of ten, and no less
    than 1 if they are to be whole."""
    if not high > low:
        return [low]
    rough = max((high - low) / most, 1.0 if whole_steps else 0.0)
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]
