"""Places of an annotation in the digits that a format has: exact, and half of a digit is rounded up."""

from __future__ import annotations

from augment.targets import UNIT


def hundredths(value: int, unit: int = UNIT) -> int | float:
    """Of a number in units: two digits behind the point, or as few as say the same."""
    count = (200 * value + unit) // (2 * unit)
    return count // 100 if count % 100 == 0 else count / 100


def millionths(value: int, of: int) -> str:
    """`0.250000`: which part of a whole it is, from 0 to 1."""
    count = min(max((2_000_000 * value + of) // (2 * of), 0), 1_000_000)
    return f"{count // 1_000_000}.{count % 1_000_000:06d}"
