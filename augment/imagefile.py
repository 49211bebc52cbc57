"""What Python reads of image files: formats that TensorFlow does not, orientation, why a file is refused.

Nothing here trusts a file. What a header claims is bounded before memory or time is
spent on it, and the reasons are words of our own, for Pillow's contain addresses.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import struct
from collections.abc import Callable

import numpy as np
from PIL import BmpImagePlugin, GifImagePlugin, Image, TiffImagePlugin, WebPImagePlugin

from augment.containers import chunks, directory, riff, segments

MAX_PIXELS = 89_478_485
"""The largest image that is decoded: 256 MiB of RGB, Pillow's own warning bound."""

MAX_SCANS = 100
"""The most passes over the pixels in which a JPEG may come. Encoders make about ten; a
scan of a few bytes costs a visit to every pixel, so that small files could take hours."""

HARMLESS = 1 << 37
"""Pixels times bytes up to which no JPEG takes long, however many scans it comes in."""

REASONS = ("empty", "not_an_image", "unsupported", "too_large", "truncated", "corrupt")

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"

_BEGINNINGS = {
    "JPEG": JPEG,
    "PNG": re.escape(PNG),
    "GIF": rb"GIF8[79]a",
    "BMP": rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    "WebP": rb"RIFF.{4}WEBP",
    "TIFF": rb"II\*\0|MM\0\*",
    # What people have and we refuse, by name.
    "BigTIFF": rb"II\+\0|MM\0\+",
    "AVIF": rb".{4}ftypavi[fs]",
    "HEIF": rb".{4}ftyp(?:hei|hev|mif|msf)",
    "JPEG 2000": rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    "JPEG XL": rb"\0\0\0\x0cJXL |\xff\x0a",
    "Photoshop": rb"8BPS",
    "icon": rb"\0\0[\1\2]\0",
}
_BEGINNING = re.compile(b"|".join(b"(%s)" % pattern for pattern in _BEGINNINGS.values()), re.DOTALL)

# Opened by their own classes, not by Image.open: that one warns of large images on stderr,
# and asks whatever plugins the process has registered.
_READERS = {
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
}
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
_ORIENTATION, _BITS, _PHOTOMETRIC = 0x0112, 258, 262
_STRIPS, _TILES, _SUBDIRECTORIES = (273, 279), (324, 325), (34665, 34853, 40965)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclasses.dataclass(frozen=True)
class Rejection:
    """Why a source cannot be used."""

    reason: str
    """one word of REASONS"""
    detail: str


