"""Which source is in which group, in what order.

A pure function of the seed, the source ids and the number of groups. A source's
place is the 64-bit hash h of seed and id; group i of N holds the i-th part of the
range of h, and within a group sources stand by (h, id). So a copy's shards, one
after the other, are the split sorted by h whatever N is, and live training has
the same order without knowing N.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from augment.keys import name_bits, source_key, source_words
from augment.recipe import Shape, Storage
from pipelines.format.bounds import MOST_GROUPS

IMAGES_A_GROUP = 256
FEWEST_GROUPS = 8


def places(seed: int, sources: Sequence[str]) -> np.ndarray:
    """uint64 [n]: the place of each source in its split's order."""
    words = source_words(sources)
    high, low = source_key(seed, (words[:, 0], words[:, 1]))
    return (high.astype(np.uint64) << np.uint64(32)) | low


def group_of(place: int, groups: int) -> int:
    """In which of `groups` equal parts of [0, 2**64) a place lies."""
    return (int(place) * groups) >> 64


def group_count(images: int, image_bytes: int, shard_bytes: int) -> int:
    """How many groups keep shards near `shard_bytes`.

    At least one for every 256 images up to eight, so that small sets run in
    parallel too.
    """
    by_size = math.ceil(images * image_bytes / shard_bytes)
    by_count = min(FEWEST_GROUPS, images // IMAGES_A_GROUP)
    return min(max(by_size, by_count, 1), MOST_GROUPS)


_BYTES_A_PIXEL = {("png", 3): 2.0, ("png", 1): 0.7, ("raw", 3): 3.0, ("raw", 1): 1.0}


def estimated_bytes(shape: Shape, storage: Storage) -> int:
    """What a record takes, by a fixed rule of thumb for photos."""
    height, width, channels = shape
    per_pixel = _BYTES_A_PIXEL.get((storage.format, channels))
    if per_pixel is None:
        detail = 0.5 if channels == 1 else 2 if storage.chroma == "4:4:4" else 1
        per_pixel = 0.2 + 0.3 * (storage.quality / 100) ** 4 * detail
    return round(height * width * per_pixel) + 100


def split_of(source: str, fractions: dict[str, str]) -> str:
    """The split of a source by the hash of its id alone: it stays when other images come or go."""
    place = name_bits(source)
    for split, bound in _bounds(tuple(fractions.items())):
        if place < bound:
            return split
    raise AssertionError("the fractions add up to 1")


@functools.lru_cache(maxsize=16)
def _bounds(fractions: tuple[tuple[str, str], ...]) -> tuple[tuple[str, int], ...]:
    """The first number of 64 bits behind each split: a job asks for every source."""
    bounds = itertools.accumulate(Fraction(share) for _, share in fractions)
    return tuple(
        (split, math.ceil(bound * 2**64)) for (split, _), bound in zip(fractions, bounds, strict=True)
    )
