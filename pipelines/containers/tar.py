"""The members of a tar, by its headers alone: ustar, with long names as GNU and POSIX (pax) have them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

BLOCK = 512

_LONGEST = 1 << 20
"""Of what stands before a member, such as a long name, in bytes."""


class Member(NamedTuple):
    """What has a name in a tar."""

    name: bytes
    offset: int
    """where its contents begin in the tar"""
    size: int
    kind: str
    """file, folder or other"""


class DamagedTar(ValueError):
    """Why nothing more can be read of a tar, as the predicate of a sentence about it."""


class Unended(DamagedTar):
    """A tar that ends behind a member, without the mark of an end: perhaps it was cut off."""


def members(read: Callable[[int, int], bytes], size: int) -> Iterator[Member]:
    """All members of a tar of `size` bytes, in order. Raises DamagedTar where it cannot be read any further.

    `read` gives so many bytes, or fewer at the end, from a place on; it is asked for headers alone.
    """
    at, long_name, more = 0, b"", dict[bytes, bytes]()
    while True:
        header = read(at, BLOCK)
        if not header and at:
            raise Unended("ends without the mark of an end")
        if len(header) < BLOCK:
            raise DamagedTar(f"ends within a header, at byte {at:,}")
        if not any(header):
            at = _behind_zeros(read, at)
            if at >= size:
                return
            continue
        if _number(header[148:156]) != sum(header) - sum(header[148:156]) + 8 * ord(" "):
            raise DamagedTar(f"has no header at byte {at:,}, where one is due")
        length, kind = _number(header[124:136]), header[156:157]
        if kind not in b"xgLK" and b"size" in more:
            length = _decimal(more[b"size"])
        if kind in _EMPTY:
            length = 0
        begin = at + BLOCK if kind != b"S" else _behind_map(read, at + BLOCK, header[482])
        if length is None or length > size - begin:
            raise DamagedTar(f"ends within what begins at byte {at:,}")
        at = begin + -(-length // BLOCK) * BLOCK
        if kind in b"xgLK":
            if length > _LONGEST:
                raise DamagedTar(f"has a name of {length:,} bytes at byte {begin:,}")
            if kind == b"L":
                long_name = read(begin, length).rstrip(b"\0")
            elif kind == b"x":
                more = dict(_records(read(begin, length)))
            continue
        name = more.get(b"GNU.sparse.name") or more.get(b"path") or long_name or _name(header)
        yield Member(name, begin, length, _KINDS.get(kind, "other") if not _is_sparse(more) else "other")
        long_name, more = b"", {}


def _behind_zeros(read: Callable[[int, int], bytes], at: int) -> int:
    """Where a block is not empty, or the tar ends: behind the mark of an end another tar may be joined."""
    while block := read(at, _LONGEST):
        if any(block):
            return at + (len(block) - len(block.lstrip(b"\0"))) // BLOCK * BLOCK
        at += len(block)
    return at


_KINDS = {b"0": "file", b"\0": "file", b"7": "file", b"5": "folder"}
_EMPTY = (b"1", b"2", b"3", b"4", b"5", b"6")
"""Kinds of which nothing follows, whatever their header says: some write the size of what a link leads to."""


def _behind_map(read: Callable[[int, int], bytes], at: int, more: int) -> int:
    """Where the contents begin of a file with holes, as GNU had them before pax: behind its map's blocks."""
    while more:
        block = read(at, BLOCK)
        if len(block) < BLOCK:
            raise DamagedTar(f"ends within a header, at byte {at:,}")
        at, more = at + BLOCK, block[504]
    return at


def _name(header: bytes) -> bytes:
    name, prefix = header[:100].split(b"\0")[0], header[345:500].split(b"\0")[0]
    return prefix + b"/" + name if prefix and header[257:263] == b"ustar\0" else name


def _is_sparse(more: dict[bytes, bytes]) -> bool:
    return any(key.startswith(b"GNU.sparse") for key in more)


def _number(field: bytes) -> int | None:
    """In octal digits, or as GNU has large ones; None for what is none."""
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big") if field[0] == 0x80 else None
    digits = field.strip(b" \0")
    return int(digits or b"0", 8) if not digits.strip(b"01234567") else None


def _decimal(digits: bytes) -> int | None:
    return int(digits) if len(digits) < 20 and digits.isdigit() else None


def _records(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a pax header: `<length> <key>=<value>` and a line's end, of that length in all."""
    at = 0
    while at < len(content):
        digits, _, _ = content[at : at + 20].partition(b" ")
        length = _decimal(digits)
        if not length or length > len(content) - at or length <= len(digits) + 1:
            raise DamagedTar("has a header of pax that is none")
        key, _, value = content[at + len(digits) + 1 : at + length - 1].partition(b"=")
        yield key, value
        at += length
