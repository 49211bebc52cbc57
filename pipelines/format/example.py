"""The bytes of a `tf.train.Example` as a record has them, without TensorFlow.

    example  = 1: features      features = 1: entry, for each name in alphabetical order
    entry    = 1: name, 2: feature
    feature  = 1: (1: bytes) or 3: (1: packed varints)

as tensorflow/core/example/{example,feature}.proto say, in the wire format of protocol buffers. Serialized
deterministically, as protocol buffers else are not; read strictly: other bytes are none of ours.
"""

from __future__ import annotations

import functools
from typing import NamedTuple


class Record(NamedTuple):
    """One sample as it is stored."""

    image: bytes
    label: int
    source: str
    copy: int


def serialize(*, image: bytes, label: int, source: str, copy: int) -> bytes:
    """A record's bytes."""
    entries = (
        *_entry_of_number(b"copy", copy),
        *_entry(b"image", _text(image)),
        *_entry_of_number(b"label", label),
        *_entry_of_source(source),
    )
    return b"".join(_field(1, *entries))


def unpack(data: bytes) -> Record | None:
    """The record of some bytes; None if `serialize` does not make such bytes."""
    try:
        features = memoryview(data)
        [features] = _fields(features, 1)
        values = {}
        for entry in _fields(features, 1):
            name, feature = _fields(entry, 1, 2)
            values[bytes(name)] = feature
        record = Record(
            image=bytes(_only(values[b"image"], 1)),
            label=_signed(_only(values[b"label"], 3)),
            source=bytes(_only(values[b"source"], 1)).decode(),
            copy=_signed(_only(values[b"copy"], 3)),
        )
    except (ValueError, KeyError, IndexError):
        return None
    return record if serialize(**record._asdict()) == data else None


Parts = tuple[bytes, ...]
"""Bytes one after the other, joined once at the end: an image is copied as seldom."""


def _entry(name: bytes, feature: Parts) -> Parts:
    return _field(1, *_field(1, name), *_field(2, *feature))


@functools.lru_cache(maxsize=1024)
def _entry_of_number(name: bytes, value: int) -> Parts:
    return (b"".join(_entry(name, _field(3, *_field(1, _varint(value % (1 << 64)))))),)


@functools.lru_cache(maxsize=64)  # the copies of a source come one after the other
def _entry_of_source(source: str) -> Parts:
    return (b"".join(_entry(b"source", _text(source.encode()))),)


def _text(value: bytes) -> Parts:
    return _field(1, *_field(1, value))


def _field(number: int, *content: bytes) -> Parts:
    """A field whose content has a length: of the wire type 2."""
    return _head(number, sum(map(len, content))), *content


@functools.lru_cache(maxsize=1 << 14)
def _head(number: int, length: int) -> bytes:
    return bytes([number << 3 | 2]) + _varint(length)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _fields(data: memoryview, *numbers: int) -> list[memoryview]:
    """The contents of fields, all of one number, or one of each. Raises ValueError or IndexError."""
    found: list[memoryview] = []
    at = 0
    while at < len(data):
        number = numbers[min(len(found), len(numbers) - 1)]
        if data[at] != number << 3 | 2:
            raise ValueError("another field")
        length, at = _read_varint(data, at + 1)
        if at + length > len(data):
            raise ValueError("the field has no end")
        found.append(data[at : at + length])
        at += length
    return found


def _only(feature: memoryview, number: int) -> memoryview:
    """The only value of a feature's list."""
    [values] = _fields(feature, number)
    [value] = _fields(values, 1)
    return value


def _signed(data: memoryview) -> int:
    value, end = _read_varint(data, 0)
    if end != len(data):
        raise ValueError("more than one number")
    return value - (1 << 64) if value >= 1 << 63 else value


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        byte = data[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise ValueError("a number of more than ten bytes")
