"""PBM, PGM and PPM: the plainest of formats, whose deeper kinds Pillow reads pixel by pixel, in Python."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from augment.codec.rejection import DecodeError, check_size, corrupt, truncated

_TOKEN = rb"(?:\s|#[^\r\n]*[\r\n])*(\d{1,10})"
_SIZE = re.compile(rb"P([1-6])(?=[\s#])" + _TOKEN + _TOKEN)
_MOST = re.compile(_TOKEN)


class Header(NamedTuple):
    kind: int
    """1 to 6, as in the format's name"""
    width: int
    height: int
    most: int
    """the value of white, up to 65,535"""
    start: int
    """of the pixels"""

    @property
    def channels(self) -> int:
        return 3 if self.kind in (3, 6) else 1

    @property
    def data_bytes(self) -> int:
        """What the pixels take where they are binary."""
        if self.kind == 4:
            return -(-self.width // 8) * self.height
        return self.width * self.height * self.channels * (2 if self.most > 255 else 1)


def header(contents: bytes) -> Header | None:
    """None if it is none, or is cut."""
    size = _SIZE.match(contents)
    if size is None:
        return None
    kind, width, height = (int(number) for number in size.groups())
    most, end = 1, size.end()
    if kind not in (1, 4):
        found = _MOST.match(contents, end)
        if found is None:
            return None
        most, end = int(found[1]), found.end()
    return Header(kind, width, height, most, end + 1)  # one blank stands before the pixels


def read(contents: bytes) -> np.ndarray:
    """uint8 [H, W, 1 or 3]. Raises DecodeError."""
    said = header(contents)
    if said is None:  # 64 bytes have room for one
        raise DecodeError(corrupt("Netpbm") if len(contents) > 64 else truncated("Netpbm", contents))
    check_size("Netpbm", said.width, said.height)
    levels = _pixels(contents, said) if 0 < said.most < 1 << 16 else None
    if levels is None:
        raise DecodeError(corrupt("Netpbm") if _whole(contents, said) else truncated("Netpbm", contents))
    return levels


def _pixels(contents: bytes, said: Header) -> np.ndarray | None:
    """None if the pixels are not all there, or are none.

    Values v of up to 8 bits become v * 255 / most, rounded; deeper ones the highest 8 bits of
    v * 65535 / most, rounded.
    """
    shape = said.height, said.width, said.channels
    count = said.height * said.width * said.channels
    values: np.ndarray
    if said.kind == 4:
        rows = np.frombuffer(contents, np.uint8, offset=said.start)[: said.data_bytes]
        if rows.size < said.data_bytes:
            return None
        bits = np.unpackbits(rows.reshape(said.height, -1), axis=1)[:, : said.width]
        return ((1 - bits) * 255).reshape(shape)
    if said.kind > 4:
        raw = contents[said.start : said.start + said.data_bytes]
        if len(raw) < said.data_bytes:
            return None
        values = np.frombuffer(raw, ">u2" if said.most > 255 else np.uint8)
    else:
        text = re.sub(rb"#[^\r\n]*", b"", contents[said.start :])
        if said.kind == 1:  # whose digits may stand without blanks
            digits = np.frombuffer(re.sub(rb"\s", b"", text), np.uint8)[:count] - ord("0")
            return None if digits.size < count or digits.max() > 1 else ((1 - digits) * 255).reshape(shape)
        if re.search(rb"[^\s\d]|\d{6}", text):
            return None
        values = np.fromstring(text, np.int32, sep=" ")[:count] if text.strip() else np.zeros(0, np.int32)
        if values.size < count:
            return None
    if values.max() > said.most:
        return None
    return _levels(said.most)[values].reshape(shape)


def _levels(most: int) -> np.ndarray:
    values = np.arange(most + 1, dtype=np.int64)
    if most <= 255:
        return ((2 * values * 255 + most) // (2 * most)).astype(np.uint8)
    return ((2 * values * 65535 + most) // (2 * most) >> 8).astype(np.uint8)


def _whole(contents: bytes, said: Header) -> bool:
    """Whether as many values stand there as there have to be."""
    if said.kind > 3:
        return len(contents) - said.start >= said.data_bytes
    text = re.sub(rb"#[^\r\n]*", b"", contents[said.start :])
    values = re.finditer(rb"\d" if said.kind == 1 else rb"\d+", text)
    return sum(1 for _ in values) >= said.width * said.height * said.channels
