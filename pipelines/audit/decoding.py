"""Pixels of one dataset's sources and records; None of what cannot be decoded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from augment import codec
from augment.augmenter import Augmenter
from pipelines.format.example import unpack


class Decoder:
    """Decodes what an audit reads. Used by several threads at once."""

    def __init__(self, augmenter: Augmenter) -> None:
        storage, size = augmenter.recipe.storage, augmenter.recipe.image_size

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([], tf.string)])
        def plain(contents: tf.Tensor) -> tf.Tensor:
            return augmenter.plain(codec.decode(contents))

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string)])
        def stored(images: tf.Tensor) -> tf.Tensor:
            return tf.map_fn(
                lambda image: codec.decode_stored(image, storage, size), images, fn_output_signature=tf.uint8
            )

        self._plain, self._stored = plain, stored

    def source(self, contents: bytes) -> np.ndarray | None:
        """uint8 [H, W, 3]: a file as a recipe that did nothing but bring it to size would have it."""
        return _or_none(lambda: self._plain(tf.constant(contents)))

    def record(self, data: bytes, source: str | None = None) -> np.ndarray | None:
        """uint8 [H, W, 3] of a record of ours; with `source`, of that source alone."""
        record = unpack(data)
        if record is None or source not in (None, record.source):
            return None
        images = _or_none(lambda: self._stored(tf.constant([record.image])))
        return None if images is None else images[0]

    def digests(self, images: Sequence[bytes | None]) -> list[str | None]:
        """SHA-256 of the levels of stored images; None of None too."""
        there = [image for image in images if image is not None]
        decoded = _or_none(lambda: self._stored(tf.constant(there, tf.string))) if there else ()
        if decoded is None:
            return [None] if len(images) == 1 else [self.digests([image])[0] for image in images]
        levels = iter(decoded)
        return [None if image is None else hashlib.sha256(next(levels)).hexdigest() for image in images]


def _or_none(decode: Callable[[], tf.Tensor]) -> np.ndarray | None:
    try:
        with tf.device("CPU"):
            return np.asarray(memoryview(decode()))
    except tf.errors.InvalidArgumentError:
        return None
