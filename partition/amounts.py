"""Amounts for people, in one style everywhere: SI prefixes, five digits; a megabyte is 1,000,000 bytes."""

from __future__ import annotations

import math

LEAST_GAP = 1e-6
"""Gaps below this are not told apart from rounding."""


def time_text(value: float, unit: str = "s", *, least: float = 0.0) -> str:
    """A time; units other than the second are those of a file and are left as they are.

    Parameters
    ----------
    least : values up to this are rounding and shown as 0.
    """
    if not value > least:
        return "0"
    if value == math.inf:
        return "without end"
    if unit != "s":
        return f"{value:.5g}"
    return _scaled(value, ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")))


def bytes_text(value: float) -> str:
    """Bytes as GB, MB, kB or B, powers of a thousand."""
    if value == math.inf:
        return "unlimited"
    return _scaled(value, ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))) if value >= 1000 else f"{value:.0f} B"


def gap_text(gap: float) -> str:
    """A relative gap in percent."""
    if math.isnan(gap):
        return "-"
    return "< 0.0001%" if 0 < gap < LEAST_GAP else percent_text(gap)


def percent_text(share: float) -> str:
    """A share in percent, three digits."""
    return f"{100 * share:.3g}%"


def _scaled(value: float, units: tuple[tuple[float, str], ...]) -> str:
    scale, unit = next((u for u in units if value >= u[0] * (1 - 5e-6)), units[-1])
    shown = value / scale
    digits = max(0, 4 - max(0, math.floor(math.log10(shown)))) if shown > 0 else 0
    return f"{shown:.{digits}f} {unit}"
