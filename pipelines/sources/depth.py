"""Images of 16 bits that use a small part of their range: brought to 8 bits they are nearly black."""

from __future__ import annotations

import contextlib

from augment.codec import DecodeError
from augment.codec.depth import highest_level
from pipelines.sources.found import Listing
from pipelines.sources.reading import read_source
from pipelines.sources.words import named

DARK = 16
"""Levels of 256 that are reached where a file of 16 bits holds 12, and less where it holds fewer."""

_CLASSES = 16
"""So many are looked into; who has such images has them in most classes."""


def dim(root: str, listing: Listing) -> list[str]:
    """A warning of the classes whose sampled images have 16 bits, and use less than a 16th of the range."""
    highest: dict[str, int] = {}
    for place in sorted(listing.samples)[:_CLASSES]:
        levels = []
        for _, source in listing.samples[place]:
            with contextlib.suppress(OSError, DecodeError):  # which is for the job to say
                levels.append(highest_level(read_source(root, source)))
        deep = [level for level in levels if level is not None]
        if deep and max(deep) < DARK:
            highest[place[1]] = max(max(deep), highest.get(place[1], 0))
    if not highest:
        return []
    return [
        f"{named('class', sorted(highest), 'classes')}: images of 16 bits that use little of that range. The "
        f"highest 8 bits are kept, so those that were looked at reach level {max(highest.values())} of 255, "
        "and look black: stretch them to the full range before, if that is not meant"
    ]
