"""From a source's bytes to its samples, by the recipe alone: the audit's own way there."""

from __future__ import annotations

from collections.abc import Sequence
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


class SampleDeriver:
    """Derives samples of sources of classes that have one recipe. Used by several threads at once."""

    def __init__(self, augmenter: Augmenter) -> None:
        self._augmenter = augmenter

    def draw(self, sources: Sequence[str], copies: Sequence[int]) -> Draw:
        """All parameters of a block of samples, arrays [n, ...]; no copy may be NOT_AUGMENTED."""
        words = source_words(sources)
        return self._augmenter.draw((words[:, 0], words[:, 1]), np.array(copies, np.int32))

    def derive(self, contents: bytes, copies: Sequence[int], draws: Draw, begin: int) -> DerivedCopies:
        """The copies of a source, NOT_AUGMENTED perhaps among them.

        The draws of the others stand in their order from row `begin` of a block.
        Raises DecodeError for bytes that cannot be decoded.
        """
        image = self._augmenter.recipe.decode_source(contents)
        head: np.ndarray | None = None
        pixels = []
        for copy in copies:
            if copy == NOT_AUGMENTED:
                pixels.append(self._augmenter.plain(image))
                continue
            head = self._augmenter.head(image) if head is None else head
            pixels.append(self._augmenter.tail(head, at(draws, begin)))
            begin += 1
        stored = self._augmenter.recipe.storage
        lossy = stored.format == "jpeg"
        return DerivedCopies(
            height=image.shape[0],
            width=image.shape[1],
            pixels=pixels,
            encoded=[codec.encode(sample, stored) if lossy else None for sample in pixels],
        )
