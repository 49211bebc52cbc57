"""Files whose pixels are all there, though something beside or behind them is not."""

from __future__ import annotations

import struct

from augment.containers import chunks, directory
from augment.formats import PNG

END = b"\0\0\0\0IEND\xaeB\x60\x82"
"""The last chunk of a PNG."""

_OF_PIXELS = frozenset((*range(254, 268), *range(273, 282), 284, 317, 320, *range(322, 326), 338, 339, 347))
"""Tags of a TIFF without which its pixels cannot be had; and 512 to 532, of old JPEG."""


def mended_png(contents: bytes) -> bytes:
    """With a last chunk where that is missing, cut or damaged. What else is wrong stays so."""
    at = 8
    for kind, body in chunks(contents):
        if kind == b"IEND":
            break
        at += 12 + len(body)
    return contents[:at] + END if contents.startswith(PNG) else contents


def mended_tiff(contents: bytes) -> bytes:
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
        mended = bytearray(contents)
        for entry in cut:
            # One byte, which stands in the entry itself.
            struct.pack_into(order + "HII", mended, first + 2 + 12 * entry + 2, 1, 1, 0)
    except struct.error:
        return contents
    return bytes(mended)
