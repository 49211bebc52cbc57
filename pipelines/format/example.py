"""The bytes of a `tf.train.Example` as a record has them, without TensorFlow.

    example  = 1: features      features = 1: entry, for each name in alphabetical order
    entry    = 1: name, 2: feature
    feature  = 1: (1: bytes) or 2: (1: packed float32) or 3: (1: packed varints)

as tensorflow/core/example/{example,feature}.proto say, in the wire format of protocol buffers. Serialized
deterministically, as protocol buffers else are not; read strictly: other bytes are none of ours.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np


class Record(NamedTuple):
    """One sample as it is stored."""

    image: bytes
    label: int | None
    """None where images have none of their own"""
    source: str
    copy: int
    targets: bytes = b""
    """entries between those of the label and the source; see `pipelines.format.targets`"""


def serialize(*, image: bytes, label: int | None, source: str, copy: int, targets: bytes = b"") -> bytes:
    """A record's bytes."""
    return b"".join(serialized_parts(image=image, label=label, source=source, copy=copy, targets=targets))


def serialized_parts(
    *, image: bytes, label: int | None, source: str, copy: int, targets: bytes = b""
) -> tuple[bytes, bytes, bytes]:
    """The same in three parts, the image in the middle: who writes many joins them all at once."""
    before, behind = _around(len(image), label, source, copy, targets)
    return before, image, behind


def unpack(data: bytes) -> Record | None:
    """The record of some bytes; None if `serialize` does not make such bytes."""
    head = _HEAD.match(data)
    if head is None:
        return None
    start, end = head.end(), head.end() + _read_varint(head["length"])
    tail = _TAIL.fullmatch(data, end)
    if tail is None:
        return _unpack_annotated(data, start, end, _signed(head["copy"]))
    label, copy = _signed(tail["label"]), _signed(head["copy"])
    try:
        source = tail["source"].decode()
    except UnicodeDecodeError:
        return None
    if (data[:start], data[end:]) != _around(end - start, label, source, copy):
        return None
    return Record(data[start:end], label, source, copy)


def _unpack_annotated(data: bytes, start: int, end: int, copy: int) -> Record | None:
    """The same of a record with other entries behind its image, which lies from `start` to `end`."""
    try:
        entries = list(_entries(data, end))
        (first, values, _), (last, ends, behind) = entries[0], entries[-1]
        label = int(values[0]) if first == b"label" else None
        source = str(ends[0], "utf-8")  # type: ignore[arg-type]  # of anything else a TypeError
    except (ValueError, IndexError, TypeError):
        return None
    after = end if label is None else entries[1][2]
    targets = data[after:behind]
    if last != b"source" or (data[:start], data[end:]) != _around(end - start, label, source, copy, targets):
        return None
    return Record(data[start:end], label, source, copy, targets)


def _around(
    image: int, label: int | None, source: str, copy: int, targets: bytes = b""
) -> tuple[bytes, bytes]:
    """What is before and behind an image of so many bytes, which may be many and are not looked at."""
    first, behind = (
        _entry_of_number(b"copy", copy),
        (b"" if label is None else _entry_of_number(b"label", label)) + targets + _entry_of_source(source),
    )
    entry = _before(b"image", 1, image)
    return _opening(1, len(first) + len(entry) + image + len(behind)) + first + entry, behind


@functools.lru_cache(maxsize=1024)
def _entry_of_number(name: bytes, value: int) -> bytes:
    return _entry(name, 3, _field(1, _varint(value % (1 << 64))))


@functools.lru_cache(maxsize=64)  # the copies of a source come one after the other
def _entry_of_source(source: str) -> bytes:
    return _entry(b"source", 1, _field(1, source.encode()))


def entry_of_numbers(name: bytes, values: Sequence[int]) -> bytes:
    """Of int64, perhaps none."""
    small = values and 0 <= min(values) <= max(values) < 128
    packed = bytes(values) if small else b"".join(_varint(value % (1 << 64)) for value in values)
    return _entry_of(name, 3, packed) if packed else _entry(name, 3, b"")


