"""PNG to pixels by Pillow, and back by our own lines."""

from __future__ import annotations

import functools
import io
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from zlib_ng import zlib_ng

from augment.codec.formats import PNG
from augment.codec.parts import chunks
from augment.codec.rejection import DecodeError, Rejection, check_size, corrupt, truncated, without_rule

if TYPE_CHECKING:
    from PIL import Image

_PALETTE = 3
_LAST_FILTER = 4
_CHANNELS = {0: 1, 2: 3, _PALETTE: 1, 4: 2, 6: 4}
"""By the kind of color."""
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""The first row and column of each pass of an interlaced image, and the steps to the next."""
_BLOCK = 1 << 20
_END = b"\0\0\0\0IEND\xaeB\x60\x82"


@functools.lru_cache(maxsize=64)
def header(width: int, height: int, channels: int) -> bytes:
    """The first bytes of a PNG of 8 bits, gray or RGB, which is what we write."""
    color = 2 if channels == 3 else 0
    return PNG + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0))


class _Header(NamedTuple):
    width: int
    height: int
    depth: int
    color: int
    interlaced: bool

    def data_bytes(self) -> int:
        """How many there are before compression, each row with a byte for its filter."""
        passes = _ADAM7 if self.interlaced else ((0, 0, 1, 1),)
        bits, total = self.depth * _CHANNELS[self.color], 0
        for top, left, down, right in passes:
            width, height = -((left - self.width) // right), -((top - self.height) // down)
            total += height * (1 + (width * bits + 7) // 8) if width else 0
        return total


def read(contents: bytes) -> np.ndarray:
    """uint8 [H, W, 1 or 3], as it lies in the file: without alpha, 16 bits by `>> 8`. Raises DecodeError."""
    from augment.codec.pillow import pixels, refusing

    header = _header(contents)
    parts = _necessary(contents, header) if header else None
    if header is None or parts is None:
        raise DecodeError(_why_not(contents))
    if (image := _plain(header, parts)) and _is_whole(image, header, parts):
        return pixels(image)
    from PIL import PngImagePlugin

    essence = io.BytesIO(b"".join([PNG, *parts, _END]))
    with refusing("PNG", lambda said: _why_not(contents)), PngImagePlugin.PngImageFile(essence) as file:
        file.load()
        if not _is_whole(file, header, parts):
            raise DecodeError(_why_not(contents))
        return pixels(file)


def _plain(header: _Header, parts: Sequence[memoryview]) -> Image.Image | None:
    """An image of 8 bits, gray or RGB, by Pillow's decoder alone, for it takes longer to open a small file
    than to decode it. None for others, and for what is damaged, of which `read` says what it comes to."""
    from PIL import Image

    mode = {0: "L", 2: "RGB"}.get(header.color)
    if mode is None or header.depth != 8 or header.interlaced:
        return None
    data = b"".join([part[8:-4] for part in parts if part[4:8] == b"IDAT"])
    try:
        return Image.frombytes(mode, (header.width, header.height), data, "zip", mode)
    except ValueError:
        return None


def read_ours(contents: bytes, pixels: np.ndarray) -> None:
    """The same of a PNG that begins as ours of the shape of `pixels` do, into these.

    OpenCV undoes the filters alone, of what zlib-ng inflated: its own zlib takes half as long again. What
    others wrote, and what is damaged, `read` reads.
    """
    import cv2

    found = None
    if (plain := _uncompressed(contents, pixels.shape)) is not None:
        mode = cv2.IMREAD_COLOR_RGB if pixels.shape[2] == 3 else cv2.IMREAD_GRAYSCALE
        found = cv2.imdecode(np.frombuffer(plain, np.uint8), mode | cv2.IMREAD_IGNORE_ORIENTATION)
    pixels[:] = read(contents) if found is None else found.reshape(pixels.shape)


_STORED = (1 << 16) - 1
"""The bytes of a block that deflate stores as they are, at most."""


def _uncompressed(contents: bytes, shape: tuple[int, ...]) -> bytes | None:
    """A PNG of ours, with its rows as they are. None for one that is not ours, or not whole."""
    height, width, channels = shape
    head = header(width, height, channels)
    data = contents[len(head) + 8 : -len(_END) - 4]
    if contents != head + _chunk(b"IDAT", data) + _END:
        return None
    inflate, size = zlib_ng.decompressobj(), height * (1 + width * channels)
    try:
        rows = inflate.decompress(data, size + 1)
    except zlib_ng.error:  # type: ignore[misc]  # to its stub it is an exception, and not a class
        return None
    whole = len(rows) == size and inflate.eof and not inflate.unused_data
    if not whole or max(rows[:: size // height]) > _LAST_FILTER:
        return None
    parts = [b"\x78\x01"]
    for first in range(0, size, _STORED):
        part = rows[first : first + _STORED]
        parts += [struct.pack("<BHH", first + _STORED >= size, len(part), len(part) ^ _STORED), part]
    parts.append(data[-4:])  # the checksum of the rows
    return head + _chunk(b"IDAT", b"".join(parts)) + _END


def _header(contents: bytes) -> _Header | None:
    """None if it is cut, of no known kind, or behind another chunk. Raises DecodeError by its size."""
    if len(contents) < 33 or contents[8:16] != b"\0\0\0\x0dIHDR":
        return None
    width, height, depth, color, compression, filters, interlaced = struct.unpack_from(
        ">IIBBBBB", contents, 16
    )
    check_size("PNG", width, height, longest=1_000_000)
    if color not in _CHANNELS or compression or filters or interlaced > 1:
        return None
    return _Header(width, height, depth, color, interlaced == 1)


def _necessary(contents: bytes, header: _Header) -> list[memoryview] | None:
    """Header, palette and pixels alone; None where these are damaged, or something necessary is unknown.

    So what else is in a file does not matter, broken or not, and its last chunk may be missing.
    """
    file, at = memoryview(contents), len(PNG)
    parts: list[memoryview] = []
    found: set[bytes] = set()
    for kind, body in chunks(contents):
        part = file[at : at + 12 + len(body)]
        at += len(part)
        if kind == b"IEND" or (b"IDAT" in found and kind != b"IDAT"):
            break
        if kind[0] & 32 or (kind == b"PLTE" and header.color != _PALETTE):  # by its name, not necessary
            continue
        expected = kind == b"IDAT" or (kind in (b"IHDR", b"PLTE") and kind not in found)
        if not expected or zlib_ng.crc32(part[4:-4]) != int.from_bytes(part[-4:], "big"):
            return None
        parts.append(part)
        found.add(kind)
    return parts if header.color != _PALETTE or b"PLTE" in found else None


def _is_whole(file: Image.Image, header: _Header, parts: Sequence[memoryview]) -> bool:
    return _reaches_the_bottom(file, header) or _inflated(parts) >= header.data_bytes()


def _reaches_the_bottom(file: Image.Image, header: _Header) -> bool:
    """Whether something stands in the last row. Pillow leaves black what there are no data for."""
    bottom = file.crop((0, header.height - 1, header.width, header.height))
    return not header.interlaced and bottom.getbbox(alpha_only=False) is not None


def _inflated(parts: Sequence[memoryview]) -> int:
    """How many bytes the pixels' chunks hold."""
    inflate, total = zlib_ng.decompressobj(), 0
    for part in parts:
        if part[4:8] == b"IDAT":
            data: bytes | memoryview = part[8:-4]
            while True:
                count = len(inflate.decompress(data, _BLOCK))
                total, data = total + count, inflate.unconsumed_tail
                if not data and count < _BLOCK:
                    break
    return total


