"""From a source's bytes to its samples, by the recipe alone: the audit's own way there."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from augment.direct import direct_call

from augment import codec
from augment.augmenter import NOT_AUGMENTED, Augmenter
from augment.draws import Draw
from augment.keys import source_words

AT_ONCE = 8
"""Copies of one source that are computed by one graph."""


class RederivedCopies(NamedTuple):
    """Samples of one source, one a copy."""

    height: int
    """of the decoded source"""
    width: int
    pixels: list[np.ndarray]
    """uint8 [H, W, 3], before they are stored"""
    jpegs: list[bytes | None]
    """where they are stored so"""


class SampleGraphs:
    """Derives samples by graphs, one for each number of copies. Used by several threads at once.

    `at_once`: copies of a source that one graph computes, where so many are asked for.
    """

    def __init__(self, augmenter: Augmenter, at_once: int) -> None:
        self._augmenter, self._at_once = augmenter, at_once
        self._graph = functools.cache(self._trace)

    def draw(self, sources: Sequence[str], copies: Sequence[int]) -> list[tf.Tensor]:
        """All parameters of a block of samples, [n, ...] each; no copy may be NOT_AUGMENTED."""
        return [tf.constant(values) for values in tf.nest.flatten(self._draw(sources, copies))]

    def derive(
        self, contents: bytes, copies: Sequence[int], draws: Sequence[tf.Tensor], begin: int
    ) -> RederivedCopies:
        """The copies of a source, NOT_AUGMENTED perhaps among them.

        The draws of the others stand in their order from row `begin` of a block.
        Raises tf.errors.InvalidArgumentError for bytes that cannot be decoded.
        """
        plain = [copy for copy in copies if copy == NOT_AUGMENTED]
        others = [copy for copy in copies if copy != NOT_AUGMENTED]
        height = width = 0
        parts: dict[int, tuple[np.ndarray, bytes | None]] = {}
        steps = range(0, len(others), self._at_once)
        for first, block in [(0, plain), *((i, others[i : i + self._at_once]) for i in steps)]:
            if not block:
                continue
            graph = self._graph(len(block), block == plain, codec.decoder(contents))
            with tf.device("CPU"):
                given = () if block == plain else draws
                size, pixels, jpegs = graph(tf.constant(contents), tf.constant(begin + first), *given)
            height, width = size.numpy().tolist()
            encoded = jpegs.numpy().tolist() or [None] * len(block)
            images = np.asarray(memoryview(pixels))
            parts |= dict(zip(block, zip(images, encoded, strict=True), strict=True))
        return RederivedCopies(
            height=height,
            width=width,
            pixels=[parts[copy][0] for copy in copies],
            jpegs=[parts[copy][1] for copy in copies],
        )

    def _draw(self, sources: Sequence[str], copies: Sequence[int]) -> Draw:
        words = source_words(sources)
        return self._augmenter.draw((words[:, 0], words[:, 1]), np.array(copies, np.int32))

    def _trace(
        self, copies: int, plain: bool, decode: Callable[[tf.Tensor], tf.Tensor]
    ) -> Callable[..., tuple[tf.Tensor, ...]]:
        """The graph from a file's bytes to its size, pixels [copies, H, W, 3] and JPEGs."""
        augmenter = self._augmenter
        storage = augmenter.recipe.storage
        names = {} if plain else self._draw([], [])
        specs = [tf.TensorSpec([None, *values.shape[1:]], values.dtype) for values in tf.nest.flatten(names)]

        @tf.function(
            autograph=False,
            input_signature=[tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int32), specs],
        )
        def derive(
            contents: tf.Tensor, begin: tf.Tensor, draws: list[tf.Tensor]
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            source = decode(contents)
            if plain:
                samples = [augmenter.plain(source)]
            else:
                head = augmenter.head(source)
                samples = [
                    augmenter.tail(
                        head, tf.nest.pack_sequence_as(names, [values[begin + i] for values in draws])
                    )
                    for i in range(copies)
                ]
            jpegs = [codec.encode(s, storage) for s in samples] if storage.format == "jpeg" else []
            return tf.shape(source)[:2], tf.stack(samples), tf.convert_to_tensor(jpegs, tf.string)

        return direct_call(derive.get_concrete_function())
