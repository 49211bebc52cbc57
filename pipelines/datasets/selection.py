"""What of a dataset is read, and in which order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from augment.augmenter import NOT_AUGMENTED
from augment.errors import RequestError, did_you_mean
from augment.keys import fold_in, seed_key, words
from pipelines.format.manifest import Manifest


def chosen_copies(directory: str, manifest: Manifest, split: str, copies: Sequence[int] | None) -> list[int]:
    """The copies that are read, in their order: all of the split by default, but for the originals of one
    that is augmented.

    Raises RequestError if there is no such split or copy.
    """
    if split not in manifest.splits:
        raise RequestError(
            f"{directory}: there is no split {split!r}; {did_you_mean(split, manifest.splits)}"
        )
    there = manifest.copies(split)
    augmented = [copy for copy in there if copy != NOT_AUGMENTED]
    if copies is None:
        return augmented or list(there)
    if isinstance(copies, int | str) or not len(copies):
        raise RequestError(f"copies is {copies!r}; it takes a list of numbers, such as copies=[{there[-1]}]")
    for copy in copies:
        if copy not in there:
            raise RequestError(
                f"{directory}: split {split!r} has no copy {copy}; it has {there[0]} to {there[-1]}"
            )
    return list(copies)


def check_shuffle(shuffle: int | None, epoch: int) -> None:
    """Raises RequestError unless they are a seed, or None, and an epoch."""
    for name, value in (("shuffle", shuffle), ("epoch", epoch)):
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if value is not None and not (whole and 0 <= value < 2**64):
            what = "a seed, such as shuffle=0, or None" if name == "shuffle" else "a number"
            raise RequestError(f"{name} is {value!r}; it must be {what}, from 0 to {2**64 - 1}")


def shuffled(keys: np.ndarray, seed: int, epoch: int, copies: np.ndarray | None = None) -> np.ndarray:
    """int64 [n]: the order of sources in an epoch, by hashing their keys, uint32 [n, 2].

    With the copies int64 [n], where a source is there several times, each is folded in too.

    Epoch e sorts sources by the 64 bits of (seed, e, source id). That needs neither a buffer nor a state, and
    leaves out of the order of some sources which others there are.
    """
    key = fold_in(seed_key(seed), words(epoch))
    high, low = fold_in(key, (keys[:, 0], keys[:, 1]))
    if copies is not None:
        number = copies.astype(np.uint32)
        high, low = fold_in((high, low), (np.zeros_like(number), number))
    return np.lexsort((low, high))
