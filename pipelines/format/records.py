"""Records: one `tf.train.Example` a sample, in TFRecord files."""

from __future__ import annotations

import hashlib
import os
from types import TracebackType

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


class ShardWriter:
    """Writes one TFRecord file under a name of its own, to be moved into place when done.

    As a context it closes the file; a file that was not finished is removed.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.records = 0
        self._writer = tf.io.TFRecordWriter(path)

    def write(self, record: bytes) -> None:
        self._writer.write(record)
        self.records += 1

    def finish(self) -> tuple[int, str]:
        """Closes the file; its size in bytes and its SHA-256."""
        self._writer.close()
        return os.path.getsize(self.path), file_digest(self.path)

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        if os.path.exists(self.path):
            os.remove(self.path)


def file_digest(path: str) -> str:
    """A file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
