"""More things than memory holds, brought together by what they belong to, with a file in between."""

from __future__ import annotations

import io
import pickle
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from types import TracebackType
from typing import Any

_HELD = 1 << 22
"""So many bytes are held before they go to the file, which a few thousand annotations never need."""


class Parted:
    """Takes things with their keys, in any order, and gives them back key by key: a hash join's way.

    Memory holds `_HELD` bytes and, later, one part of all things; the file has the others, and lies where
    temporary files do. Usable within `with`, once.
    """

    def __init__(self, parts: int) -> None:
        self._held = [bytearray() for _ in range(parts)]
        self._bytes = 0
        self._places: list[list[tuple[int, int]]] = [[] for _ in range(parts)]
        """of each part where in the file it is: first byte and length"""
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (`__exit__` closes it)

    def __enter__(self) -> Parted:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, key: str, thing: Any) -> None:
        """Raises OSError if there is no room for it."""
        packed = pickle.dumps((key, thing), pickle.HIGHEST_PROTOCOL)
        self._held[zlib.crc32(key.encode()) % len(self._held)] += packed
        self._bytes += len(packed)
        if self._bytes > _HELD:
            self._release()

    def by_key(self) -> Iterator[tuple[str, list[Any]]]:
        """Each key with its things, in the order in which they came."""
        for held, places in zip(self._held, self._places, strict=True):
            content = bytearray()
            for begin, length in places:
                self._file.seek(begin)
                content += self._file.read(length)
            content += held
            held.clear()
            yield from _grouped(content).items()

    def _release(self) -> None:
        self._file.seek(0, io.SEEK_END)
        for held, places in zip(self._held, self._places, strict=True):
            places.append((self._file.tell(), len(held)))
            self._file.write(held)
            held.clear()
        self._bytes = 0


def _grouped(content: bytearray) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    file = io.BytesIO(content)
    while file.tell() < len(content):
        key, thing = pickle.load(file)  # noqa: S301 (it is of our own making)
        found[key].append(thing)
    return found
