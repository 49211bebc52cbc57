"""Numbers of annotation files to whole 65,536ths of a pixel, with nothing lost on the way."""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

from augment.targets import UNIT

FARTHEST = 1 << 24
"""No place is farther from an image's corner, in pixels: what is would be nonsense."""

as_decimal = Context(prec=60, Emin=-60, Emax=60, traps=[]).create_decimal
"""Of a text, however long: NaN for what is no number, and infinite for what is too large."""


class BadAnnotation(ValueError):
    """What is wrong with what a file says of one image, as the predicate of a sentence about it."""


def number(given: Any, what: str) -> int | Decimal:
    """A number of a JSON file, whose fractions were read by `as_decimal`. Raises BadAnnotation."""
    # JSON's own NaN and infinities are floats.
    if isinstance(given, bool) or not isinstance(given, int | Decimal):
        raise BadAnnotation(f"{what} is {shown(given)}, no number")
    return _within(given, what, given)


def decimal(text: str, what: str) -> Decimal:
    """A number of a text file. Raises BadAnnotation."""
    given = as_decimal(text)
    if given.is_nan():
        raise BadAnnotation(f"{what} is {shown(text)}, no number")
    _within(given, what, text)
    return given


def units(pixels: int | Decimal | Fraction) -> int:
    """Pixels as the nearest whole 65,536ths, halves up."""
    numerator, denominator = pixels.as_integer_ratio()
    return (2 * UNIT * numerator + denominator) // (2 * denominator)


def shown(given: Any) -> str:
    """Something of a file within a sentence, where it may be long."""
    text = str(given) if isinstance(given, int | Decimal) else repr(given)
    return text if len(text) <= 40 else f"{text[:40]}..."


def _within(given: int | Decimal, what: str, said: Any) -> int | Decimal:
    if not -FARTHEST <= given <= FARTHEST:
        raise BadAnnotation(f"{what} is {shown(said)}, which is no place in an image")
    return given
