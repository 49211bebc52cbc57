"""What stands behind options of the command line that say what a plan is to be."""

from __future__ import annotations

import decimal
import re
from fractions import Fraction
from typing import Literal

from augment.errors import RequestError
from pipelines.format.bounds import MOST_COPIES, MOST_SHARD_BYTES

_LEAST = decimal.Decimal("1e-28")  # the digits of decimal arithmetic


def parse_fractions(text: str) -> dict[str, str]:
    """`train=0.8,validation=0.2` as exact decimals by split.

    Raises RequestError if they are not parts of one whole.
    """
    fractions: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        try:
            share = decimal.Decimal(value.strip())
        except decimal.InvalidOperation:
            share = decimal.Decimal("nan")
        name = name.strip()
        if not equals or not name or not share.is_finite() or not _LEAST <= share <= 1:
            raise RequestError(
                f"--split-fractions: {part.strip()!r} is not a split with its part of the images, "
                "such as train=0.8"
            )
        if len(share.normalize().as_tuple().digits) > 28:
            raise RequestError(f"--split-fractions: {part.strip()!r} has more than 28 digits")
        if name in fractions:
            raise RequestError(f"--split-fractions names {name!r} twice")
        fractions[name] = format(share.normalize(), "f")
    total = sum(map(Fraction, fractions.values()))
    if total != 1:
        shown = format(sum(map(decimal.Decimal, fractions.values())), "f")
        raise RequestError(f"--split-fractions {text!r} add up to {shown}; they must add up to 1")
    return fractions


_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def parse_bytes(text: str) -> int:
    """`128MiB` as a number of bytes. Raises RequestError."""
    match = re.fullmatch(r"\s*(\d{1,18}(?:\.\d{1,18})?)\s*([A-Za-z]*)\s*", text)
    size = float(match[1]) * _UNITS.get(match[2].lower(), 0) if match else 0
    if not 1 <= size <= MOST_SHARD_BYTES:
        raise RequestError(f"--shard-size is {text!r}; it must be a size such as 128MiB or 1GB")
    return int(size)


def parse_copies(text: str | None) -> tuple[int, dict[str, int] | None]:
    """`3`, or by class `rare=20,common=2`, in which a number alone is for the classes that are not named.

    The number for those, 1 where nothing is said, and the numbers by class, None where all get the same.
    Raises RequestError if it is neither, or leaves no copy at all.
    """
    every, by_class = None, dict[str, int]()
    for part in ("1" if text is None else text).split(","):
        name, equals, number = part.rpartition("=")
        label = name.strip()
        whole = re.fullmatch(r"\s*-?[0-9]{1,9}\s*", number)
        if not whole or (equals and not label) or (not equals and every is not None):
            raise RequestError(
                f"--copies: {part.strip()!r} is not a number of copies, such as 3, nor a class with "
                "its number, such as rare=20"
            )
        copies, least = int(number), 0 if equals else 1
        if not least <= copies <= MOST_COPIES:
            raise RequestError(f"--copies is {copies}; it must be from {least} to {MOST_COPIES}")
        if label in by_class:
            raise RequestError(f"--copies names class {label!r} twice")
        if equals:
            by_class[label] = copies
        else:
            every = copies
    return 1 if every is None else every, by_class or None


def parse_balance(text: str | None, copies: str | None) -> Literal["max"] | int | None:
    """`max`, or the number of samples of each class. Raises RequestError if it is neither.

    `copies` is what is said beside it: how many copies the largest class gets, with `max` alone.
    """
    if text is None:
        return None
    if copies is not None and (text != "max" or not copies.strip().isdigit()):
        raise RequestError(
            f"--balance {text}: with --copies {copies}, both say how many copies classes get; leave one of "
            "them out (with --balance max, --copies may be a number: the copies of the largest class)"
        )
    if text == "max":
        return "max"
    if not re.fullmatch(r"[1-9][0-9]{0,11}", text):
        raise RequestError(f"--balance is {text!r}; it must be max, or the number of samples of each class")
    return int(text)
