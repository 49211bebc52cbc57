"""Records: one `tf.train.Example` a sample, in TFRecord files."""

from __future__ import annotations

import hashlib
import os
import struct
from types import TracebackType

import google_crc32c
import tensorflow as tf

from augment.codec import decode_stored
from augment.ops import Size
from augment.recipe import Storage


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
        self._buffer += b"".join((length, _masked_crc(length), record, _masked_crc(record)))
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


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def file_digest(path: str) -> str:
    """A file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
