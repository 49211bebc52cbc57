"""JPEG to pixels by libjpeg-turbo, and back.

Two readers agree on what a JPEG means to a level only if they use the same inverse transform.
Sources are read by the accurate one, as Pillow and OpenCV read them; what shards hold by the
fast one, as tf.io.decode_image and so TFDS do.
"""

from __future__ import annotations

import functools
import io
import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from augment.codec.parts import segments
from augment.codec.rejection import DecodeError, Rejection, check_size, corrupt, truncated

MAX_SCANS = 100
"""The most passes over the pixels in which a large JPEG may come. Encoders make about ten; a
scan of a few bytes costs a visit to every pixel, so that small files could take hours."""

HARMLESS = 1 << 37
"""Pixels times bytes up to which no JPEG takes long, however many scans it comes in."""

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of what says how large the image is."""

_FRAMES_READ = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
"""Baseline and progressive, coded by Huffman's method or, which is rare, by arithmetic."""

_SCAN, _END, _ADOBE = 0xDA, 0xD9, 0xEE

_COLORS = {1: ("GRAY", "L"), 3: ("RGB", "RGB"), 4: ("CMYK", "CMYK")}
"""By the number of channels, as simplejpeg and as Pillow name them."""


class Header(NamedTuple):
    width: int
    height: int
    channels: int
    adobe: bool
    """whether Adobe's marker is there, with which CMYK is what the ink leaves of white"""


def check(contents: bytes) -> Header:
    """What a JPEG says of itself; all its parts are walked over.

    Raises DecodeError for one that is too large, of a kind without a rule, cut, or slow by intent.
    """
    size = None
    adobe = ended = False
    scans = 0
    for marker, body in segments(contents):
        if marker in _FRAMES and len(body) >= 6:
            precision, height, width, channels = struct.unpack_from(">BHHB", body)
            check_size("JPEG", width, height, longest=65_500)
            if precision != 8 or marker not in _FRAMES_READ:
                raise DecodeError(Rejection("unsupported", "JPEG other than 8-bit baseline or progressive"))
            size = width, height, channels
        adobe |= marker == _ADOBE and body.startswith(b"Adobe") and len(body) >= 12
        scans += marker == _SCAN
        ended = marker == _END
    if not ended and not contents.endswith(b"\xff\xd9"):
        raise DecodeError(truncated("JPEG", contents))
    if not ended or size is None:
        raise DecodeError(corrupt("JPEG"))
    if scans > MAX_SCANS and size[0] * size[1] * len(contents) > HARMLESS:
        raise DecodeError(Rejection("too_large", f"JPEG of more than {MAX_SCANS} scans"))
    return Header(*size, adobe)


def read(contents: bytes, header: Header, *, least: int | None = None) -> np.ndarray:
    """uint8 [H, W, 1 or 3], as it lies in the file, whose header `check` gave. Raises DecodeError.

    With `least`, of an 8th, a 4th or half of the sides, rounded up: the smallest whose shorter side is not
    below that. libjpeg then makes a pixel of so many of a block's frequencies.
    """
    if header.channels not in _COLORS:
        raise DecodeError(corrupt("JPEG"))
    colors, mode = _COLORS[header.channels]
    import simplejpeg

    try:
        part = _reduced(header, least)
        height, width = -(-header.height // part), -(-header.width // part)
        pixels = simplejpeg.decode_jpeg(contents, colors, min_height=height, min_width=width)
    except ValueError as error:
        _check_memory(error)
        pixels = _by_pillow(contents, mode, part)
    return _multiplied(pixels, header.adobe) if mode == "CMYK" else pixels


def read_ours(contents: bytes, pixels: np.ndarray) -> None:
    """Fills `pixels`, uint8 [H, W, 1 or 3] that lie in one piece, from a JPEG whose header `check` found to
    be of that shape: by the fast transform, and without what libjpeg warns of. Raises DecodeError.
    """
    import simplejpeg

    try:
        simplejpeg.decode_jpeg(contents, _COLORS[pixels.shape[2]][0], fastdct=True, buffer=pixels)
    except ValueError as error:
        _check_memory(error)
        raise DecodeError(corrupt("JPEG")) from None


def _check_memory(error: ValueError) -> None:
    """Raises MemoryError if that was what simplejpeg lacked, which is no fault of the file."""
    if "memory" in str(error).lower():
        raise MemoryError from error


def _reduced(header: Header, least: int | None) -> int:
    """By how much the sides of a file are divided when it is read."""
    shorter = min(header.height, header.width)
    return next((part for part in (8, 4, 2) if least and -(-shorter // part) >= least), 1)


def _by_pillow(contents: bytes, mode: str, part: int) -> np.ndarray:
    """The same library by another door: it goes on where libjpeg warns, and takes any sampling of color.

    simplejpeg does not tell a warning from an error behind one, and leaves memory as it was then.
    """
    from PIL import JpegImagePlugin

    from augment.codec.pillow import pixels, refusing

    with (
        refusing("JPEG", lambda said: corrupt("JPEG")),
        JpegImagePlugin.JpegImageFile(io.BytesIO(contents)) as file,
    ):
        if file.mode != mode:
            raise DecodeError(corrupt("JPEG"))
        file.draft(mode, (file.width // part, file.height // part))
        file.load()
        return ~np.asarray(file) if mode == "CMYK" else pixels(file)  # CMYK is inverted by Pillow


def _multiplied(cmyk: np.ndarray, adobe: bool) -> np.ndarray:
    """uint8 [H, W, 4] to RGB: each color times black, over 255, rounded down."""
    rgb = np.empty((*cmyk.shape[:2], 3), np.uint8)
    for row, left in zip(rgb, cmyk, strict=True):  # one by one, so that the memory stays small
        white = (left if adobe else ~left).astype(np.uint16)
        row[:] = white[:, :3] * white[:, 3:] // 255
    return rgb


def encode(image: np.ndarray, quality: int, chroma: str) -> bytes:
    """uint8 [H, W, 1 or 3] as a baseline JPEG with the standard's tables, the same bytes each time."""
    import cv2

    given = image if image.shape[2] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", given, _options(quality, chroma))[1].tobytes()


@functools.cache
def _options(quality: int, chroma: str) -> Sequence[int]:
    import cv2

    sampling = (
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420 if chroma == "4:2:0" else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    )
    return cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling
