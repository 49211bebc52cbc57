"""Why a file that Pillow did not read could not be: in words of our own, for Pillow's contain addresses."""

from __future__ import annotations

import struct
from collections.abc import Callable

from augment.codec import tiff
from augment.codec.parts import boxes
from augment.codec.rejection import Rejection, corrupt, truncated, without_rule


def why_not(form: str, contents: bytes, said: str = "") -> Rejection:
    """The reason; `said` is what Pillow said to these bytes."""
    if not _WHOLE[form](contents):
        return truncated(form, contents)
    unknown = _UNKNOWN.get(form)
    kind = unknown(contents, said) if unknown else ""
    return without_rule(form, kind) if kind else corrupt(form)


def _unknown_bmp(contents: bytes, said: str) -> str:
    return "of this depth and compression" if said.startswith("Unsupported BMP") else ""


_UNKNOWN: dict[str, Callable[[bytes, str], str]] = {"TIFF": tiff.unknown_kind, "BMP": _unknown_bmp}


def _whole_boxes(contents: bytes) -> bool:
    return all(end <= len(contents) for _, _, end in boxes(contents))


def _whole_jpeg_2000(contents: bytes) -> bool:
    if contents.startswith(b"\xff"):  # a codestream without boxes
        return contents.rstrip(b"\0").endswith(b"\xff\xd9")
    kinds = [kind for kind, _, _ in boxes(contents)]
    return b"jp2c" in kinds and _whole_boxes(contents)


_WHOLE: dict[str, Callable[[bytes], bool]] = {
    "GIF": lambda contents: contents.rstrip(b"\0").endswith(b";"),
    "BMP": lambda contents: len(contents) >= struct.unpack_from("<I", contents, 2)[0],
    "WebP": lambda contents: len(contents) >= 8 + struct.unpack_from("<I", contents, 4)[0],
    "TIFF": tiff.whole,
    "AVIF": _whole_boxes,
    "HEIF": _whole_boxes,
    "JPEG 2000": _whole_jpeg_2000,
}
