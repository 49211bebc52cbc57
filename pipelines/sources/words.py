"""Lists of names within sentences."""

from __future__ import annotations

from collections.abc import Collection, Mapping

MOST = 8
"""Names that are listed before the rest is counted."""


def listed(names: Collection[str]) -> str:
    """`'a', 'b' and 'c'`, or the first of many and how many more there are; `none`."""
    if not names:
        return "none"
    shown = [repr(name) for name in list(names)[:MOST]]
    more = len(names) - len(shown)
    if more:
        return f"{', '.join(shown)} and {more:,} more"
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def named(noun: str, names: Collection[str], plural: str = "") -> str:
    """`folder 'a'`, `folders 'a' and 'b'`."""
    return f"{noun if len(names) == 1 else plural or noun + 's'} {listed(names)}"


def counted(kinds: Mapping[str, int]) -> str:
    """`12 .txt, 3 @eaDir`, the most first."""
    ordered = sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))
    shown = [f"{count:,} {kind}" for kind, count in ordered[:MOST]]
    rest = sum(count for _, count in ordered[MOST:])
    return ", ".join([*shown, *([f"{rest:,} of other kinds"] if rest else [])])
