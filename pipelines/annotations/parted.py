"""More things than memory holds, brought together by what they belong to, with a file in between."""

from __future__ import annotations

import tempfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from pipelines.packets import Packets, things_of


class Parted:
    """Takes things with their keys, in any order, and gives them back key by key: a hash join's way.

    Memory holds a packet of things and, later, one part of all; the others wait where temporary files lie.
    Usable within `with`, once. Raises OSError if there is no room for them.
    """

    def __init__(self, parts: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="augshard-", ignore_cleanup_errors=True)
        self._packets = Packets[int](self._folder.name)
        self._parts: list[list[bytes]] = [[] for _ in range(parts)]

    def __enter__(self) -> Parted:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def add(self, key: str, thing: Any, size: int) -> None:
        """Takes what can be pickled, of about `size` bytes."""
        part = zlib.crc32(key.encode()) % len(self._parts)
        for full, packet in self._packets.add(part, (key, thing), size):
            self._parts[full].append(packet)

    def by_key(self) -> Iterator[tuple[str, list[Any]]]:
        """Each key with its things, in the order in which they came."""
        for part, packet in self._packets.rest():
            self._parts[part].append(packet)
        for packets in self._parts:
            found: dict[str, list[Any]] = defaultdict(list)
            for key, thing in things_of(packets):
                found[key].append(thing)
            yield from found.items()
