"""How image files are laid out: JPEG segments, PNG and RIFF chunks, TIFF tags.

Walks over bytes that may be anything: each ends, and none reads past the end.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
"""Where a JPEG segment begins: not at a stuffed or fill byte, nor at a marker that holds nothing."""

_TAG_BYTES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4)
"""The size of a TIFF tag's value, by kind."""


def segments(jpeg: bytes) -> Iterator[tuple[int, bytes]]:
    """A JPEG's markers up to the end of the image, with what each holds; pixels are passed over."""
    at, size = 2, len(jpeg)
    while found := _MARKER.search(jpeg, at):
        at = found.end()
        marker = jpeg[at - 1]
        if marker == 0xD9:
            yield marker, b""
            return
        length = jpeg[at] << 8 | jpeg[at + 1] if at + 1 < size else size
        if at + length > size:
            return
        yield marker, jpeg[at + 2 : at + length]
        at += length


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """A PNG's chunks that are there in full: their kind and what they hold."""
    at = 8
    while at + 12 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        if at + 12 + length > len(png):
            return
        yield kind, png[at + 8 : at + 8 + length]
        at += 12 + length


def riff(webp: bytes) -> Iterator[tuple[bytes, bytes]]:
    """A WebP's chunks: their kind and what they hold, perhaps cut."""
    at = 12
    while at + 8 <= len(webp):
        kind, length = struct.unpack_from("<4sI", webp, at)
        yield kind, webp[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


class Tag(NamedTuple):
    """A TIFF tag, and where in the file its data are."""

    number: int
    kind: str  # as struct names it, with the byte order: "<H"
    start: int
    size: int

    def numbers(self, tiff: bytes) -> tuple[int, ...]:
        """The values of whole numbers; nothing of other kinds."""
        order, kind = self.kind[:1], self.kind[1:]
        if not kind:
            return ()
        count = self.size // struct.calcsize(self.kind)
        return struct.unpack_from(f"{order}{count}{kind}", tiff, self.start)


def directory(tiff: bytes, at: int | None = None) -> Iterator[Tag]:
    """The tags of one directory, the first unless `at` says where. Raises struct.error past the end."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return
    if at is None:
        (at,) = struct.unpack_from(order + "I", tiff, 4)
    (count,) = struct.unpack_from(order + "H", tiff, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        number, kind, values, start = struct.unpack_from(order + "HHII", tiff, entry)
        size = values * (_TAG_BYTES[kind] if kind < len(_TAG_BYTES) else 0)
        yield Tag(number, order + {3: "H", 4: "I"}.get(kind, ""), start if size > 4 else entry + 8, size)


def boxes(iso: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The top boxes of an ISO file (AVIF, HEIF, JPEG 2000): kind, where each begins, where it says to end."""
    at = 0
    while at + 8 <= len(iso):
        length, kind = struct.unpack_from(">I4s", iso, at)
        if length == 1 and at + 16 <= len(iso):
            (length,) = struct.unpack_from(">Q", iso, at + 8)
        end = at + length if length else len(iso)
        if end < at + 8:
            return
        yield kind, at, end
        at = end
