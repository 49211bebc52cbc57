"""What becomes of one source: decoded once, all its copies augmented, encoded and digested."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from augment import codec
from augment.augmenter import NOT_AUGMENTED, Augmenter
from augment.draws import Draw, at
from augment.keys import source_words
from pipelines import storage
from pipelines.format.example import serialize
from pipelines.sources import Reject
from pipelines.sources.reading import rejected


class PassingFault(Exception):
    """A source cannot be read, for a reason that does not lie in its contents; says what to do."""


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
        draws: Draw,
    ) -> Derived | Reject:
        """One source's samples. Raises PassingFault, and OpError for what an op makes of it.

        Args:
            read: gives its contents, or raises OSError.
            copies: NOT_AUGMENTED can only be the first of them.
            draws: of the others, arrays [copies, ...].
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
        try:
            image = codec.decode(contents, self._augmenter.recipe.channels)
        except codec.DecodeError as error:
            return Reject(source, error.rejection.reason, error.rejection.detail)
        samples = [self._augmenter.plain(image)] if copies[0] == NOT_AUGMENTED else []
        augmented = len(copies) - len(samples)
        if augmented:
            head = self._augmenter.head(image)
            samples += [self._augmenter.tail(head, at(draws, number)) for number in range(augmented)]
        height, width, _ = image.shape
        stored = self._augmenter.recipe.storage
        return Derived(
            columns={
                "source": source,
                "class": label,
                "label": self._labels[label],
                "source_sha256": hashlib.sha256(contents).hexdigest(),
                "source_height": height,
                "source_width": width,
            },
            records=[
                serialize(
                    image=codec.encode(sample, stored), label=self._labels[label], source=source, copy=copy
                )
                for sample, copy in zip(samples, copies, strict=True)
            ],
            pixel_digests=[hashlib.sha256(sample.data).hexdigest() for sample in samples],
        )
