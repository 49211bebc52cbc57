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
    return b"".join(_parts(Record(image, label, source, copy)))


def unpack(data: bytes) -> Record | None:
    """The record of some bytes; None if `serialize` does not make such bytes."""
    head = _HEAD.match(data)
    if head is None:
        return None
    start, end = head.end(), head.end() + _read_varint(head["length"])
    tail = _TAIL.fullmatch(data, end)
    if tail is None:
        return None
    try:
        source = tail["source"].decode()
    except UnicodeDecodeError:
        return None
    record = Record(data[start:end], _signed(tail["label"]), source, _signed(head["copy"]))
    # What stands around the image has to be what `serialize` writes there; the image is not looked at twice.
    *before, _, label, source_entry = _parts(record)
    return record if b"".join(before) == data[:start] and label + source_entry == data[end:] else None


Parts = tuple[bytes, ...]
"""Bytes one after the other, joined once at the end: an image is copied as seldom."""


def _parts(record: Record) -> Parts:
    """The image, what is before it, and the two entries behind it."""
    entries = (
        _entry_of_number(b"copy", record.copy),
        *_entry(b"image", _text(record.image)),
        _entry_of_number(b"label", record.label),
        _entry_of_source(record.source),
    )
    return _field(1, *entries)


def _entry(name: bytes, feature: Parts) -> Parts:
    return _field(1, *_field(1, name), *_field(2, *feature))


@functools.lru_cache(maxsize=1024)
def _entry_of_number(name: bytes, value: int) -> bytes:
    return b"".join(_entry(name, _field(3, *_field(1, _varint(value % (1 << 64))))))


@functools.lru_cache(maxsize=64)  # the copies of a source come one after the other
def _entry_of_source(source: str) -> bytes:
    return b"".join(_entry(b"source", _text(source.encode())))


def _text(value: bytes) -> Parts:
    return _field(1, *_field(1, value))


def _field(number: int, *content: bytes) -> Parts:
    """A field whose content has a length: of the wire type 2."""
    return bytes([number << 3 | 2]) + _varint(sum(map(len, content))), *content


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
