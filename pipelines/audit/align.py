"""Two orders of the same names, and how one came of the other: what was removed, repeated, moved."""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Alignment:
    """How records found stand to the rows that describe them, by their numbers."""

    pairs: list[tuple[int, int]]
    """record and its row"""
    repeated: list[int]
    """records whose source came before"""
    stray: list[int]
    """records without a row"""
    missing: list[int]
    """rows without a record"""
    moved: list[tuple[int, int]]
    """pairs that stand elsewhere: the fewest that, put back, would restore the order"""


def align(found: Sequence[str | None], expected: Sequence[str], *, whole: bool) -> Alignment:
    """Finds each record's row.

    Args:
        found: the sources of the records; None of one that cannot be read, which is taken
            for its number's row if no other record is.
        expected: the sources of the rows, each once.
        whole: whether all records could be read; else rows after the last are not missing.
    """
    row_of = {source: row for row, source in enumerate(expected)}
    named = set(found)
    pairs: list[tuple[int, int]] = []
    repeated, stray = [], []
    seen: set[str] = set()
    for number, source in enumerate(found):
        if source is None and number < len(expected) and expected[number] not in named:
            source = expected[number]
        if source is None:
            continue  # what is wrong with it was said when it was read
        if source in seen:
            repeated.append(number)
        elif source not in row_of:
            stray.append(number)
        else:
            pairs.append((number, row_of[source]))
        seen.add(source)
    there = {row for _, row in pairs}
    last = len(expected) if whole else len(found)
    missing = [row for row in range(last) if row not in there] if len(there) < last else []
    kept = longest_rising([row for _, row in pairs])
    moved = [] if len(kept) == len(pairs) else [pair for i, pair in enumerate(pairs) if i not in kept]
    return Alignment(pairs, repeated, stray, missing, moved)


def longest_rising(values: Sequence[int]) -> set[int]:
    """The positions of a longest strictly rising subsequence."""
    ends: list[int] = []  # of the best subsequence of each length: its last value
    at: list[int] = []  # and that value's position
    before: list[int] = []
    for position, value in enumerate(values):
        length = bisect.bisect_left(ends, value)
        before.append(at[length - 1] if length else -1)
        ends[length : length + 1] = [value]
        at[length : length + 1] = [position]
    kept = set()
    position = at[-1] if at else -1
    while position >= 0:
        kept.add(position)
        position = before[position]
    return kept
