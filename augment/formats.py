"""Which formats image files come in, by their first bytes, and the bounds within which they are read."""

from __future__ import annotations

import dataclasses
import re

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
    "BMP": rb"BM.{12}[\x0c-\xfe]\0\0\0",
    "WebP": rb"RIFF.{4}WEBP",
    "TIFF": rb"II\*\0|MM\0\*",
    # Of the brands that AVIF shares with HEIF, the compatible ones tell.
    "AVIF": rb".{4}ftyp(?:avi[fs]|(?:mif1|msf1).{4}(?:.{4}){0,15}?avi[fs])",
    "HEIF": rb".{4}ftyp(?:hei|hev|mif|msf)",
    "JPEG 2000": rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    "Netpbm": rb"P[1-6][\s#]",
    # What people have and we refuse, by name.
    "BigTIFF": rb"II\+\0|MM\0\+",
    "JPEG XL": rb"\0\0\0\x0cJXL |\xff\x0a",
    "Photoshop": rb"8BPS",
    "icon": rb"\0\0[\1\2]\0",
    "PAM": rb"P7\s",
    "PFM": rb"P[Ff]\s",
    "SVG": rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.{0,500}?-->\s*)?(?:<!DOCTYPE[^>]*>\s*)?<svg",
    "PDF": rb"%PDF-",
    "OpenEXR": rb"\x76\x2f\x31\x01",
}
_BEGINNING = re.compile(b"|".join(b"(%s)" % pattern for pattern in _BEGINNINGS.values()), re.DOTALL)


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


def check_size(form: str, width: int, height: int, longest: int = MAX_PIXELS) -> None:
    """Raises DecodeError for an image without pixels, and for one that is too large."""
    if width * height == 0:
        raise DecodeError(Rejection("corrupt", f"{form} of {width}x{height} pixels"))
    if width * height > MAX_PIXELS or max(width, height) > longest:
        raise DecodeError(too_large(form, f" of {width}x{height} pixels"))


def too_large(form: str, size: str = "") -> Rejection:
    return Rejection(
        "too_large",
        f"{form}{size}; at most {MAX_PIXELS} pixels in all are decoded: shrink it, or cut it into parts",
    )
