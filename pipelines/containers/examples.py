"""Anybody's `tf.train.Example`, without TensorFlow: its fields may come in any order and form.

`pipelines.format.example` has the form in which it is written here, and reads no other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

Kind = Literal["bytes", "floats", "numbers", "none"]

_KINDS: dict[int, Kind] = {1: "bytes", 2: "floats", 3: "numbers"}
_VARINT, _SIZED, _OF_SIZE = 0, 2, {1: 8, 5: 4}
"""Types of the wire format of protocol buffers; of fixed sizes two."""


class BadExample(ValueError):
    """Why bytes are no Example, as the end of a sentence."""


class Feature(NamedTuple):
    """One feature's values, which are read when they are asked for."""

    kind: Kind
    data: bytes
    """of the whole Example"""
    lists: tuple[tuple[int, int], ...]
    """where the parts of its list begin and end"""

    @property
    def is_empty(self) -> bool:
        """Whether it has no values at all."""
        return all(begin == end for begin, end in self.lists)

    def spans(self) -> list[tuple[int, int]]:
        """Where each of its texts begins and ends; none of another kind. Raises BadExample."""
        return [(begin, end) for wire, begin, end in self._values("bytes") if wire == _SIZED]

    def floats(self) -> np.ndarray:
        """float64 [n] of float32; none of another kind. Raises BadExample."""
        parts = b"".join(
            self.data[begin:end] for wire, begin, end in self._values("floats") if wire in (2, 5)
        )
        if len(parts) % 4:
            raise BadExample("it has a part of a float")
        with np.errstate(invalid="ignore"):  # of what is no number, of which there are two kinds
            return np.frombuffer(parts, "<f4").astype(np.float64)

    def numbers(self) -> list[int]:
        """int64; none of another kind. Raises BadExample."""
        found = []
        for wire, at, end in self._values("numbers"):
            while at < end and wire in (_VARINT, _SIZED):
                value, at = _varint(self.data, at, end)
                found.append(value - (1 << 64) if value >= 1 << 63 else value)
        return found

    def check(self) -> None:
        """Raises BadExample if its values cannot be read."""
        self.spans(), self.floats(), self.numbers()

    def _values(self, kind: Kind) -> Iterator[tuple[int, int, int]]:
        for begin, end in self.lists if kind == self.kind else ():
            for number, wire, *place in _fields(self.data, begin, end):
                if number == 1:
                    yield wire, place[0], place[1]


def features(data: bytes) -> dict[str, Feature]:
    """By name. Raises BadExample for what is no Example."""
    found: dict[str, Feature] = {}
    for _, begin, end in _parts(data, 0, len(data), 1):
        for _, begins, ends in _parts(data, begin, end, 1):
            name, feature = "", Feature("none", data, ())
            for number, wire, *place in _fields(data, begins, ends):
                if number == 1 and wire == _SIZED:
                    name = _text(data[place[0] : place[1]])
                elif number == 2 and wire == _SIZED:
                    feature = _feature(data, place[0], place[1])
                else:  # of which readers think differently
                    raise BadExample("a feature has something else than a name and values")
            found[name] = feature
    return found


def _feature(data: bytes, begin: int, end: int) -> Feature:
    """The kind that comes last counts, as of any field of which there is one."""
    kind: Kind = "none"
    lists: list[tuple[int, int]] = []
    for number, begins, ends in _parts(data, begin, end):
        if number in _KINDS:
            if _KINDS[number] != kind:
                kind, lists = _KINDS[number], []
            lists.append((begins, ends))
    return Feature(kind, data, tuple(lists))


def _parts(data: bytes, at: int, end: int, wanted: int | None = None) -> Iterator[tuple[int, int, int]]:
    """The number of each field that has a size, with where it begins and ends."""
    for number, wire, *place in _fields(data, at, end):
        if wire == _SIZED and wanted in (None, number):
            yield number, place[0], place[1]


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """The number and the type of each field, with where what it holds begins and ends."""
    while at < end:
        key, at = _varint(data, at, end)
        wire, begin = key & 7, at
        if wire == _SIZED:
            size, begin = _varint(data, at, end)
            at = begin + size
        elif wire == _VARINT:
            _, at = _varint(data, at, end)
        elif wire in _OF_SIZE:
            at += _OF_SIZE[wire]
        else:
            raise BadExample(f"there is no field of type {wire}")
        if at > end or not key >> 3:
            raise BadExample("a field is longer than what holds it, or has no number")
        yield key >> 3, wire, begin, at


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value & (1 << 64) - 1, at
    raise BadExample("a number does not end")


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BadExample("the name of a feature is not UTF-8") from None
