"""Which formats image files come in: by their first bytes, never by their extension."""

from __future__ import annotations

import re

_EXTENSIONS = (
    "jpg jpeg jpe jfif mpo png apng gif bmp dib webp tif tiff avif avifs heic heif hif "
    "jp2 j2k jpf jpx jpc j2c ppm pgm pbm pnm"
)
EXTENSIONS = frozenset(f".{name}" for name in _EXTENSIONS.split())
"""What makes a file an image's, whatever its case."""

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


def file_format(contents: bytes) -> str | None:
    """The format that the first bytes show."""
    found = _BEGINNING.match(contents)
    return list(_BEGINNINGS)[found.lastindex - 1] if found and found.lastindex else None
