"""What becomes of one source: decoded once, all its copies augmented, encoded and digested."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from augment import codec
from augment.augmenter import NOT_AUGMENTED, Augmenter
from augment.direct import direct_call
from augment.draws import Draw
from augment.keys import source_words
from pipelines import storage
from pipelines.format.records import serialize
from pipelines.sources import Reject
from pipelines.sources.reading import rejected


class PassingFault(Exception):
    """There is no sample of a source, for a reason that does not lie in its contents; says what to do."""


class WrongSample(Exception):
    """What the ops of a recipe make of images is nothing that a record can hold."""


class Derived(NamedTuple):
    """All of one source that is written in one pass."""

    columns: dict[str, Any]
    """of the samples table, for all copies alike"""
    records: list[bytes]
    """one a copy"""
    pixel_digests: list[str]


class Deriver:
    """Derives the copies of one plan's sources. Used by several threads at once."""

    def __init__(self, augmenter: Augmenter, labels: dict[str, int]) -> None:
        self._augmenter, self._labels = augmenter, labels
        self._graph = functools.cache(self._trace)

    def draws(self, sources: Sequence[str], copies: Sequence[int]) -> Draw:
        """All parameters of sources: arrays [sources, copies, ...]; none without copies."""
        if not copies:
            return {}
        words = source_words(sources)[:, np.newaxis]
        return self._augmenter.draw((words[..., 0], words[..., 1]), np.array([copies], np.int32))

    def derive(
        self,
        source: str,
        label: str,
        read: Callable[[], bytes],
        copies: Sequence[int],
        position: int,
        draws: Sequence[tf.Tensor],
    ) -> Derived | Reject:
        """One source's samples, with row `position` of the draws. Raises PassingFault and WrongSample.

        `read` gives its contents, or raises OSError. NOT_AUGMENTED can only be the first of the copies;
        the draws are of the others.
        """
        try:
            contents = read()
        except OSError as error:
            reject = rejected(source, error)
            if reject:
                return reject
            raise PassingFault(
                f"{source}: it cannot be read ({storage.reason(error)}); make it readable, or put it back, "
                "and run the same command again, or take it out of the input and start over with --overwrite"
            ) from error
        plain = copies[0] == NOT_AUGMENTED
        graph = self._graph(len(copies) - plain, plain, codec.decoder(contents))
        try:
            with tf.device("CPU"):
                size, pixels, encoded = graph(tf.constant(contents), tf.constant(position), *draws)
        except tf.errors.InvalidArgumentError as error:
            rejection = codec.examine(contents)
            if rejection is None:
                said = error.message.splitlines()[0]
                raise PassingFault(
                    f"{source}: it can be decoded, and no sample came of it ({said}): an op fails on it, or "
                    "memory ran out; augment.augment_image shows which"
                ) from None
            return Reject(source, rejection.reason, rejection.detail)
        images = np.asarray(memoryview(pixels))
        self._check(images.dtype.name, images.shape[1:])
        encoder = codec.ENCODERS.get(self._augmenter.recipe.storage.format)
        stored = encoded.numpy() if encoder is None else map(encoder, images)
        height, width = size.numpy()
        return Derived(
            columns={
                "source": source,
                "class": label,
                "label": self._labels[label],
                "source_sha256": hashlib.sha256(contents).hexdigest(),
                "source_height": int(height),
                "source_width": int(width),
            },
            records=[
                serialize(image=image, label=self._labels[label], source=source, copy=copy)
                for image, copy in zip(stored, copies, strict=True)
            ],
            pixel_digests=[hashlib.sha256(image).hexdigest() for image in images],
        )

    def _check(self, dtype: str, shape: Sequence[int | None]) -> None:
        """Raises WrongSample. Of a shape that is not known while a graph is traced, parts are None."""
        right = (*self._augmenter.recipe.image_size, 3)
        if (dtype, shape) == ("uint8", right):
            return
        if dtype != "uint8" or not tf.TensorShape(shape).is_compatible_with(right):
            raise WrongSample(
                f"recipe {self._augmenter.recipe.name}: its ops make {dtype} {list(shape)} of an image, and "
                f"it promises uint8 {list(right)}; an op has to return uint8 [..., H, W, 3] of the size that "
                "its output_size says"
            )

    def _trace(
        self, copies: int, plain: bool, decode: Callable[[tf.Tensor], tf.Tensor]
    ) -> Callable[..., tuple[tf.Tensor, ...]]:
        """The graph from a file's bytes to its size, pixels [n, H, W, 3] and JPEGs [n].

        The n samples are the image that is not augmented, if `plain`, and so many copies.
        """
        augmenter = self._augmenter
        storage = augmenter.recipe.storage
        draws = self.draws([], range(copies))
        specs = [tf.TensorSpec([None, *values.shape[1:]], values.dtype) for values in tf.nest.flatten(draws)]

        @tf.function(
            autograph=False,
            input_signature=[tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int32), specs],
        )
        def derive(
            contents: tf.Tensor, position: tf.Tensor, rows: list[tf.Tensor]
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            source = decode(contents)
            samples = [augmenter.plain(source)] if plain else []
            if copies:
                head = augmenter.head(source)
                drawn = [tf.unstack(values[position], copies) for values in rows]
                samples += [
                    augmenter.tail(head, tf.nest.pack_sequence_as(draws, draw))
                    for draw in zip(*drawn, strict=True)
                ] or [augmenter.tail(head, {})] * copies
            for sample in samples:
                self._check(sample.dtype.name, sample.shape)
            jpegs = [codec.encode(s, storage) for s in samples] if storage.format == "jpeg" else []
            return tf.shape(source)[:2], tf.stack(samples), tf.convert_to_tensor(jpegs, tf.string)

        return direct_call(derive.get_concrete_function())