def entry_of_floats(name: bytes, values: Sequence[float]) -> bytes:
    """Of numbers, perhaps none, which are rounded to float32."""
    packed = np.array(values, "<f4").tobytes()
    return _entry_of(name, 2, packed) if packed else _entry(name, 2, b"")


def entry_of_bytes(name: bytes, value: bytes) -> bytes:
    return _entry_of(name, 1, value)


def features(entries: bytes) -> bytes:
    """An Example of some entries."""
    return _field(1, entries)


Values = list[bytes] | list[float] | list[int]


def lists(entries: bytes) -> dict[bytes, Values]:
    """What some entries hold, by name. Raises ValueError unless they are entries, in the order of names."""
    found: dict[bytes, Values] = {}
    for name, values, _ in _entries(entries, 0):
        if found and name <= next(reversed(found)):
            raise ValueError(f"entry {name!r} is out of order")
        found[name] = values
    return found


def _entries(data: bytes, at: int) -> Iterator[tuple[bytes, Values, int]]:
    """Name, values and beginning of each entry; of the last of all the end is that of the data.

    Raises ValueError for what is none.
    """
    while at < len(data):
        begin = at
        at, entry = _sized(data, at, 10)
        behind, name = _sized(entry, 0, 10)
        behind, feature = _sized(entry, behind, 18)
        if behind != len(entry) or not feature:
            raise ValueError("an entry has more than a name and a feature")
        behind, packed = _sized(feature, 0, feature[0])
        if behind != len(feature):
            raise ValueError("a feature has more than one list")
        yield name, _values(feature[0] >> 3, packed), begin


def _values(kind: int, packed: bytes) -> Values:
    if not packed and kind in (1, 2, 3):
        return []
    behind, values = _sized(packed, 0, 10)
    if behind != len(packed) or kind not in (1, 2, 3):
        raise ValueError("a list is none that is written here")
    if kind == 1:
        return [values]
    if kind == 2:
        return np.frombuffer(values, "<f4").astype(float).tolist()
    numbers = [_signed(match[0]) for match in _VARINT.finditer(values)]
    if any(number >= 1 << 63 for number in numbers):
        raise ValueError("a number has more than 64 bits")
    return numbers


_VARINT = re.compile(rb"[\x80-\xff]{0,9}[\x00-\x7f]", re.DOTALL)


def _sized(data: bytes, at: int, tag: int) -> tuple[int, bytes]:
    """Where a field of a length ends, and what it holds. Raises ValueError if it is not there in full."""
    length = _VARINT.match(data, at + 1)
    if length is None or data[at] != tag:
        raise ValueError(f"there is no field {tag >> 3} at {at}")
    end = length.end() + _read_varint(length[0])
    if end > len(data):
        raise ValueError("a field is longer than what holds it")
    return end, data[length.end() : end]


def _entry_of(name: bytes, kind: int, value: bytes) -> bytes:
    """An entry of one value, or of numbers that are packed to one."""
    return _before(name, kind, len(value)) + value


def _before(name: bytes, kind: int, length: int) -> bytes:
    """What stands in such an entry before its value, which has so many bytes."""
    value = _opening(1, length)
    values = _opening(kind, len(value) + length) + value
    feature = _name(name) + _opening(2, len(values) + length) + values
    return _opening(1, len(feature) + length) + feature


@functools.lru_cache(maxsize=1024)
def _name(name: bytes) -> bytes:
    return _field(1, name)


def _entry(name: bytes, kind: int, values: bytes) -> bytes:
    return _field(1, _name(name) + _field(2, _field(kind, values)))


def _field(number: int, content: bytes) -> bytes:
    """A field whose content has a length: of the wire type 2."""
    return _opening(number, len(content)) + content


def _opening(number: int, length: int) -> bytes:
    return _TAGS[number] + _varint(length)


_TAGS = [bytes((number << 3 | 2,)) for number in range(4)]


def _varint(value: int) -> bytes:
    if value < 1 << 7:
        return bytes((value,))
    if value < 1 << 14:
        return bytes((value & 0x7F | 0x80, value >> 7))
    return bytes((value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80)) + _varint(value >> 14)


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
