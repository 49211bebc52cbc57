"""TIFF, whose tags have to be looked at before Pillow may: how it is mended, bounded, and refused."""

from __future__ import annotations

import contextlib
import struct

from augment.codec.parts import directory

BITS, PHOTOMETRIC = 258, 262
_COMPRESSION, _SAMPLE_FORMAT = 259, 339
_COMPRESSIONS = (1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32946, 34925, 50000)
"""Those that Pillow's libtiff decodes."""
_STRIPS, _TILES, _SUBDIRECTORIES = (273, 279), (324, 325), (34665, 34853, 40965)

_OF_PIXELS = frozenset((*range(254, 268), *range(273, 282), 284, 317, 320, *range(322, 326), 338, 339, 347))
"""Tags without which the pixels cannot be had; and 512 to 532, of old JPEG."""


def mended(contents: bytes) -> bytes:
    """Without what tags hold that have nothing to do with pixels, where that lies past the end."""
    try:
        tags = list(directory(contents))
        cut = {
            entry
            for entry, tag in enumerate(tags)
            if tag.start + tag.size > len(contents)
            and not (tag.number in _OF_PIXELS or 512 <= tag.number <= 532)
        }
        if not cut:
            return contents
        order = "<" if contents.startswith(b"II") else ">"
        (first,) = struct.unpack_from(order + "I", contents, 4)
        rewritten = bytearray(contents)
        for entry in cut:
            # One byte, which stands in the entry itself.
            struct.pack_into(order + "HII", rewritten, first + 2 + 12 * entry + 2, 1, 1, 0)
    except struct.error:
        return contents
    return bytes(rewritten)


def tags_fit(contents: bytes) -> bool:
    """Whether the tags lie in the file and not many times over the same bytes.

    Pillow reads them all, so that a file of a megabyte could fill the memory; and it
    goes on with a warning where they are cut.
    """
    try:
        tags = list(directory(contents))
        if any(tag.start + tag.size > len(contents) for tag in tags):
            return False
        read = sum(tag.size for tag in tags)
        for parent in tags:
            if parent.number in _SUBDIRECTORIES:
                with contextlib.suppress(struct.error):
                    for at in parent.numbers(contents)[:1]:
                        read += sum(min(tag.size, len(contents)) for tag in directory(contents, at))
    except struct.error:
        return False
    return read <= 2 * len(contents)


def bits(contents: bytes) -> int:
    """How many a channel has, of the deepest; 8 where that is not said."""
    with contextlib.suppress(struct.error):
        for tag in directory(contents):
            if tag.number == BITS:
                return max(tag.numbers(contents), default=8)
    return 8


def whole(contents: bytes) -> bool:
    """Whether all that the tags point at lies in the file."""
    try:
        tags = {tag.number: tag for tag in directory(contents)}
        ends = [tag.start + tag.size for tag in tags.values()]
        for offsets, counts in (_STRIPS, _TILES):
            if offsets in tags and counts in tags:
                starts, sizes = tags[offsets].numbers(contents), tags[counts].numbers(contents)
                ends += map(sum, zip(starts, sizes, strict=False))
    except struct.error:
        return False
    return max(ends, default=0) <= len(contents)


def unknown_kind(contents: bytes, said: str) -> str:
    """Of which kind a TIFF is that nobody reads here; empty if it is of a usual one."""
    with contextlib.suppress(struct.error):
        tags = {tag.number: tag.numbers(contents) for tag in directory(contents)}

        def first(number: int) -> int:
            return next(iter(tags.get(number, ())), 1)

        if first(_COMPRESSION) not in _COMPRESSIONS:
            return f"of compression {first(_COMPRESSION)}"
        if said == "unknown pixel mode":
            kind = {1: "", 2: " signed", 3: " floating point"}.get(first(_SAMPLE_FORMAT), " of no known kind")
            depth = f"{len(tags.get(BITS, ())) or 1} x {first(BITS)} bits{kind}"
            return f"of {depth}, photometric interpretation {first(PHOTOMETRIC)},"
    return ""
