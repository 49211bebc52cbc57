"""How high and wide an image is, which its header tells for the formats that most images have."""

from __future__ import annotations

import struct

from augment import codec
from augment.codec.formats import file_format
from augment.codec.orientation import orientation
from augment.codec.parts import segments
from pipelines import storage
from pipelines.sources.reading import read_source, source_path

_HEAD = 1 << 16

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""The markers of JPEG that begin a frame."""


def upright_size(root: str, source: str) -> tuple[int, int]:
    """Height and width of a source, as it is decoded: upright.

    On a disk, 64 KiB of a JPEG or PNG are read; from a store, and of other formats, the whole file. Raises
    DecodeError for what cannot be decoded, as far as that shows, and OSError.
    """
    if storage.at(root).is_file_system:
        with storage.at(source_path(root, source)).open(buffering=0) as file:
            size = _in_head(file.read(_HEAD))
        if size is not None:
            return size
    return upright_size_of(read_source(root, source))


def upright_size_of(contents: bytes) -> tuple[int, int]:
    """The same of a file's contents. Raises DecodeError."""
    size = _in_head(contents)
    if size is not None:
        return size
    height, width, _ = codec.decode(contents).shape
    return height, width


def _in_head(contents: bytes) -> tuple[int, int] | None:
    """None where it takes more of the file."""
    form = file_format(contents)
    if form == "JPEG":
        frames = (body for marker, body in segments(contents) if marker in _FRAMES and len(body) >= 6)
        sides = next((struct.unpack_from(">HH", body, 1) for body in frames), None)
    elif form == "PNG" and contents[12:16] == b"IHDR" and b"IDAT" in contents:  # behind which no EXIF counts
        sides = struct.unpack_from(">II", contents, 16)[::-1]
    else:
        sides = None
    if sides is None:
        return None
    height, width = sides
    return (width, height) if orientation(form or "", contents) >= 5 else (height, width)
