"""TFRecord files: records with their lengths and checks, one after the other."""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import BinaryIO, NamedTuple

import google_crc32c
import numpy as np

from augment.ops import Size
from pipelines import storage
from pipelines.format.bounds import record_bytes
from pipelines.storage import disk

_BUFFER = 1 << 20


class ShardWriter:
    """Writes one TFRecord file under a name of its own, to be moved into place when done.

    The format is TensorFlow's (tensorflow/core/lib/io/record_writer.h): length, its masked
    CRC-32C, data, their masked CRC-32C. Written here because the digest of the file is
    then had in passing, and TensorFlow's writer makes several system calls a record.

    As a context it closes the file; a file that was not finished is removed.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.records = 0
        self._file = disk.create(path, buffering=0)  # closed by __exit__
        self._digest = hashlib.sha256()
        self._bytes = 0

    def write(self, framed: bytes | memoryview, records: int = 1) -> None:
        """Records that come next, as `framed` makes them, one after the other: best many at a time."""
        data = memoryview(framed)
        self.records += records
        self._digest.update(data)
        self._bytes += len(data)
        while data:  # a disk that is nearly full takes a part, and refuses the rest
            data = data[self._file.write(data) :]

    def finish(self) -> tuple[int, str]:
        """Closes the file; its size in bytes and its SHA-256."""
        self._file.close()
        return self._bytes, self._digest.hexdigest()

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if os.path.exists(self.path):
            os.remove(self.path)


def framed(record: bytes) -> bytes:
    """A record as it lies in a file: its length and its data, each with their check."""
    return b"".join(framed_parts(record))


def framed_parts(*parts: bytes) -> Sequence[bytes]:
    """The same in parts, of a record in some parts."""
    length = struct.pack("<Q", sum(map(len, parts)))
    return length, masked_crc(length), *parts, masked_crc(*parts)


class Frame(NamedTuple):
    """One record of a shard as it lies there."""

    start: int
    """where its data begin in the file"""
    data: bytes
    sound: bool
    """whether the data have the CRC that the file says"""


class FramingError(ValueError):
    """Raised where the records of a shard cannot be told apart any more; says why."""


def frames(read: Callable[[int, int], bytes], size: int, largest: int) -> Iterator[tuple[int, int]]:
    """Where each record's data begin in a TFRecord file of `size` bytes, and how many they are.

    `read` gives so many bytes, or fewer at the end, from a place on; it is asked for lengths alone. A
    length may say anything: raises FramingError for one that is not sound, does not fit into the file, or is
    above `largest`, before anything of the record is read.
    """
    start = 0
    while start < size:
        header = read(start, 12)
        length = int.from_bytes(header[:8], "little")
        if len(header) < 12:
            raise FramingError("the file ends within the length of the record")
        if header[8:] != masked_crc(header[:8]):
            raise FramingError("the length of the record does not have its CRC")
        if length + 4 > size - start - 12:
            raise FramingError("the file ends within the record")
        if length > largest:
            raise FramingError(f"the record has {length:,} bytes; one of its images has at most {largest:,}")
        yield start + 12, length
        start += 12 + length + 4


def frames_of(file: BinaryIO, image_size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Where the records of a shard begin, and how long they are: int64 [n] each.

    `file` is on this machine's disk. Raises FramingError if it is damaged, OSError if it cannot be read.
    """
    number = file.fileno()
    size = os.fstat(number).st_size
    found = list(frames(lambda at, count: os.pread(number, count, at), size, record_bytes(image_size)))
    starts, lengths = np.array(found, np.int64).reshape(-1, 2).T
    return starts, lengths


def read_records(path: str, numbers: set[int], image_size: Size) -> Iterator[tuple[int, bytes]]:
    """The bytes of some records of a shard by their number. Ends early where the shard is damaged."""
    with storage.at(path).open(buffering=0) as file, contextlib.suppress(FramingError):
        opened = file.fileno()
        places = frames(
            lambda at, count: os.pread(opened, count, at),
            os.fstat(opened).st_size,
            record_bytes(image_size),
        )
        for number, (start, length) in zip(range(max(numbers, default=-1) + 1), places, strict=False):
            if number in numbers:
                yield number, os.pread(opened, length, start)


class ShardReader:
    """Reads one TFRecord file that may be damaged; iterated once.

    Afterwards `size` and `sha256` are those of the whole file, and `damage` says why reading
    the records ended before the file did, or is empty.
    """

    def __init__(self, path: str, image_size: Size) -> None:
        self.path = path
        self.size = 0
        self.damage = ""
        self._largest = record_bytes(image_size)
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[Frame]:
        with storage.at(self.path).open(buffering=_BUFFER) as file:

            def read(_: int, count: int) -> bytes:
                data = file.read(count)
                self._digest.update(data)
                self.size += len(data)
                return data

            try:
                for start, length in frames(read, os.fstat(file.fileno()).st_size, self._largest):
                    data = read(start, length)
                    yield Frame(start, data, sound=read(start + length, 4) == masked_crc(data))
            except FramingError as error:
                self.damage = str(error)
            while read(self.size, _BUFFER):
                pass


def masked_crc(*data: bytes) -> bytes:
    """The check that stands behind data, perhaps in some parts, in a TFRecord file."""
    crc = 0
    for part in data:
        crc = google_crc32c.extend(crc, part)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
