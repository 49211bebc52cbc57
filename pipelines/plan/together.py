"""Which sources a split must not tear, where it is their pictures that say so.

Each source has a node: its group by `--group-by`, or else its picture. Pictures that are equal, or near each
other, join their nodes, and what is joined is joined on: a set of nodes goes by its least name, whatever
the order in which they met. So memory holds the nodes that were joined with others, and no others.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from augment import codec
from augment.augmenter import CORES
from pipelines import storage
from pipelines.plan.order import split_of
from pipelines.sources import Source, read_source
from pipelines.sources.likeness import bands, near_pairs, picture_code
from pipelines.sources.reading import rejected

ATTEMPTS = 3


class Seen(NamedTuple):
    """A source that was looked at."""

    source: Source
    node: str
    content: str
    """SHA-256 of its file; empty for one that cannot be used"""
    code: bytes | None
    """of its picture, if that has one"""


class Alike(NamedTuple):
    """What those who meet under one key have to compare."""

    node: str
    code: bytes | None

    def packed(self) -> bytes:
        """In few bytes, for each source passes a shuffle under as many keys as a code has bands."""
        code = self.code or b""
        return bytes([len(code)]) + code + (b"" if self.node == code.hex() else self.node.encode())

    @classmethod
    def unpacked(cls, packed: bytes) -> Alike:
        code, node = packed[1 : 1 + packed[0]], packed[1 + packed[0] :]
        return cls(node.decode() if node else code.hex(), code or None)


def see(root: str, source: Source, group: str | None) -> Seen:
    """Reads a source and looks at its picture. Raises OSError if it cannot be read."""
    unusable = Seen(source, group or f"source {source.id}", "", None)
    try:
        contents = _read(root, source)
    except OSError as error:
        if rejected(source.id, error):
            return unusable
        raise OSError(
            error.errno,
            f"{source.id}: it cannot be read ({storage.reason(error)}), so it is not known what it is a "
            "duplicate of; make it readable, and run the same command again",
        ) from None
    try:
        code = picture_code(codec.decode(contents, 3))
    except codec.DecodeError:
        return unusable
    content = hashlib.sha256(contents).hexdigest()
    return Seen(source, group or (code.hex() if code else content), content, code)


def _read(root: str, source: Source) -> bytes:
    for attempt in range(1, ATTEMPTS):
        try:
            return read_source(root, source.where)
        except OSError as error:
            if rejected(source.id, error):
                raise
        time.sleep(attempt / 10)
    return read_source(root, source.where)


def meeting_places(seen: Seen) -> Iterator[tuple[bytes, Alike]]:
    """Keys under which a source meets all that are equal to it or near."""
    if seen.code:
        for number, bits in bands(seen.code):
            yield bytes([number]) + bits.to_bytes(2, "big"), Alike(seen.node, seen.code)
    elif seen.content:
        yield bytes.fromhex(seen.content), Alike(seen.node, None)


def joined_nodes(met: Iterable[Alike]) -> Iterator[tuple[str, str]]:
    """Pairs of nodes that are to be joined, of those that met under one key."""
    of_code: dict[bytes | None, str] = {}
    for one in met:
        node = of_code.setdefault(one.code, one.node)
        if node != one.node:
            yield node, one.node
    codes = sorted(code for code in of_code if code is not None)
    for first, second in near_pairs(codes):
        if of_code[codes[first]] != of_code[codes[second]]:
            yield of_code[codes[first]], of_code[codes[second]]


class Joined:
    """Nodes that were joined. Two of them add up in any order."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def least(self, node: str) -> str:
        """The name by which the set of a node goes."""
        top = node
        while (above := self._above.get(top, top)) != top:
            top = above
        while node != top:  # so that the way is short the next time
            self._above[node], node = top, self._above[node]
        return top

    def join(self, first: str, second: str) -> None:
        low, high = sorted((self.least(first), self.least(second)))
        if low != high:
            self._above[high] = low

    def merge(self, other: Joined) -> Joined:
        for node, above in other._above.items():
            self.join(node, above)
        return self


def resplit(seen: Seen, joined: Joined, fractions: dict[str, str]) -> Source:
    """The source in the split of its set."""
    return seen.source._replace(split=split_of(joined.least(seen.node), fractions))


def join_seen(seen: Iterable[Seen]) -> Joined:
    """What belongs together of sources that are all at hand."""
    met: dict[bytes, list[Alike]] = {}
    for one in seen:
        for key, alike in meeting_places(one):
            met.setdefault(key, []).append(alike)
    joined = Joined()
    for some in met.values():
        for first, second in joined_nodes(some) if len(some) > 1 else ():
            joined.join(first, second)
    return joined


def see_all(root: str, sources: Iterable[tuple[Source, str | None]]) -> tuple[list[Seen], Joined]:
    """Looks at sources, each with its group, if there are groups, and joins what belongs together."""
    with ThreadPoolExecutor(CORES) as pool:
        seen = list(pool.map(lambda one: see(root, *one), sources))
    return seen, join_seen(seen)
