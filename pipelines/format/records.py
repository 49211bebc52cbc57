"""Records: one `tf.train.Example` a sample, in TFRecord files."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from types import TracebackType
from typing import NamedTuple

import google_crc32c
import tensorflow as tf

from augment.codec import decode_stored
from augment.ops import Size
from augment.recipe import Storage
from pipelines import storage


def serialize(*, image: bytes, label: int, source: str, copy: int) -> bytes:
    """A record's bytes; deterministic, as protos else are not."""
    example = tf.train.Example()
    feature = example.features.feature
    feature["image"].bytes_list.value.append(image)
    feature["label"].int64_list.value.append(label)
    feature["source"].bytes_list.value.append(source.encode())
    feature["copy"].int64_list.value.append(copy)
    return example.SerializeToString(deterministic=True)


def parse(record: tf.Tensor, storage: Storage, size: Size) -> dict[str, tf.Tensor]:
    """A record (string scalar) as image uint8 [H, W, 3], label int64, source string, copy int64."""
    parsed = tf.io.parse_single_example(
        record,
        {
            "image": tf.io.FixedLenFeature([], tf.string),
            "label": tf.io.FixedLenFeature([], tf.int64),
            "source": tf.io.FixedLenFeature([], tf.string),
            "copy": tf.io.FixedLenFeature([], tf.int64),
        },
    )
    return {**parsed, "image": decode_stored(parsed["image"], storage, size)}


class Record(NamedTuple):
    """What `serialize` was given."""

    image: bytes
    label: int
    source: str
    copy: int


def unpack(data: bytes) -> Record | None:
    """The record of some bytes; None if `serialize` does not make such bytes."""
    try:
        feature = tf.train.Example.FromString(data).features.feature
        record = Record(
            image=feature["image"].bytes_list.value[0],
            label=feature["label"].int64_list.value[0],
            source=feature["source"].bytes_list.value[0].decode(),
            copy=feature["copy"].int64_list.value[0],
        )
    except Exception:  # noqa: BLE001 (protobuf's own errors, and protobuf is TensorFlow's)
        return None
    return record if serialize(**record._asdict()) == data else None


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
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115 (closed by __exit__)
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._buffer = bytearray()

    def write(self, record: bytes) -> None:
        length = struct.pack("<Q", len(record))
        self._buffer += b"".join((length, masked_crc(length), record, masked_crc(record)))
        self.records += 1
        if len(self._buffer) >= _BUFFER:
            self._flush()

    def finish(self) -> tuple[int, str]:
        """Closes the file; its size in bytes and its SHA-256."""
        self._flush()
        self._file.close()
        return self._bytes, self._digest.hexdigest()

    def _flush(self) -> None:
        data, self._buffer = memoryview(self._buffer), bytearray()
        self._digest.update(data)
        self._bytes += len(data)
        while data:  # a disk that is nearly full takes a part, and refuses the rest
            data = data[self._file.write(data) :]

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if os.path.exists(self.path):
            os.remove(self.path)


class Frame(NamedTuple):
    """One record of a shard as it lies there."""

    start: int
    """where its data begin in the file"""
    data: bytes
    sound: bool
    """whether the data have the CRC that the file says"""


class ShardReader:
    """Reads one TFRecord file that may be damaged; iterated once.

    Afterwards `size` and `sha256` are those of the whole file, and `damage` says why reading
    the records ended before the file did, or is empty.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.size = 0
        self.damage = ""
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[Frame]:
        with storage.at(self.path).open(buffering=_BUFFER) as file:
            whole = os.fstat(file.fileno()).st_size

            def read(count: int) -> bytes:
                data = file.read(count)
                self._digest.update(data)
                self.size += len(data)
                return data

            while (header := read(12)) and not self.damage:
                length = int.from_bytes(header[:8], "little")
                if len(header) < 12:
                    self.damage = "the file ends within the length of the record"
                elif header[8:] != masked_crc(header[:8]):
                    self.damage = "the length of the record does not have its CRC"
                elif length + 4 > whole - self.size:
                    self.damage = "the file ends within the record"
                else:
                    start, data = self.size, read(length)
                    yield Frame(start, data, sound=read(4) == masked_crc(data))
            while read(_BUFFER):
                pass


def masked_crc(data: bytes) -> bytes:
    """The check that stands behind data in a TFRecord file."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
