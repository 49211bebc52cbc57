"""GIF, BMP, WebP, TIFF, AVIF, JPEG 2000 and HEIF, as Pillow reads them.

Nothing here trusts a file: what a header claims is bounded before memory or time is spent on it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from augment.codec import tiff
from augment.codec.orientation import in_exif, turned
from augment.codec.reasons import why_not
from augment.codec.rejection import DecodeError, Rejection, check_size, too_large

# Opened by their own classes, not by Image.open: that one warns of large images on stderr,
# and asks whatever plugins the process has registered.
_READERS = {
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "WebP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "JPEG 2000": ("PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "HEIF": ("pillow_heif", "HeifImageFile"),
}
_GRAY, _COLOR = ("1", "L", "LA"), ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")

_STRIP = 1 << 22
"""Pixels that are taken over from Pillow at once."""


@functools.cache
def _reader(form: str) -> Callable[[io.BytesIO], Image.Image] | None:
    """None for HEIF where pillow-heif is not installed, which the extra heic brings."""
    module, name = _READERS[form]
    try:
        reader: Callable[[io.BytesIO], Image.Image] = getattr(importlib.import_module(module), name)
    except ImportError:
        return None
    return reader


def reads_heif() -> bool:
    """Whether HEIC and other HEIF files are read here."""
    return _reader("HEIF") is not None


def read(form: str, contents: bytes) -> np.ndarray:
    """uint8 [H, W, 1 or 3], without alpha; WebP is not yet upright. Raises DecodeError."""
    reader = _reader(form)
    if reader is None:
        raise DecodeError(
            Rejection(
                "unsupported", "HEIF takes the extra heic, which is not installed: make install EXTRAS=heic"
            )
        )
    if form == "TIFF":
        contents = tiff.mended(contents)
        if not tiff.tags_fit(contents):
            raise DecodeError(why_not(form, contents))
    with refusing(form, lambda said: why_not(form, contents, said)), reader(io.BytesIO(contents)) as file:
        check_size(form, *file.size)
        file.info.pop("xmp", None)  # where Pillow would look for an orientation, too
        file.load()
        levels = pixels(file)
        if form == "AVIF":  # whose boxes for turning Pillow puts into the EXIF
            levels = turned(levels, in_exif(file.info.get("exif", b"")))
    return levels


@contextlib.contextmanager
def refusing(form: str, why: Callable[[str], Rejection]) -> Iterator[None]:
    """Raises DecodeError for whatever Pillow raises, with the reason for what it said."""
    try:
        yield
    except (DecodeError, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise DecodeError(too_large(form)) from None
    except Exception as error:  # on bad input Pillow raises nearly anything
        if "out of memory" in str(error):  # which is no fault of the file
            raise MemoryError from error
        raise DecodeError(why(str(error))) from None


def pixels(image: Image.Image) -> np.ndarray:
    """uint8 [H, W, 1 or 3] of a loaded image: no alpha, 16 bits by shifting. Raises DecodeError."""
    tags = getattr(image, "tag_v2", {})
    if image.mode in _SIXTEEN_BITS:
        bits, white_is_zero = tags.get(tiff.BITS, (16,))[0], tags.get(tiff.PHOTOMETRIC) == 0

        def levels(strip: Image.Image) -> np.ndarray:
            gray = (np.asarray(strip).astype(np.uint16) >> (bits - 8)).astype(np.uint8)  # of 16 bits, or 12
            return ~gray if white_is_zero else gray  # which Pillow minds up to 8 bits only

    elif image.mode in _GRAY + _COLOR:
        image.info.pop("transparency", None)  # which `convert` would try to keep
        mode = "L" if image.mode in _GRAY else "RGB"

        def levels(strip: Image.Image) -> np.ndarray:
            return np.asarray(strip if strip.mode == mode else strip.convert(mode))

    else:
        raise DecodeError(
            Rejection("unsupported", f"pixels of mode {image.mode} have no rule: convert it to 8-bit RGB")
        )
    width, height = image.size
    rows = max(1, _STRIP // width)
    if height <= rows:
        return levels(image).reshape(height, width, -1)
    whole = np.empty((height, width, 1 if image.mode in _SIXTEEN_BITS + _GRAY else 3), np.uint8)
    for top in range(0, height, rows):  # so that the memory stays small
        strip = image.crop((0, top, width, min(top + rows, height)))
        whole[top : top + rows] = levels(strip).reshape(-1, width, whole.shape[2])
    return whole
