"""The bytes of a `tf.train.Example` as a record has them, without TensorFlow.

    example  = 1: features      features = 1: entry, for each name in alphabetical order
    entry    = 1: name, 2: feature
    feature  = 1: (1: bytes) or 3: (1: packed varints)

as tensorflow/core/example/{example,feature}.proto say, in the wire format of protocol buffers. Serialized
deterministically, as protocol buffers else are not; read strictly: other bytes are none of ours.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple


class Record(NamedTuple):
    """One sample as it is stored."""

    image: bytes
    label: int
    source: str
    copy: int


def serialize(*, image: bytes, label: int, source: str, copy: int) -> bytes:
    """A record's bytes."""
    before, behind = _around(len(image), label, source, copy)
    return b"".join((before, image, behind))


def unpack(data: bytes) -> Record | None:
    """The record of some bytes; None if `serialize` does not make such bytes."""
    head = _HEAD.match(data)
    if head is None:
        return None
    start, end = head.end(), head.end() + _read_varint(head["length"])
    tail = _TAIL.fullmatch(data, end)
    if tail is None:
        return None
    label, copy = _signed(tail["label"]), _signed(head["copy"])
    try:
        source = tail["source"].decode()
    except UnicodeDecodeError:
        return None
    if (data[:start], data[end:]) != _around(end - start, label, source, copy):
        return None
    return Record(data[start:end], label, source, copy)


def _around(image: int, label: int, source: str, copy: int) -> tuple[bytes, bytes]:
    """What is before and behind an image of so many bytes, which may be many and are not looked at."""
    first, behind = (
        _entry_of_number(b"copy", copy),
        _entry_of_number(b"label", label) + _entry_of_source(source),
    )
    value = _opening(1, image)
    values = _opening(1, len(value) + image) + value
    feature = b"\n\x05image" + _opening(2, len(values) + image) + values
    entry = _opening(1, len(feature) + image) + feature
    return _opening(1, len(first) + len(entry) + image + len(behind)) + first + entry, behind


@functools.lru_cache(maxsize=1024)
def _entry_of_number(name: bytes, value: int) -> bytes:
    return _entry(name, 3, _field(1, _varint(value % (1 << 64))))


@functools.lru_cache(maxsize=64)  # the copies of a source come one after the other
def _entry_of_source(source: str) -> bytes:
    return _entry(b"source", 1, _field(1, source.encode()))


def _entry(name: bytes, kind: int, values: bytes) -> bytes:
    return _field(1, _field(1, name) + _field(2, _field(kind, values)))


def _field(number: int, content: bytes) -> bytes:
    """A field whose content has a length: of the wire type 2."""
    return _opening(number, len(content)) + content


@functools.lru_cache(maxsize=4096)
def _opening(number: int, length: int) -> bytes:
    return bytes([number << 3 | 2]) + _varint(length)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _pattern(record: bytes) -> re.Pattern[bytes]:
    """Of bytes with spaces between them and V for a length or a number."""
    return re.compile(record.replace(b" ", b"").replace(b"V", rb"[\x80-\xff]{0,9}[\x00-\x7f]"), re.DOTALL)


_HEAD = _pattern(
    rb"\nV \nV \n\x04copy \x12V \x1aV \nV (?P<copy>V) \nV \n\x05image \x12V \nV \n (?P<length>V)"
)
_TAIL = _pattern(
    rb"\nV \n\x05label \x12V \x1aV \nV (?P<label>V) \nV \n\x06source \x12V \nV \nV (?P<source>.*)"
)


def _signed(data: bytes) -> int:
    value = _read_varint(data)
    return value - (1 << 64) if value >= 1 << 63 else value


def _read_varint(data: bytes) -> int:
    value = 0
    for place, byte in enumerate(data):
        value |= (byte & 0x7F) << (7 * place)
    return value
