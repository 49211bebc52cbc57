"""What Python reads of image files: formats that TensorFlow does not, orientation, why a file is refused.

Nothing here trusts a file. What a header claims is bounded before memory or time is
spent on it, and the reasons are words of our own, for Pillow's contain addresses.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import struct
from collections.abc import Callable

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from augment import netpbm
from augment.containers import chunks, directory, riff, segments
from augment.formats import (
    HARMLESS,
    JPEG,
    MAX_PIXELS,
    PNG,
    DecodeError,
    Rejection,
    check_size,
    file_format,
    too_large,
)
from augment.mending import END, mended_tiff
from augment.refusal import FRAMES, check_scans, tags_fit, why_not

# Opened by their own classes, not by Image.open: that one warns of large images on stderr,
# and asks whatever plugins the process has registered.
_READERS: dict[str, Callable[[io.BytesIO], Image.Image]] = {
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
    "JPEG 2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
}
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
_ORIENTATION, _BITS, _PHOTOMETRIC = 0x0112, 258, 262


@functools.cache
def _heif_reader() -> Callable[[io.BytesIO], Image.Image] | None:
    """That of pillow-heif, which the extra heic brings; None where it is not installed."""
    try:
        reader: Callable[[io.BytesIO], Image.Image] = importlib.import_module("pillow_heif").HeifImageFile
    except ImportError:
        return None
    return reader


def reads_heif() -> bool:
    """Whether HEIC and other HEIF files are read here."""
    return _heif_reader() is not None


def read(contents: bytes) -> np.ndarray:
    """uint8 [H, W, 3], not yet upright, of a format that TensorFlow does not read.

    Raises DecodeError for all other bytes, with the reason for which they cannot be decoded.
    """
    form = file_format(contents) or ""
    if form == "Netpbm":
        return _read_netpbm(contents)
    if form == "HEIF" and not reads_heif():
        raise DecodeError(
            Rejection(
                "unsupported", "HEIF takes the extra heic, which is not installed: make install EXTRAS=heic"
            )
        )
    if form == "TIFF":
        contents = mended_tiff(contents)
    reader = _heif_reader() if form == "HEIF" else _READERS.get(form)
    if reader is None or (form == "TIFF" and not tags_fit(contents)):
        raise DecodeError(why_not(contents))
    try:
        with reader(io.BytesIO(contents)) as file:
            check_size(form, *file.size)
            file.info.pop("xmp", None)  # where Pillow would look for an orientation, too
            file.load()
            pixels = _rgb(file)
            if form == "AVIF":  # whose boxes for turning Pillow puts into the EXIF
                pixels = _turned(pixels, int(_in_exif(file.info.get("exif", b""))))
            return pixels
    except (DecodeError, MemoryError):  # a machine out of memory is no fault of the file
        raise
    except Image.DecompressionBombError:
        raise DecodeError(too_large(form)) from None
    except Exception as error:  # noqa: BLE001 (on bad input Pillow raises nearly anything)
        raise DecodeError(why_not(contents, str(error))) from None


def _read_netpbm(contents: bytes) -> np.ndarray:
    said = netpbm.header(contents)
    if said is not None:
        check_size("Netpbm", said.width, said.height)
        if 0 < said.most < 1 << 16:
            pixels = netpbm.pixels(contents, said)
            if pixels is not None:
                return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
    raise DecodeError(why_not(contents))


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _rgb(image: Image.Image) -> np.ndarray:
    tags = getattr(image, "tag_v2", {})
    if image.mode in _SIXTEEN_BITS:
        bits = tags.get(_BITS, (16,))[0]  # or 12
        gray = (np.asarray(image).astype(np.uint16) >> (bits - 8)).astype(np.uint8)
        if tags.get(_PHOTOMETRIC) == 0:  # white is zero, which Pillow minds up to 8 bits only
            gray = ~gray
        return np.repeat(gray[..., np.newaxis], 3, axis=-1)
    if image.mode not in _MODES:
        raise DecodeError(
            Rejection("unsupported", f"pixels of mode {image.mode} have no rule: convert it to 8-bit RGB")
        )
    image.info.pop("transparency", None)  # which `convert` would try to keep
    return np.asarray(image.convert("RGB"))


def orientation(contents: bytes) -> np.int32:
    """The EXIF orientation, 1 to 8, of an image file; 1 if there is none, or none that can be read.

    EXIF counts in JPEG before the first quantization table, and in PNG before the
    pixels. TIFF gives 1, since Pillow turns its pixels when it reads them.
    """
    exif = b""
    if contents.startswith(JPEG):
        for marker, body in segments(contents):
            if marker == 0xE1 and body.startswith(b"Exif\0\0"):
                exif = body
            if exif or marker in (0xDB, 0xDA):
                break
    elif contents.startswith(PNG):
        for kind, body in chunks(contents):
            if kind in (b"eXIf", b"IDAT"):
                exif = body if kind == b"eXIf" else b""
                break
    elif file_format(contents) == "WebP":
        exif = next((body for kind, body in riff(contents) if kind == b"EXIF"), b"")
    return _in_exif(exif)


def _in_exif(exif: bytes) -> np.int32:
    exif = exif.removeprefix(b"Exif\0\0")
    with contextlib.suppress(struct.error):
        for tag in directory(exif):
            if tag.number == _ORIENTATION:
                return np.int32(next((n for n in tag.numbers(exif) if 1 <= n <= 8), 1))
    return np.int32(1)


def ordinary(contents: bytes) -> str | None:
    """JPEG or PNG for a file that TensorFlow's decoder alone brings to the pixels of `codec.decode`.

    It is within the bounds, comes in few scans, and is upright.
    """
    form, pixels = file_format(contents), 0
    if form == "JPEG":
        frame = next((body for marker, body in segments(contents) if marker in FRAMES), b"")
        if len(frame) >= 5:
            pixels = int.from_bytes(frame[1:3], "big") * int.from_bytes(frame[3:5], "big")
        bounded = pixels * len(contents) <= HARMLESS or check_scans(contents)
    elif form == "PNG":
        if contents[8:16] == b"\0\0\0\x0dIHDR":  # libpng would skip an unknown chunk before the header
            pixels = int.from_bytes(contents[16:20], "big") * int.from_bytes(contents[20:24], "big")
        bounded = contents.endswith(END)
    else:
        return None
    return form if 0 < pixels <= MAX_PIXELS and bounded and orientation(contents) == 1 else None


def highest_level(contents: bytes) -> int | None:
    """The highest level, of 255, in a PNG, TIFF or PGM of 16 bits a channel; None for other files.

    Raises DecodeError for what cannot be decoded.
    """
    form = file_format(contents)
    if form == "PNG" and contents[24:25] == b"\x10":
        try:
            with PngImagePlugin.PngImageFile(io.BytesIO(contents)) as file:
                check_size(form, *file.size)
                levels = np.asarray(file)
        except (DecodeError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 (on bad input Pillow raises nearly anything)
            raise DecodeError(why_not(contents, str(error))) from None
        if levels.dtype != np.uint8:
            levels = levels.astype(np.int64) >> 8
        elif levels.ndim == 3 and levels.shape[2] in (2, 4):
            levels = levels[..., :-1]  # without alpha
        return int(levels.max())
    if form == "TIFF":
        with contextlib.suppress(struct.error):
            bits = next((tag.numbers(contents) for tag in directory(contents) if tag.number == _BITS), ())
            return int(read(contents).max()) if max(bits, default=8) == 16 else None
    if form == "Netpbm" and (said := netpbm.header(contents)) and said.most > 255:
        return int(read(contents).max())
    return None


def explain(contents: bytes) -> Rejection:
    """Why bytes that cannot be decoded cannot be."""
    try:
        read(contents)
    except DecodeError as error:
        return error.rejection
    return why_not(contents)
