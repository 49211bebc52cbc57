"""Pixels of one dataset's sources and records; None of what cannot be decoded."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np

from augment import codec
from augment.by_class import ByClass
from pipelines.format.digests import bytes_digest, pixels_digest
from pipelines.format.example import unpack


class Decoder:
    """Decodes what an audit reads. Used by several threads at once."""

    def __init__(self, augmenters: ByClass) -> None:
        self._augmenters = augmenters

    def source(self, contents: bytes, label: str) -> np.ndarray | None:
        """uint8 [H, W, C]: a file of a class as its recipe would have it that only brought it to size."""
        augmenter = self._augmenters.of(label)
        with contextlib.suppress(codec.DecodeError):
            return augmenter.plain(augmenter.recipe.decode_source(contents))
        return None

    def record(self, data: bytes, source: str | None = None) -> np.ndarray | None:
        """uint8 [H, W, C] of a record of ours; with `source`, of that source alone."""
        record = unpack(data)
        if record is None or source not in (None, record.source):
            return None
        return self.stored(record.image)

    def stored(self, image: bytes) -> np.ndarray | None:
        """uint8 [H, W, C] of what a record holds."""
        recipe = self._augmenters.recipe
        with contextlib.suppress(codec.DecodeError):
            return codec.decode_stored(image, recipe.storage, recipe.image_shape)
        return None

    def digests(self, images: Sequence[bytes | None]) -> list[str | None]:
        """Of the levels of stored images, or of the images where storage loses levels.

        None of those that cannot be decoded, and of None.
        """
        return [None if image is None else self._digest(image) for image in images]

    def _digest(self, image: bytes) -> str | None:
        levels = self.stored(image)
        if levels is None:
            return None
        lossy = self._augmenters.recipe.storage.format == "jpeg"
        return bytes_digest(image) if lossy else pixels_digest(levels)
