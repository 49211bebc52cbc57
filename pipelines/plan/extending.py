"""Whether what is asked for can be added to what there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from augment.errors import RequestError
from pipelines.format.copies import SplitCopies
from pipelines.format.request import Request


class Stored(NamedTuple):
    """What there is of a dataset, or was to be."""

    request: Request
    splits: Mapping[str, SplitCopies]

    def share(self, split: str, label: str, copy: int) -> int | None:
        """How many sources of a class have a copy; None if all have."""
        classes = self.splits[split].classes
        if classes is None:
            return None if copy < self.request.copies else 0
        one = classes.get(label)
        return None if one is None or not one.sources or copy < one.each else one.having(copy)

    def end(self, split: str) -> int:
        """The first copy that no class has."""
        classes = self.splits[split].classes
        return self.request.copies if classes is None else max(one.copies for one in classes.values())


def check_extends(now: Stored, before: Stored) -> None:
    """Raises RequestError unless each copy that is there, or was begun, keeps its sources.

    Which shards there are follows from that: so what is added are files, and a fresh run has the same.
    """
    for split in now.splits.keys() & before.splits.keys():
        classes = now.splits[split].classes or before.splits[split].classes
        for label in classes or ():
            for copy in range(before.end(split)):
                was, asked = before.share(split, label, copy), now.share(split, label, copy)
                if was != asked:
                    raise RequestError(
                        f"copy {copy} is there of {_of_images(was)} of class {label!r}, and asked for of "
                        f"{_of_images(asked)}: the output can be extended by copies from "
                        f"{before.end(split)} on, which leave its files as they are; ask for such, write to "
                        "another directory, or start over with --overwrite"
                    )


def _of_images(share: int | None) -> str:
    if share is None:
        return "all images"
    return f"{share:,} images" if share > 1 else "1 image" if share else "no image"