def _why_not(contents: bytes) -> Rejection:
    kinds = [kind for kind, _ in chunks(contents)]
    if b"IEND" not in kinds:
        return truncated("PNG", contents)
    if kinds[0] == b"CgBI":
        return without_rule("PNG", "with Apple's CgBI chunk")
    return corrupt("PNG")


def encode(image: np.ndarray) -> bytes:
    """uint8 [H, W, 1 or 3] as PNG."""
    return encode_each([image])[0]


def encode_each(images: Sequence[np.ndarray]) -> list[bytes]:
    """Images of one shape uint8 [H, W, 1 or 3] as PNGs, or none.

    Every row takes the "average" filter of the PNG specification (section 9.4), and
    deflate only looks for runs: half the time of libpng at its fastest level, for
    photos of the same size.
    """
    at_once = max(_SMALL // images[0].size, 1) if images else 1
    found = []
    for first in range(0, len(images), at_once):
        found += [_written(rows, images[0].shape) for rows in _filtered(images[first : first + at_once])]
    return found


_SMALL = 1 << 16
"""Levels that are filtered in one go: of small images several, of which NumPy's calls would take longest."""


def _filtered(images: Sequence[np.ndarray]) -> np.ndarray:
    """uint8 [n, H, 1 + C * W] of n images: rows as they are deflated."""
    height, width, channels = images[0].shape
    framed = np.zeros((len(images), height + 1, channels * (width + 1)), np.uint8)
    levels = framed[:, 1:, channels:]
    for place, image in zip(levels, images, strict=True):
        place[:] = image.reshape(height, channels * width)
    left, above = framed[:, 1:, :-channels], framed[:, :-1, channels:]
    rows = np.empty((len(images), height, 1 + channels * width), np.uint8)
    rows[..., 0] = 3
    np.subtract(levels, (left & above) + ((left ^ above) >> 1), out=rows[..., 1:])
    return rows


def _written(rows: np.ndarray, shape: tuple[int, ...]) -> bytes:
    height, width, channels = shape
    # At level 9 a block holds 2**15 - 2 symbols, and half at each level below. Less memory is sooner had.
    memory = min(max((rows.size + 1).bit_length() - 6, 1), 9)
    deflate = zlib_ng.compressobj(1, zlib_ng.DEFLATED, 15, memory, zlib_ng.Z_RLE)
    data = deflate.compress(rows.data) + deflate.flush()
    return header(width, height, channels) + _chunk(b"IDAT", data) + _END


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib_ng.crc32(data, zlib_ng.crc32(kind))
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", check)))
