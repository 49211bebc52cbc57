"""From a source's bytes to its samples, by the recipe alone: the audit's own way there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from augment import codec
from augment.augmenter import NOT_AUGMENTED, Augmenter
from augment.draws import Draw, at
from augment.keys import source_words


class DerivedCopies(NamedTuple):
    """Samples of one source, one a copy."""

    height: int
    """of the decoded source"""
    width: int
    pixels: list[np.ndarray]
    """uint8 [H, W, C], before they are stored"""
    encoded: list[bytes | None]
    """as they are stored, where that loses levels"""


class Wanted(NamedTuple):
    """What is to be derived of a source."""

    contents: bytes
    copies: Sequence[int]
    """NOT_AUGMENTED perhaps among them"""
    begin: int
    """from which row of a block on the draws of the others stand, in their order"""


AT_ONCE = 1 << 24
"""Bytes of decoded sources and of what is derived of them, from which on no more are derived from at once."""


class SampleDeriver:
    """Derives samples of sources of classes that have one recipe. Used by several threads at once."""

    def __init__(self, augmenter: Augmenter) -> None:
        self._augmenter = augmenter
        self._bytes = math.prod(augmenter.recipe.image_shape)
        """of a sample"""

    def draw(self, sources: Sequence[str], copies: Sequence[int]) -> Draw:
        """All parameters of a block of samples, arrays [n, ...]; no copy may be NOT_AUGMENTED."""
        words = source_words(sources)
        return self._augmenter.draw((words[:, 0], words[:, 1]), np.array(copies, np.int32))

    def derive(self, sources: Iterable[Wanted], draws: Draw) -> Iterator[DerivedCopies | codec.DecodeError]:
        """The copies of each source, in their order; the error of one whose bytes cannot be decoded.

        Several are derived from at once, as far as they are small; of no more the bytes are held.
        """
        block: list[tuple[Wanted, np.ndarray | codec.DecodeError]] = []
        size = 0
        for source in sources:
            try:
                image = self._augmenter.recipe.decode_source(source.contents)
                size += image.nbytes + len(source.copies) * self._bytes
                block.append((source, image))
            except codec.DecodeError as error:
                block.append((source, error))
            if size >= AT_ONCE:
                yield from self._derived(block, draws)
                block, size = [], 0
        yield from self._derived(block, draws)

    def _derived(
        self, block: Sequence[tuple[Wanted, np.ndarray | codec.DecodeError]], draws: Draw
    ) -> Iterator[DerivedCopies | codec.DecodeError]:
        images: list[np.ndarray] = []
        """of sources that have samples to augment"""
        image_of: list[int] = []
        """of each such sample"""
        rows: list[int] = []
        for source, image in block:
            count = sum(copy != NOT_AUGMENTED for copy in source.copies)
            if count and isinstance(image, np.ndarray):
                image_of += [len(images)] * count
                rows += range(source.begin, source.begin + count)
                images.append(image)
        heads = self._augmenter.heads(images)
        samples = iter(self._augmenter.tails([heads[number] for number in image_of], at(draws, rows)))
        stored = self._augmenter.recipe.storage
        for source, image in block:
            if not isinstance(image, np.ndarray):
                yield image
                continue
            pixels = [
                self._augmenter.plain(image) if copy == NOT_AUGMENTED else next(samples)
                for copy in source.copies
            ]
            yield DerivedCopies(
                height=image.shape[0],
                width=image.shape[1],
                pixels=pixels,
                encoded=[codec.encode(p, stored) if stored.format == "jpeg" else None for p in pixels],
            )
