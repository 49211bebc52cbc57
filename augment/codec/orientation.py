"""How a camera was held: the EXIF orientation, 1 to 8, and the turning that it asks for."""

from __future__ import annotations

import contextlib
import struct

import numpy as np

from augment.codec.parts import chunks, directory, riff, segments

_ORIENTATION = 0x0112
_TABLES, _SCAN, _APPLICATION = 0xDB, 0xDA, 0xE1


def orientation(form: str, contents: bytes) -> int:
    """That of an image file, 1 to 8; 1 if there is none, or none that can be read.

    EXIF counts in JPEG before the first quantization table, and in PNG before the
    pixels. Others than JPEG, PNG and WebP give 1: Pillow turns them when it reads them.
    """
    exif = b""
    if form == "JPEG":
        for marker, body in segments(contents):
            if marker == _APPLICATION and body.startswith(b"Exif\0\0"):
                exif = body
            if exif or marker in (_TABLES, _SCAN):
                break
    elif form == "PNG":
        for kind, body in chunks(contents):
            if kind in (b"eXIf", b"IDAT"):
                exif = body if kind == b"eXIf" else b""
                break
    elif form == "WebP":
        exif = next((body for kind, body in riff(contents) if kind == b"EXIF"), b"")
    return in_exif(exif)


def in_exif(exif: bytes) -> int:
    """What EXIF says, 1 to 8, with or without its heading."""
    exif = exif.removeprefix(b"Exif\0\0")
    with contextlib.suppress(struct.error):
        for tag in directory(exif):
            if tag.number == _ORIENTATION:
                return next((n for n in tag.numbers(exif) if 1 <= n <= 8), 1)
    return 1


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """uint8 [H, W, C], upright."""
    if orientation == 1:
        return pixels
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
