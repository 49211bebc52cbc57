"""Numbers of annotation files to whole 65,536ths of a pixel.

They are read as float64, whose arithmetic every machine rounds alike. Of decimals with up to six digits
behind the point, in images of up to 65,536 pixels a side, that gives what exact arithmetic would.
"""

from __future__ import annotations

import math
import reprlib
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from augment.targets import UNIT

FARTHEST = 1 << 24
"""No place is farther from an image's corner, in pixels: what is would be nonsense."""


class BadAnnotation(ValueError):
    """What is wrong with what a file says of one image, as the predicate of a sentence about it."""


def number(given: Any, what: str) -> float:
    """A number of a JSON file, or of a table's. Raises BadAnnotation."""
    if type(given) is Decimal:
        given = float(given)
    elif type(given) is not float and type(given) is not int:
        raise BadAnnotation(f"{what} is {shown(given)}, no number")
    if not -FARTHEST <= given <= FARTHEST:
        raise _outside(given, what)
    return given


def number_in(text: str, what: str) -> float:
    """A number of a text file. Raises BadAnnotation."""
    try:
        given = float(text.replace("_", "?"))  # which Python's own numbers may have
    except ValueError:
        raise BadAnnotation(f"{what} is {shown(text)}, no number") from None
    if not -FARTHEST <= given <= FARTHEST:
        raise _outside(text, what)
    return given


def units(pixels: float) -> int:
    """Pixels as the nearest whole 65,536ths, halves up."""
    return math.floor(pixels * UNIT + 0.5)


def shown(given: Any) -> str:
    """Something of a file within a sentence, where it may be long."""
    if isinstance(given, str):
        text = repr(given[:50])
    else:  # of a list or an object, no more than its beginning is looked at
        text = str(given) if isinstance(given, Decimal) else reprlib.repr(given)
    return text if len(text) <= 40 else f"{text[:40]}..."


def is_text(text: str) -> bool:
    """Whether it can be written down: escapes of JSON and YAML may be halves of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def first_of_two(names: Iterable[str]) -> str | None:
    """The first name that is there twice."""
    return next((name for name, count in Counter(names).items() if count > 1), None)


def _outside(given: Any, what: str) -> BadAnnotation:
    return BadAnnotation(f"{what} is {shown(given)}, which is no place in an image")
