"""How far images of more than 8 bits a channel fill their range."""

from __future__ import annotations

from augment.codec import decode, netpbm, tiff
from augment.codec.formats import file_format


def highest_level(contents: bytes) -> int | None:
    """The highest level, of 255, in a PNG, TIFF or PGM of 16 bits a channel; None for other files.

    Raises DecodeError for what cannot be decoded.
    """
    return int(decode(contents).max()) if _deep(contents) else None


def _deep(contents: bytes) -> bool:
    form = file_format(contents)
    if form == "PNG":
        return contents[24:25] == b"\x10"
    if form == "TIFF":
        return tiff.bits(contents) == 16
    said = netpbm.header(contents) if form == "Netpbm" else None
    return said is not None and said.most > 255