class DecodeError(ValueError):
    """Raised for bytes that are not a usable image; carries the rejection."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(f"{rejection.reason}: {rejection.detail}")
        self.rejection = rejection


def file_format(contents: bytes) -> str | None:
    """The format that the first bytes show."""
    found = _BEGINNING.match(contents)
    return list(_BEGINNINGS)[found.lastindex - 1] if found and found.lastindex else None


def read(contents: bytes) -> np.ndarray:
    """uint8 [H, W, 3], not yet upright, of a format that TensorFlow does not read.

    Raises DecodeError for all other bytes, with the reason for which they cannot be decoded.
    """
    form = file_format(contents) or ""
    if form not in _READERS or (form == "TIFF" and not _tags_fit(contents)):
        raise DecodeError(_why_not(contents))
    try:
        with _READERS[form](io.BytesIO(contents)) as file:
            _check_size(form, *file.size)
            file.info.pop("xmp", None)  # where Pillow would look for an orientation, too
            file.load()
            return _rgb(file)
    except (DecodeError, MemoryError):  # a machine out of memory is no fault of the file
        raise
    except Image.DecompressionBombError:
        raise DecodeError(_too_large(form)) from None
    except Exception:  # noqa: BLE001 (on bad input Pillow raises nearly anything)
        raise DecodeError(_why_not(contents)) from None


def _rgb(image: Image.Image) -> np.ndarray:
    tags = getattr(image, "tag_v2", {})
    if image.mode in _SIXTEEN_BITS:
        bits = tags.get(_BITS, (16,))[0]  # or 12
        gray = (np.asarray(image).astype(np.uint16) >> (bits - 8)).astype(np.uint8)
        if tags.get(_PHOTOMETRIC) == 0:  # white is zero, which Pillow minds up to 8 bits only
            gray = ~gray
        return np.repeat(gray[..., np.newaxis], 3, axis=-1)
    if image.mode not in _MODES:
        raise DecodeError(Rejection("unsupported", f"pixels of mode {image.mode} have no rule"))
    image.info.pop("transparency", None)  # which `convert` would try to keep
    return np.asarray(image.convert("RGB"))


def check_scans(contents: bytes) -> bool:
    """True for JPEG bytes that take no more than MAX_SCANS passes to decode."""
    scans = 0
    for marker, _ in segments(contents):
        scans += marker == 0xDA
        if scans > MAX_SCANS:
            return False
    return True


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
        frame = next((body for marker, body in segments(contents) if marker in _FRAMES), b"")
        if len(frame) >= 5:
            pixels = int.from_bytes(frame[1:3], "big") * int.from_bytes(frame[3:5], "big")
        bounded = pixels * len(contents) <= HARMLESS or check_scans(contents)
    elif form == "PNG":
        if contents[8:16] == b"\0\0\0\x0dIHDR":  # libpng would skip an unknown chunk before the header
            pixels = int.from_bytes(contents[16:20], "big") * int.from_bytes(contents[20:24], "big")
        bounded = True
    else:
        return None
    return form if 0 < pixels <= MAX_PIXELS and bounded and orientation(contents) == 1 else None


def explain(contents: bytes) -> Rejection:
    """Why bytes that cannot be decoded cannot be."""
    try:
        read(contents)
    except DecodeError as error:
        return error.rejection
    return _why_not(contents)


def _why_not(contents: bytes) -> Rejection:
    if not contents:
        return Rejection("empty", "the file has no bytes")
    form = file_format(contents)
    if form is None:
        return Rejection("not_an_image", f"its first bytes are {contents[:8].hex(' ')}")
    if form not in ("JPEG", "PNG", *_READERS):
        return Rejection("unsupported", f"{form} files are not read")
    try:
        whole = _WHOLE[form](contents)
    except DecodeError as error:
        return error.rejection
    if not whole:
        return Rejection("truncated", f"{form} ends after {len(contents)} bytes, before its pixels do")
    return Rejection("corrupt", f"{form} data cannot be decoded")


def _tags_fit(tiff: bytes) -> bool:
    """Whether the tags lie in the file and not many times over the same bytes.

    Pillow reads them all, so that a file of a megabyte could fill the memory; and it
    goes on with a warning where they are cut.
    """
    try:
        tags = list(directory(tiff))
        if any(tag.start + tag.size > len(tiff) for tag in tags):
            return False
        read = sum(tag.size for tag in tags)
        for parent in tags:
            if parent.number in _SUBDIRECTORIES:
                with contextlib.suppress(struct.error):
                    for at in parent.numbers(tiff)[:1]:
                        read += sum(min(tag.size, len(tiff)) for tag in directory(tiff, at))
    except struct.error:
        return False
    return read <= 2 * len(tiff)


def _whole_jpeg(contents: bytes) -> bool:
    for marker, body in segments(contents):
        if marker in _FRAMES and len(body) >= 5:
            precision, height, width = struct.unpack_from(">BHH", body)
            _check_size("JPEG", width, height, longest=65_500)
            if precision != 8 or marker > 0xC2:
                raise DecodeError(Rejection("unsupported", "JPEG other than 8-bit baseline or progressive"))
        if marker == 0xD9:
            break
    else:
        return False
    if not check_scans(contents):
        raise DecodeError(Rejection("too_large", f"JPEG of more than {MAX_SCANS} scans"))
    return True


def _whole_png(contents: bytes) -> bool:
    for kind, body in chunks(contents):
        if kind == b"IHDR" and len(body) == 13:
            width, height = struct.unpack_from(">II", body)
            _check_size("PNG", width, height, longest=1_000_000)
        if kind == b"IEND":
            return True
    return False


def _whole_tiff(contents: bytes) -> bool:
    try:
        tags = {tag.number: tag for tag in directory(contents)}
        ends = [tag.start + tag.size for tag in tags.values()]
        for offsets, counts in (_STRIPS, _TILES):
            if offsets in tags and counts in tags:
                starts, sizes = tags[offsets].numbers(contents), tags[counts].numbers(contents)
                ends += map(sum, zip(starts, sizes, strict=False))
    except struct.error:
        return False
    return max(ends, default=0) <= len(contents)


_WHOLE: dict[str, Callable[[bytes], bool]] = {
    "JPEG": _whole_jpeg,
    "PNG": _whole_png,
    "GIF": lambda contents: contents.rstrip(b"\0").endswith(b";"),
    "BMP": lambda contents: len(contents) >= struct.unpack_from("<I", contents, 2)[0],
    "WebP": lambda contents: len(contents) >= 8 + struct.unpack_from("<I", contents, 4)[0],
    "TIFF": _whole_tiff,
}


def _check_size(form: str, width: int, height: int, longest: int = MAX_PIXELS) -> None:
    if width * height == 0:
        raise DecodeError(Rejection("corrupt", f"{form} of {width}x{height} pixels"))
    if width * height > MAX_PIXELS or max(width, height) > longest:
        raise DecodeError(_too_large(form, f" of {width}x{height} pixels"))


def _too_large(form: str, size: str = "") -> Rejection:
    return Rejection("too_large", f"{form}{size}; at most {MAX_PIXELS} pixels in all are decoded")
