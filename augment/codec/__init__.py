"""Bytes to uint8 and back: the one decode and the one encode, for whoever makes, reads or proves samples.

    formats.py      what a file is, by its first bytes
    rejection.py    why one is refused, and the bounds
    jpeg.py, png.py, netpbm.py, pillow.py (with tiff.py, reasons.py)
                    the readers, and the writers beside them
    orientation.py  which way is up
    parts.py        what files are made of: segments, chunks, tags, boxes
    stored.py       what a record holds
    mask.py         ids in place of levels
    depth.py        images of 16 bits
    canary.py       whether this machine's libraries write and read what every other's do

docs/images.md has the rules, format by format. Nothing here imports TensorFlow, and OpenCV, Pillow
and simplejpeg come in when the first file needs them.
"""

from __future__ import annotations

import numpy as np

from augment.codec import jpeg, netpbm, png
from augment.codec.formats import EXTENSIONS, file_format
from augment.codec.mask import decode_mask
from augment.codec.orientation import orientation, turned
from augment.codec.png import encode as encode_png
from augment.codec.rejection import MAX_PIXELS, REASONS, DecodeError, Rejection
from augment.codec.stored import decode_stored, encode, encode_each, read_stored, round_trip

__all__ = [
    "EXTENSIONS",
    "MAX_PIXELS",
    "REASONS",
    "DecodeError",
    "Rejection",
    "decode",
    "decode_mask",
    "decode_stored",
    "encode",
    "encode_each",
    "encode_png",
    "examine",
    "read_stored",
    "reads_heif",
    "round_trip",
]

_BY_PILLOW = ("GIF", "BMP", "WebP", "TIFF", "AVIF", "HEIF", "JPEG 2000")


def decode(contents: bytes, channels: int = 3, least: int | None = None) -> np.ndarray:
    """An image file's bytes as uint8 [H, W, channels], upright. The array may be read-only.

    Of one channel, gray stays as it is and color becomes Pillow's luma,
    (19595 R + 38470 G + 7471 B + 2^15) >> 16; of three, gray is repeated.

    With `least`, a JPEG comes reduced to an 8th, a 4th or half of its sides, as long as its shorter side
    then has so many pixels at least; other formats come whole.

    The heavy part releases the GIL. Raises DecodeError, with the reason, for what cannot be decoded.
    """
    form = file_format(contents)
    if form == "JPEG":
        pixels = jpeg.read(contents, jpeg.check(contents), least=least)
    elif form == "PNG":
        pixels = png.read(contents)
    elif form == "Netpbm":
        pixels = netpbm.read(contents)
    elif form in _BY_PILLOW:
        from augment.codec import pillow

        pixels = pillow.read(form, contents)
    else:
        raise DecodeError(_of_no_use(contents, form))
    return _of_channels(turned(pixels, orientation(form, contents)), channels)


def examine(contents: bytes) -> Rejection | None:
    """Why `decode` fails on these bytes, or None if it does not."""
    try:
        decode(contents)
    except DecodeError as error:
        return error.rejection
    return None


def reads_heif() -> bool:
    """Whether HEIC and other HEIF files are read here."""
    from augment.codec import pillow

    return pillow.reads_heif()


def _of_no_use(contents: bytes, form: str | None) -> Rejection:
    if not contents:
        return Rejection("empty", "the file has no bytes")
    if form is None:
        return Rejection("not_an_image", f"its first bytes are {contents[:8].hex(' ')}")
    return Rejection("unsupported", f"{form} files are not read: convert it to PNG or JPEG")


def _of_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        import cv2

        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).convert("L"))[..., np.newaxis]
