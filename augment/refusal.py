"""Why a file that cannot be decoded cannot be: in words of our own, for Pillow's contain addresses."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable

from augment import netpbm
from augment.containers import boxes, chunks, directory, segments
from augment.formats import MAX_SCANS, DecodeError, Rejection, check_size, file_format

READ = ("JPEG", "PNG", "GIF", "BMP", "WebP", "TIFF", "AVIF", "HEIF", "JPEG 2000", "Netpbm")
"""Formats that are read."""

FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG markers of what says how large the image is."""

_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 259, 262, 339
_COMPRESSIONS = (1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32946, 34925, 50000)
"""Of TIFF, those that Pillow's libtiff decodes."""
_STRIPS, _TILES, _SUBDIRECTORIES = (273, 279), (324, 325), (34665, 34853, 40965)


def why_not(contents: bytes, said: str = "") -> Rejection:
    """The reason for bytes that cannot be decoded; `said` is what Pillow said to them."""
    if not contents:
        return Rejection("empty", "the file has no bytes")
    form = file_format(contents)
    if form is None:
        return Rejection("not_an_image", f"its first bytes are {contents[:8].hex(' ')}")
    if form not in READ:
        return Rejection("unsupported", f"{form} files are not read: convert it to PNG or JPEG")
    try:
        whole = _WHOLE[form](contents)
    except DecodeError as error:
        return error.rejection
    if not whole:
        before = (
            "without the marker of its end" if form in ("JPEG", "GIF") else "before what it says it holds"
        )
        return Rejection("truncated", f"{form} ends after {len(contents)} bytes, {before}")
    unknown = _UNKNOWN.get(form)
    kind = unknown(contents, said) if unknown else ""
    if kind:
        return Rejection("unsupported", f"{form} {kind} has no rule: convert it to 8-bit RGB")
    return Rejection("corrupt", f"{form} data cannot be decoded")


def check_scans(contents: bytes) -> bool:
    """True for JPEG bytes that take no more than MAX_SCANS passes to decode."""
    scans = 0
    for marker, _ in segments(contents):
        scans += marker == 0xDA
        if scans > MAX_SCANS:
            return False
    return True


def tags_fit(tiff: bytes) -> bool:
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
        if marker in FRAMES and len(body) >= 5:
            precision, height, width = struct.unpack_from(">BHH", body)
            check_size("JPEG", width, height, longest=65_500)
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
            check_size("PNG", width, height, longest=1_000_000)
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


def _unknown_tiff(contents: bytes, said: str) -> str:
    """Of which kind a TIFF is that nobody reads here; empty if it is of a usual one."""
    with contextlib.suppress(struct.error):
        tags = {tag.number: tag.numbers(contents) for tag in directory(contents)}

        def first(number: int) -> int:
            return next(iter(tags.get(number, ())), 1)

        if first(_COMPRESSION) not in _COMPRESSIONS:
            return f"of compression {first(_COMPRESSION)}"
        if said == "unknown pixel mode":
            kind = {1: "", 2: " signed", 3: " floating point"}.get(first(_SAMPLE_FORMAT), " of no known kind")
            bits = f"{len(tags.get(_BITS, ())) or 1} x {first(_BITS)} bits{kind}"
            return f"of {bits}, photometric interpretation {first(_PHOTOMETRIC)},"
    return ""


def _unknown_png(contents: bytes, said: str) -> str:
    return "with Apple's CgBI chunk" if contents[12:16] == b"CgBI" else ""


def _unknown_bmp(contents: bytes, said: str) -> str:
    return "of this depth and compression" if said.startswith("Unsupported BMP") else ""


_UNKNOWN: dict[str, Callable[[bytes, str], str]] = {
    "TIFF": _unknown_tiff,
    "PNG": _unknown_png,
    "BMP": _unknown_bmp,
}


def _whole_boxes(contents: bytes) -> bool:
    return all(end <= len(contents) for _, _, end in boxes(contents))


def _whole_jpeg_2000(contents: bytes) -> bool:
    if contents.startswith(b"\xff"):  # a codestream without boxes
        return contents.rstrip(b"\0").endswith(b"\xff\xd9")
    kinds = [kind for kind, _, _ in boxes(contents)]
    return b"jp2c" in kinds and _whole_boxes(contents)


def _whole_netpbm(contents: bytes) -> bool:
    said = netpbm.header(contents)
    if said is None:
        return len(contents) > 64  # in which a header has room
    check_size("Netpbm", said.width, said.height)
    if said.kind < 4:
        return netpbm.plain_values(contents, said) >= said.width * said.height * said.channels
    return len(contents) - said.start >= said.data_bytes


_WHOLE: dict[str, Callable[[bytes], bool]] = {
    "JPEG": _whole_jpeg,
    "PNG": _whole_png,
    "GIF": lambda contents: contents.rstrip(b"\0").endswith(b";"),
    "BMP": lambda contents: len(contents) >= struct.unpack_from("<I", contents, 2)[0],
    "WebP": lambda contents: len(contents) >= 8 + struct.unpack_from("<I", contents, 4)[0],
    "TIFF": _whole_tiff,
    "AVIF": _whole_boxes,
    "HEIF": _whole_boxes,
    "JPEG 2000": _whole_jpeg_2000,
    "Netpbm": _whole_netpbm,
}
