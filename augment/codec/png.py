"""PNG to pixels by Pillow, and back by our own lines."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np

from augment.codec.formats import PNG
from augment.codec.parts import chunks
from augment.codec.rejection import DecodeError, Rejection, check_size, corrupt, truncated, without_rule

_PALETTE = 3
_END = b"\0\0\0\0IEND\xaeB\x60\x82"


def header(width: int, height: int, channels: int) -> bytes:
    """The first bytes of a PNG of 8 bits, gray or RGB, which is what we write."""
    color = 2 if channels == 3 else 0
    return PNG + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0))


def read(contents: bytes) -> np.ndarray:
    """uint8 [H, W, 1 or 3], as it lies in the file: without alpha, 16 bits by `>> 8`. Raises DecodeError."""
    from PIL import PngImagePlugin

    from augment.codec.pillow import pixels

    essential = _essential(contents)
    if essential is None:
        raise DecodeError(_why_not(contents))
    try:
        with PngImagePlugin.PngImageFile(io.BytesIO(essential)) as file:
            file.load()
            return pixels(file)
    except MemoryError:  # a machine out of memory is no fault of the file
        raise
    except Exception:  # noqa: BLE001 (on bad input Pillow raises nearly anything)
        raise DecodeError(_why_not(contents)) from None


def _essential(contents: bytes) -> bytes | None:
    """Header, palette and pixels alone; None where these are damaged, or something necessary is unknown.

    So other chunks, broken ones too, do not matter, and the last chunk may be missing.
    Raises DecodeError for what is too large.
    """
    if contents[8:16] != b"\0\0\0\x0dIHDR":  # Pillow would skip another chunk before the header
        return None
    width, height, depth, color, *methods = struct.unpack_from(">IIBBBBB", contents.ljust(29, b"\0"), 16)
    check_size("PNG", width, height, longest=1_000_000)
    if methods[:2] != [0, 0] or methods[2] > 1:
        return None
    file = memoryview(contents)
    kept, found, at = [file[:8]], set(), 8
    for kind, body in chunks(contents):
        end = at + 12 + len(body)
        part, at = file[at:end], end
        if kind == b"IEND" or (b"IDAT" in found and kind != b"IDAT"):
            break
        if kind[0] & 32 or (kind == b"PLTE" and color != _PALETTE):  # not necessary, by the case of its name
            continue
        known = kind in (b"IDAT", b"PLTE", b"IHDR") and (kind == b"IDAT" or kind not in found)
        if not known or zlib.crc32(part[4:-4]) != int.from_bytes(part[-4:], "big"):
            return None
        kept.append(part)
        found.add(kind)
    if color == _PALETTE and b"PLTE" not in found:
        return None
    return b"".join([*kept, _END])


def _why_not(contents: bytes) -> Rejection:
    kinds = [kind for kind, _ in chunks(contents)]
    if b"IEND" not in kinds:
        return truncated("PNG", contents)
    if kinds[0] == b"CgBI":
        return without_rule("PNG", "with Apple's CgBI chunk")
    return corrupt("PNG")


def encode(image: np.ndarray) -> bytes:
    """uint8 [H, W, 1 or 3] as PNG.

    Every row takes the "average" filter of the PNG specification (section 9.4), and
    deflate only looks for runs: half the time of libpng at its fastest level, for
    photos of the same size.
    """
    height, width, channels = image.shape
    levels = image.reshape(height, channels * width)
    framed = np.zeros((height + 1, channels * (width + 1)), np.uint8)
    framed[1:, channels:] = levels
    left, above = framed[1:, :-channels], framed[:-1, channels:]
    rows = np.empty((height, 1 + channels * width), np.uint8)
    rows[:, 0] = 3
    np.subtract(levels, (left & above) + ((left ^ above) >> 1), out=rows[:, 1:])
    deflate = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    data = deflate.compress(rows.data) + deflate.flush()
    return header(width, height, channels) + _chunk(b"IDAT", data) + _END


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
