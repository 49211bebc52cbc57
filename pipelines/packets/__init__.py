"""Several things as one element of a pipeline, whose contents may wait on disk.

For an element a runner's tables take more room than most things have themselves, and more time to hand it on.
A runner that keeps these tables in memory, on the machine where the workers are, can spare them the contents.
"""

from __future__ import annotations

import os
import pickle
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

Key = TypeVar("Key")

WAITING = ".waiting"
"""How the files are called in which contents wait, at the end."""

_HELD = 1 << 21
"""bytes of things, about, that are held where nothing else is asked"""
_EACH = 64
"""bytes of a thing, about, beside those that whoever adds it counts"""


class Packets(Generic[Key]):
    """Takes things with keys and hands them on in packets, one for each key that some are held for.

    Args:
        waiting: a folder, absolute, where the contents of packets wait and whose path travels in the place
            of them; empty where they travel themselves.
        held: bytes of things, about, that are held before they are handed on.
    """

    def __init__(self, waiting: str = "", held: int | None = None) -> None:
        self._file = os.path.join(waiting, uuid.uuid4().hex + WAITING) if waiting else ""
        self._held: dict[Key, list[tuple[Any, ...]]] = defaultdict(list)
        self._bytes, self._most = 0, _HELD if held is None else held

    def add(self, key: Key, thing: tuple[Any, ...], size: int) -> Iterator[tuple[Key, bytes]]:
        """Takes a tuple that can be pickled, of about `size` bytes. Raises OSError if there is no room."""
        self._held[key].append(thing)
        self._bytes += size + _EACH
        if self._bytes > self._most:
            yield from self.rest()

    def rest(self) -> Iterator[tuple[Key, bytes]]:
        """Hands on all that is held. Raises OSError if there is no room for it."""
        held, self._held, self._bytes = self._held, defaultdict(list), 0
        packets = {key: pickle.dumps(things, pickle.HIGHEST_PROTOCOL) for key, things in held.items()}
        if self._file and packets:
            packets = self._left(packets)
        yield from packets.items()

    def _left(self, packets: dict[Key, bytes]) -> dict[Key, bytes]:
        """Where in the file they wait."""
        places = {}
        try:
            with open(self._file, "ab") as file:
                for key, packet in packets.items():
                    place = self._file, file.tell(), len(packet)
                    places[key] = pickle.dumps(place, pickle.HIGHEST_PROTOCOL)
                    file.write(packet)
        except OSError as error:  # of a disk that is full, which names no file
            error.filename = error.filename or self._file
            raise
        return places


def things_of(packets: Iterable[bytes]) -> Iterator[Any]:
    """What was put into packets of our own making, in their order."""
    for packet in packets:
        held = pickle.loads(packet)  # noqa: S301 (of our own making)
        if isinstance(held, tuple):
            name, begin, length = held
            with open(name, "rb") as file:
                file.seek(begin)
                held = pickle.loads(file.read(length))  # noqa: S301 (the same)
        yield from held
