"""How numbers are written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np


def count(number: int) -> str:
    return f"{number:,}"


def counted(number: int, what: str) -> str:
    """`1 finding`, `2 findings`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def part_of(number: int, whole: int) -> str:
    return f"{number:,} of {whole:,}"


def short(value: Any) -> str:
    """A number as it stands on axes and under pictures, NumPy's too; yes or no."""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    whole = abs(value) < 1e6 and value == int(value)
    return f"{int(value)}" if whole else f"{value:.3g}"


def within(ends: tuple[float, float], value: float) -> str:
    """A number among those from one to another: with four digits of their distance, and no more."""
    span = max(ends[1] - ends[0], abs(ends[1]) / 1000, 1e-12)
    digits = max(3 - math.floor(math.log10(span)), 0)
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def percent(value: float | None, digits: int = 1) -> str:
    """A part of one."""
    return "" if value is None else f"{100 * value:.{digits}f} %"


def signed(value: float, digits: int = 2) -> str:
    """With its sign, unless nothing is left of it."""
    text = f"{value:+.{digits}f}"
    return (text if float(text) else text[1:]).replace("-", "−")


def size(number: int) -> str:
    """Bytes."""
    return f"{number / 1e6:,.1f} MB" if number >= 1e5 else f"{number / 1e3:,.1f} kB"


def seconds(value: float) -> str:
    return f"{value:,.0f} s" if value >= 100 else f"{value:.3g} s"


def chance(p: float) -> str:
    """A probability, which may be very small."""
    return "1" if p >= 1 else f"{p:.2f}" if p >= 0.01 else f"{p:.0e}" if p > 1e-99 else "< 1e-99"


def listed(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
